// A live trace: rows that arrive in small messages, a virtual list of those on screen, and a card for each question.
// What anybody wrote reaches the page as text nodes only.

const HEIGHT = 22; // pixels of a row; trace.css has the same
const AHEAD = 12; // rows drawn beyond both edges of the view
const PATIENCE = 2000; // milliseconds without a word until the kernel is said not to take clicks
const LOOK = 200; // milliseconds between two looks at the page: where the trace stands, whether the kernel answers
const PING = 5000; // milliseconds between two questions to the kernel whether it answers
const MANY = 20; // rows below another from which on they are folded away

const MARKS = {
  pending: "·", running: "▸", waiting: "↻", asked: "?", "in doubt": "!", interrupted: "!", paused: "?",
  ok: "✓", error: "✗", rejected: "✗", skipped: "»", cancelled: "✗",
};

function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds) % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function dollars(cost) {
  if (cost > 0 && cost < 0.0001) return "<$0.0001";
  return cost ? `$${cost.toFixed(4)}` : "";
}

function facts(row, now) {
  const said = row.status === "ok" ? [] : [row.status];
  if (row.started) {
    const live = row.status === "running" || row.status === "in doubt";
    if (row.ended || live) said.push(duration(Math.max(0, (row.ended ?? now) - row.started)));
  }
  const read = row.input_tokens ?? 0;
  const wrote = row.output_tokens ?? 0;
  if (read || wrote) said.push(`${read.toLocaleString("en")} + ${wrote.toLocaleString("en")} tokens`);
  const cost = row.cost_usd === undefined ? "" : row.cost_usd === null ? "cost unknown" : dollars(row.cost_usd);
  if (cost) said.push(cost);
  if (row.attempts > 1) said.push(`${row.attempts} attempts`);
  return said.join(" · ");
}

// What a trace knows: shared by every view of one model.
class Trace {
  constructor(model) {
    this.model = model;
    this.views = new Set();
    this.clear();
    this.told = new Map(); // question → what became of a click
    this.details = new Map();
    this.deaf = false; // the kernel does not take what is sent to it
    this.since = null; // when it was asked something that it did not answer yet
    this.pinged = 0;
    model.on("msg:custom", (message) => this.take(message));
    const first = model.get("first");
    if (first?.kind) this.take(first);
    this.send({ kind: "ready" });
    this.timer = setInterval(() => this.look(), LOOK);
  }

  close() {
    clearInterval(this.timer);
    for (const view of this.views) view.close();
  }

  send(message) {
    this.since ??= Date.now();
    try { this.model.send(message); } catch { /* its comm is closed: nobody answers */ }
  }

  changed() {
    for (const view of this.views) view.changed();
  }

  look() {
    const now = Date.now();
    const asks = this.cards.length > 0 || !this.ended;
    if (asks && this.since === null && now - this.pinged > PING && !document.hidden) {
      this.pinged = now;
      this.send({ kind: "ping" });
    }
    const deaf = this.since !== null && now - this.since > PATIENCE;
    if (deaf !== this.deaf) {
      this.deaf = deaf;
      this.changed();
    }
    for (const view of this.views) view.look();
  }

  clear() {
    this.rows = new Map();
    this.below = new Map();
    this.text = new Map();
    this.cards = [];
    this.number = null;
    this.ended = false;
    this.from = Infinity;
    this.until = 0;
  }

  take(message) {
    if (message.kind !== "rows" && message !== this.model.get("first")) this.since = null; // it heard, and answered
    if (message.kind === "pong") return;
    if (message.kind === "reset") {
      this.clear();
      this.number = message.n;
      this.put(message.rows);
    } else if (message.kind === "rows") {
      if (this.number === null || message.n > this.number + 1) {
        this.send({ kind: "ready" }); // something was lost on the way: ask for all of it
        return;
      }
      if (message.n <= this.number) return;
      this.number = message.n;
      this.put(message.rows);
      for (const [id, piece] of Object.entries(message.text ?? {})) this.text.set(id, (this.text.get(id) ?? "") + piece);
    } else if (message.kind === "details") {
      this.details.set(message.id, message.sections);
    } else if (message.kind === "told") {
      this.told.set(message.id, message);
    } else {
      return;
    }
    if (message.cards) {
      const known = new Set(this.cards.map((card) => card.id));
      if (message.cards.some((card) => !known.has(card.id))) this.pinged = 0; // whether clicks arrive is asked at once
      this.cards = message.cards;
    }
    if ("ended" in message) this.ended = message.ended;
    this.changed();
  }

  put(rows) {
    for (const row of rows) {
      if (!this.rows.has(row.id)) {
        const parent = row.parent ?? "";
        if (!this.below.has(parent)) this.below.set(parent, []);
        this.below.get(parent).push(row.id);
      }
      this.rows.set(row.id, row);
      this.details.delete(row.id);
      if (row.started) this.from = Math.min(this.from, row.started);
      if (row.ended) this.until = Math.max(this.until, row.ended);
      if (row.ended) this.text.delete(row.id);
    }
  }

  answer(id, given) {
    this.told.set(id, { id, sending: true });
    this.send({ kind: "answer", id, ...given });
    this.changed();
  }
}

class View {
  constructor(trace) {
    this.trace = trace;
    this.folded = new Map(); // row → whether a person folded it; the others are folded where they are many
    this.chosen = null;
    this.words = "";
    this.only = new Set();
    this.visible = [];
    this.asked = 0;
    this.search = el("input", { type: "search", placeholder: "search", "aria-label": "search the steps", oninput: () => this.filter() });
    this.errors = this.toggle("errors", "show only what failed, and what it stands below");
    this.costs = this.toggle("cost", "show only what costs money");
    this.deaf = el("div", { class: "agentkit-deaf", role: "status", hidden: true });
    this.said = el("span", { class: "agentkit-said", "aria-live": "polite" });
    this.copy = el("button", { type: "button", title: "copy the chosen step as JSON", onclick: () => this.copied() }, "copy");
    this.cards = el("div", { class: "agentkit-cards" });
    this.list = el("div", { class: "agentkit-rows" });
    this.space = el("div", {});
    this.view = el("div", { class: "agentkit-view", role: "tree", tabindex: "0", "aria-label": "the steps of the run" }, this.space, this.list);
    this.details = el("div", { class: "agentkit-details", hidden: true });
    const bar = el("div", { class: "agentkit-bar" }, this.search, this.errors, this.costs, this.copy, this.said);
    this.root = el("div", { class: "agentkit" }, bar, this.deaf, this.cards, this.view, this.details);
    this.view.addEventListener("scroll", () => { this.top = this.view.scrollTop; this.changed(); }, { passive: true });
    this.root.addEventListener("focusin", (event) => { this.focused = event.target; });
    this.root.addEventListener("focusout", (event) => { if (this.root.isConnected && event.relatedTarget) this.focused = null; });
    this.view.addEventListener("keydown", (event) => this.key(event));
    this.made = new Map();
    this.drawn = 0;
    this.changed();
  }

  look() {
    if (!this.trace.ended && this.root.isConnected && Date.now() - this.drawn > 500) this.changed(); // durations
  }

  // Stand in the page: anew, or again after the document was written and took the trace along.
  stand(place) {
    place.prepend(this.root);
    this.view.scrollTop = this.top ?? 0;
    if (this.focused?.isConnected && document.activeElement === document.body) this.focused.focus({ preventScroll: true });
    this.changed();
  }

  toggle(name, title) {
    const button = el("button", { type: "button", title, "aria-pressed": "false", onclick: () => {
      if (this.only.delete(name)) button.setAttribute("aria-pressed", "false");
      else { this.only.add(name); button.setAttribute("aria-pressed", "true"); }
      this.changed();
    } }, name);
    return button;
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.root.remove();
    this.trace.views.delete(this);
  }

  isFolded(row, children) {
    return this.folded.get(row.id) ?? (children > MANY && row.kind !== "run");
  }

  filter() {
    this.words = this.search.value.trim().toLowerCase();
    this.changed();
  }

  changed() {
    this.frame ??= requestAnimationFrame(() => { this.frame = undefined; this.draw(); });
  }

  matches(row) {
    if (this.only.has("errors") && !["error", "rejected", "in doubt"].includes(row.status)) return false;
    if (this.only.has("cost") && !(row.cost_usd || row.cost_usd === null)) return false;
    return !this.words || `${row.name} ${row.step} ${row.status} ${row.note ?? ""}`.toLowerCase().includes(this.words);
  }

  // The rows to be seen, in order, with their depth; where something is searched for, its ancestors too.
  flatten() {
    const { rows, below } = this.trace;
    const filtering = this.words || this.only.size;
    let wanted = null;
    if (filtering) {
      wanted = new Set();
      for (const row of rows.values()) {
        if (!this.matches(row)) continue;
        for (let id = row.id; id && !wanted.has(id); id = rows.get(id)?.parent) wanted.add(id);
      }
    }
    const flat = [];
    const stack = (below.get("") ?? []).map((id) => [id, 0]).reverse();
    while (stack.length) {
      const [id, depth] = stack.pop();
      if (wanted && !wanted.has(id)) continue;
      const children = below.get(id) ?? [];
      const open = filtering || !this.isFolded(rows.get(id), children.length);
      flat.push({ id, depth, children: children.length, open });
      if (open) for (let i = children.length - 1; i >= 0; i--) stack.push([children[i], depth + 1]);
    }
    return flat;
  }

  draw() {
    const { trace } = this;
    this.drawn = Date.now();
    const waits = trace.cards.length > 0 || !trace.ended;
    this.deaf.hidden = !(trace.deaf && waits);
    this.deaf.textContent = "The kernel does not answer now: it is busy with a cell, or gone.";
    this.visible = this.flatten();
    const height = Math.min(420, Math.max(1, this.visible.length) * HEIGHT + 2);
    this.view.style.height = `${height}px`;
    this.space.style.height = `${this.visible.length * HEIGHT}px`;
    const first = Math.max(0, Math.floor(this.view.scrollTop / HEIGHT) - AHEAD);
    const last = Math.min(this.visible.length, first + Math.ceil(height / HEIGHT) + 2 * AHEAD);
    this.list.style.transform = `translateY(${first * HEIGHT}px)`;
    const now = Date.now() / 1000;
    this.list.replaceChildren(...this.visible.slice(first, last).map((one, index) => this.row(one, first + index, now)));
    this.said.textContent = `${trace.rows.size.toLocaleString("en")} steps${this.words || this.only.size ? `, ${this.visible.length} shown` : ""}`;
    this.drawCards();
    this.drawDetails();
  }

  row({ id, depth, children, open }, index, now) {
    const row = this.trace.rows.get(id);
    const fold = el("span", { class: "agentkit-fold", "aria-hidden": "true" }, children ? (open ? "▾" : "▸") : "");
    const text = this.trace.text.get(id);
    const note = text ? text.slice(-160) : (row.note ?? "");
    const name = el("span", { class: "agentkit-name" }, fold, el("span", { class: "agentkit-mark", "aria-hidden": "true" }, MARKS[row.status] ?? "·"), " ", el("b", {}, row.name), el("span", { class: "agentkit-note" }, note));
    name.style.paddingLeft = `${Math.min(depth, 30) * 14}px`;
    const { from, until } = this.trace;
    const bar = el("span", { class: "agentkit-time", "aria-hidden": "true" });
    if (row.started && from < Infinity) {
      const whole = Math.max(0.001, Math.max(until, this.trace.ended ? 0 : now) - from);
      const part = el("i");
      part.style.left = `${Math.min(99, 100 * (row.started - from) / whole)}%`;
      part.style.width = `${Math.max(0.5, 100 * ((row.ended ?? (this.trace.ended ? row.started : now)) - row.started) / whole)}%`;
      bar.append(part);
    }
    const made = el("div", {
      class: "agentkit-row", role: "treeitem", "data-status": row.status, "data-step": row.step,
      "aria-level": depth + 1, "aria-setsize": this.visible.length, "aria-posinset": index + 1,
      "aria-selected": this.chosen === id ? "true" : "false", "aria-expanded": children ? String(open) : null,
      "aria-label": `${row.name}, ${row.status}, ${facts(row, now)}`,
    }, name, el("span", { class: "agentkit-facts" }, facts(row, now)), bar);
    fold.addEventListener("click", (event) => { event.stopPropagation(); this.fold(id); });
    made.addEventListener("click", () => this.choose(this.chosen === id ? null : id));
    return made;
  }

  fold(id) {
    const one = this.visible.find((other) => other.id === id);
    if (one) this.folded.set(id, one.open);
    this.changed();
  }

  choose(id) {
    this.chosen = id;
    if (id && !this.trace.details.has(id)) this.trace.send({ kind: "open", id });
    this.shown = undefined;
    this.changed();
  }

  key(event) {
    const at = this.visible.findIndex((one) => one.id === this.chosen);
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
    if (move !== undefined || event.key === "Home" || event.key === "End") {
      const last = this.visible.length - 1;
      const to = event.key === "Home" ? 0 : event.key === "End" ? last : Math.min(last, Math.max(0, at + move));
      if (to >= 0 && this.visible[to]) {
        this.choose(this.visible[to].id);
        const top = to * HEIGHT;
        if (top < this.view.scrollTop) this.view.scrollTop = top;
        if (top + HEIGHT > this.view.scrollTop + this.view.clientHeight) this.view.scrollTop = top + HEIGHT - this.view.clientHeight;
      }
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const one = this.visible[at];
      if (one?.children && one.open === (event.key === "ArrowLeft")) this.fold(one.id);
    } else if (event.key === "Escape") {
      this.choose(null);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  async copied() {
    const row = this.trace.rows.get(this.chosen ?? this.visible[0]?.id);
    if (!row) return;
    const text = JSON.stringify({ ...row, details: this.trace.details.get(row.id) }, null, 1);
    try { await navigator.clipboard.writeText(text); this.said.textContent = "copied"; } catch { this.said.textContent = "the browser does not allow copying"; }
  }

  drawDetails() {
    const row = this.chosen ? this.trace.rows.get(this.chosen) : null;
    this.details.hidden = !row;
    if (!row) return;
    const sections = this.trace.details.get(row.id);
    if (!sections && this.asked !== `${row.id} ${this.trace.number}`) {
      this.asked = `${row.id} ${this.trace.number}`;
      this.trace.send({ kind: "open", id: row.id });
    }
    if (!sections || this.shown === sections) return;
    this.shown = sections;
    this.details.replaceChildren(el("h4", {}, `${row.name} · ${row.step || "the run"}`), ...sections.flatMap(section));
  }

  drawCards() {
    const wanted = new Map(this.trace.cards.map((card) => [card.id, card]));
    for (const [id, card] of this.made) if (!wanted.has(id)) { card.root.remove(); this.made.delete(id); }
    for (const [id, card] of wanted) {
      if (!this.made.has(id)) {
        const made = new Card(this.trace, card);
        this.made.set(id, made);
        this.cards.append(made.root);
      }
      this.made.get(id).update();
    }
  }
}

function section({ title, form, value }) {
  const head = el("h4", {}, title);
  if (form === "text") return [head, el("pre", {}, String(value))];
  if (form === "error") {
    const { type, message, traceback, ...rest } = value;
    const parts = [head, el("pre", { class: "agentkit-error" }, `${type}: ${message}`)];
    if (Object.keys(rest).length) parts.push(json(rest));
    if (traceback) parts.push(el("details", {}, el("summary", {}, "traceback"), el("pre", {}, traceback)));
    return parts;
  }
  return [head, json(value)];
}

function json(value, key = "", open = true) {
  const label = key === "" ? "" : `${key}: `;
  if (value === null || typeof value !== "object") {
    return el("pre", {}, `${label}${typeof value === "string" && key === "" ? value : JSON.stringify(value)}`);
  }
  const entries = Object.entries(value);
  const shape = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  if (!entries.length) return el("pre", {}, `${label}${shape}`);
  const made = el("details", { class: "agentkit-json", open: open && entries.length <= 50 }, el("summary", {}, `${label}${shape}`));
  let filled = false;
  const fill = () => {
    if (filled) return;
    filled = true;
    made.append(...entries.slice(0, 500).map(([name, inner]) => json(inner, name, false)));
    if (entries.length > 500) made.append(el("pre", {}, `… ${entries.length - 500} more`));
  };
  if (made.open) fill();
  made.addEventListener("toggle", fill);
  return made;
}

// One question: exactly what will run, and the ways to answer. Nothing in it is made of what a model wrote but text.
class Card {
  constructor(trace, card) {
    this.trace = trace;
    this.card = card;
    this.fields = new Map();
    const titles = { call: `Run ${card.name}?`, question: "A question", in_doubt: `${card.name}: did it happen?`, budget: "More budget?", loop: "Go on?" };
    this.root = el("section", { class: "agentkit-card", "data-id": card.id, "aria-label": titles[card.kind] ?? card.kind });
    const title = titles[card.kind] ?? card.kind;
    const prompt = card.prompt.startsWith(title) ? card.prompt.slice(title.length).trim() : card.prompt;
    const parts = [el("h3", {}, `? ${title}`)];
    if (prompt) parts.push(el("pre", {}, prompt));
    if (card.why) parts.push(el("div", { class: "agentkit-why" }, `why, in the model's words: ${card.why}`));
    if (card.because && card.because !== "policy") parts.push(el("div", { class: "agentkit-why" }, `asked because: ${card.because}`));
    if (card.shows) parts.push(el("details", { open: true }, el("summary", {}, "what to know first"), json(card.shows)));
    if (card.kind === "call") parts.push(this.arguments(card.arguments ?? {}));
    if (card.kind === "in_doubt") parts.push(json(card.arguments));
    if (card.kind === "budget") parts.push(this.budget(card.shows?.budget ?? {}));
    this.words = el("input", { type: "text", placeholder: card.kind === "question" && !card.options.length ? "your answer" : "a reason or a comment", "aria-label": "reason, comment or answer" });
    this.buttons = el("div", { class: "agentkit-buttons" }, ...this.ways());
    this.told = el("div", { class: "agentkit-told", role: "status" });
    this.else = this.elsewhere();
    this.root.append(...parts, this.words, this.buttons, this.told, this.else);
    for (const one of ["keydown", "keypress", "keyup"]) this.root.addEventListener(one, (event) => event.stopPropagation());
  }

  arguments(given) {
    const grid = el("div", { class: "agentkit-fields" });
    for (const [name, value] of Object.entries(given)) this.field(grid, name, value);
    return grid;
  }

  budget(before) {
    const grid = el("div", { class: "agentkit-fields" });
    for (const name of ["usd", "model_calls"]) this.field(grid, name, before[name] ?? null);
    return grid;
  }

  // An argument as its schema has it: a choice, a number with its bounds, yes or no, text, or JSON.
  field(grid, name, value) {
    const id = `ak-${this.card.id}-${name}`;
    const schema = this.card.schema?.[name] ?? {};
    const isText = typeof value === "string";
    const before = isText ? value : JSON.stringify(value, null, 1);
    const input = choice(id, schema, value) ?? (isText && (value.includes("\n") || value.length > 80) || (value !== null && typeof value === "object")
      ? el("textarea", { id, rows: String(Math.min(8, before.split("\n").length + 1)) })
      : el("input", { id, type: "text", inputmode: typeof value === "number" ? "decimal" : null }));
    input.value = before;
    input.addEventListener("input", () => {
      input.toggleAttribute("data-changed", input.value !== before);
      this.update();
    });
    this.fields.set(name, { input, before, value, schema });
    const label = el("label", { for: id }, name);
    if (typeof schema.description === "string") label.title = schema.description;
    grid.append(label, input);
  }

  edits() {
    const changed = {};
    for (const [name, { input, before, value, schema }] of this.fields) {
      if (input.value === before) continue;
      changed[name] = read(name, input.value, value, schema);
    }
    return changed;
  }

  ways() {
    const { kind, options } = this.card;
    const button = (label, kind_, give) => el("button", { type: "button", class: kind_, onclick: () => this.send(give) }, label);
    const comment = () => this.words.value.trim() || null;
    const no = button("reject", "agentkit-no", () => ({ verdict: "reject", comment: comment() }));
    if (kind === "question") {
      const choices = options.length
        ? options.map((option) => button(option, "agentkit-yes", () => ({ verdict: "answer", value: option })))
        : [button("answer", "agentkit-yes", () => ({ verdict: "answer", value: this.words.value }))];
      return [...choices, no];
    }
    if (kind === "in_doubt") {
      return [
        button("it happened", "agentkit-yes", () => ({ verdict: "happened", value: parsed(this.words.value) })),
        button("it did not: run it", "", () => ({ verdict: "did_not" })),
        button("stop the run", "agentkit-no", () => ({ verdict: "stop" })),
      ];
    }
    this.yes = button("approve", "agentkit-yes", () => {
      const edits = this.edits();
      const edited = Object.keys(edits).length > 0;
      return { verdict: edited ? "edit" : "approve", edits: edited ? edits : null, comment: comment() };
    });
    return [this.yes, no];
  }

  send(give) {
    let given;
    try { given = give(); } catch (error) { this.trace.told.set(this.card.id, { bad: true, text: error.message }); this.update(); return; }
    this.trace.answer(this.card.id, given);
  }

  update() {
    const { deaf } = this.trace;
    const told = this.trace.told.get(this.card.id);
    const isAnswered = Boolean(told && !told.bad);
    for (const button of this.buttons.children) button.disabled = isAnswered;
    const sent = deaf ? "sent; a kernel that is only busy takes it when its cell is done" : "sent …";
    this.told.textContent = told?.sending ? sent : (told?.text ?? "");
    this.told.toggleAttribute("data-bad", Boolean(told?.bad));
    this.else.hidden = !deaf || (isAnswered && !told.sending);
    const isEdited = [...this.fields.values()].some(({ input, before }) => input.value !== before);
    if (this.yes) this.yes.textContent = isEdited ? "approve as edited" : "approve";
  }

  // What to do where a click does not arrive.
  elsewhere() {
    const { id, kind, run_id: run } = this.card;
    const verbs = { question: `answer ${id} '…'`, in_doubt: `resolve ${id} …` };
    return el("div", { class: "agentkit-else", role: "status", hidden: true },
      "Clicks do not reach the kernel now: it is busy with a cell, or gone. Interrupt the cell, or answer from elsewhere; in a terminal:",
      el("pre", {}, `agentkit ${verbs[kind] ?? `approve ${id}`}`),
      "in another notebook:",
      el("pre", {}, `ak.open_log().run("${run}")`));
  }
}

function choice(id, schema, value) {
  const known = schema.type === "boolean" ? [true, false] : Array.isArray(schema.enum) ? schema.enum : null;
  if (!known || !known.some((one) => one === value)) return null;
  const option = (one) => { const text = typeof one === "string" ? one : JSON.stringify(one); return el("option", { value: text }, text); };
  return el("select", { id }, ...known.map(option));
}

// What a person wrote, as its argument's type has it; an Error says what is wrong with it.
function read(name, text, value, schema) {
  const type = schema.type ?? (typeof value === "string" ? "string" : undefined);
  if (type === "string") return text;
  let given;
  try { given = JSON.parse(text); } catch { throw new Error(`${name}: ${text} is ${type ? `no ${type}` : "not JSON; text stands in quotes"}`); }
  if ((type === "number" || type === "integer") && typeof given !== "number") throw new Error(`${name}: ${text} is no number`);
  if (type === "integer" && !Number.isInteger(given)) throw new Error(`${name}: ${text} is no whole number`);
  if (typeof given === "number") {
    const { minimum: least, maximum: most, exclusiveMinimum: over, exclusiveMaximum: under } = schema;
    if (given < least || given <= over) throw new Error(`${name}: ${text} is too small: ${least ?? over} ${least === undefined ? "is already" : "is the least"}`);
    if (given > most || given >= under) throw new Error(`${name}: ${text} is too large: ${most ?? under} ${most === undefined ? "is already" : "is the most"}`);
  }
  return given;
}

function parsed(text) {
  if (!text.trim()) return null;
  try { return JSON.parse(text); } catch { return text; }
}

// The elements that mark where the trace stands: one for each view of the cell's output.
function stand(trace, place) {
  for (const spot of document.getElementsByClassName(place)) {
    if (spot.querySelector(":scope > .agentkit")) continue;
    let view = [...trace.views].find((one) => !one.root.isConnected);
    if (!view) trace.views.add(view = new View(trace));
    view.stand(spot);
  }
}

export default () => {
  let trace;
  return {
    initialize({ model }) {
      trace = new Trace(model);
      const place = model.get("place");
      const timer = place ? setInterval(() => stand(trace, place), LOOK) : 0;
      if (place) stand(trace, place);
      return () => { clearInterval(timer); trace.close(); };
    },
    render({ el: root }) {
      const view = new View(trace);
      trace.views.add(view);
      view.stand(root);
      return () => view.close();
    },
  };
};
