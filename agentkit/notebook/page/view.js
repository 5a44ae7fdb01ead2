// A view of a trace: a virtual list of the rows on screen, with its search, its details and its cards.

const HEIGHT = 22; // pixels of a row; trace.css has the same
const AHEAD = 12; // rows drawn beyond both edges of the view
const MANY = 20; // rows below another from which on they are folded away

class View {
  constructor(trace) {
    this.trace = trace;
    this.name = `agentkit-${Math.random().toString(36).slice(2)}`; // of its elements, for who cannot see them
    this.folded = new Map(); // row → whether a person folded it; the others are folded where they are many
    this.chosen = null;
    this.words = "";
    this.only = new Set();
    this.visible = [];
    this.asked = 0;
    this.search = el("input", { type: "search", placeholder: "search", "aria-label": "search the steps", oninput: () => this.filter() });
    this.errors = this.toggle("errors", "show only what failed, and what it stands below");
    this.costs = this.toggle("cost", "show only what costs money");
    this.talked = this.toggle("comments", "show only what somebody commented on, and what it stands below");
    this.deaf = el("div", { class: "agentkit-deaf", role: "status", hidden: true });
    this.said = el("span", { class: "agentkit-said", "aria-live": "polite" });
    this.tools = el("select", { "aria-label": "show only one tool's calls", hidden: true, onchange: () => this.changed() }, el("option", { value: "" }, "every tool"));
    this.copy = el("span", { class: "agentkit-group" }, ...[["JSON", (row) => this.asJson(row)], ["Markdown", (row) => this.asMarkdown(row)]].map(([label, make]) =>
      el("button", { type: "button", title: `copy the chosen step as ${label}; all that is shown where none is chosen`, onclick: () => this.copied(make) }, `copy ${label}`)));
    this.links = el("span", { class: "agentkit-group" });
    this.grade = new Grade(trace);
    this.heard = el("div", { class: "agentkit-heard", role: "log" });
    this.cards = el("div", { class: "agentkit-cards" });
    this.list = el("div", { class: "agentkit-rows" });
    this.space = el("div", {});
    this.view = el("div", { class: "agentkit-view", role: "tree", tabindex: "0", "data-lm-suppress-shortcuts": "true", "aria-label": "the steps of the run" }, this.space, this.list);
    this.details = el("div", { class: "agentkit-details", hidden: true });
    this.talk = new Talk(this);
    const bar = el("div", { class: "agentkit-bar" }, this.search, this.tools, this.errors, this.costs, this.talked, this.copy, this.links, this.grade.root, this.said);
    this.isInbox = Boolean(trace.model.get("inbox"));
    this.root = this.isInbox
      ? el("div", { class: "agentkit" }, el("div", { class: "agentkit-bar" }, this.said), this.deaf, this.cards, this.heard)
      : el("div", { class: "agentkit" }, bar, this.deaf, this.cards, this.heard, this.view, this.details, this.talk.root);
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
    const said = this.trace.comments.get(row.id);
    if (this.only.has("comments") && !said) return false;
    if (this.tools.value && !(["tool", "step"].includes(row.kind) && row.name === this.tools.value)) return false;
    if (!this.words) return true;
    const words = (said ?? []).map((one) => `${one.who} ${one.text}`).join(" ");
    return `${row.name} ${row.step} ${row.status} ${row.note ?? ""} ${words}`.toLowerCase().includes(this.words);
  }

  isFiltering() {
    return Boolean(this.words || this.only.size || this.tools.value);
  }

  // The rows to be seen, in order, with their depth; where something is searched for, its ancestors too.
  flatten() {
    const { rows, below } = this.trace;
    const filtering = this.isFiltering();
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
    this.deaf.hidden = !(trace.deaf && waits) || trace.boxed.size > 0;
    this.deaf.textContent = "The kernel does not answer now: it is busy with a cell, or gone.";
    if (this.isInbox) {
      const count = trace.cards.length;
      this.said.textContent = count ? `${count} ${count === 1 ? "waits" : "wait"} for a person` : "nothing waits for a person";
      const told = [...trace.told.values()].filter((one) => one.text).slice(-5);
      this.heard.replaceChildren(...told.map((one) => el("div", { class: "agentkit-told", "data-bad": Boolean(one.bad) }, one.text)));
      this.drawCards();
      return;
    }
    this.visible = this.flatten();
    const height = Math.min(420, Math.max(1, this.visible.length) * HEIGHT + 2);
    this.view.style.height = `${height}px`;
    this.space.style.height = `${this.visible.length * HEIGHT}px`;
    const first = Math.max(0, Math.floor(this.view.scrollTop / HEIGHT) - AHEAD);
    const last = Math.min(this.visible.length, first + Math.ceil(height / HEIGHT) + 2 * AHEAD);
    this.list.style.transform = `translateY(${first * HEIGHT}px)`;
    const now = Date.now() / 1000;
    this.list.replaceChildren(...this.visible.slice(first, last).map((one, index) => this.row(one, first + index, now)));
    const chosen = this.visible.findIndex((one) => one.id === this.chosen);
    this.view.setAttribute("aria-activedescendant", chosen < 0 ? "" : `${this.name}-${chosen}`);
    const said = `${trace.loading ? "loading … " : ""}${trace.rows.size.toLocaleString("en")} steps${this.isFiltering() ? `, ${this.visible.length} shown` : ""}`;
    if (!(Date.now() < this.quiet)) this.said.textContent = said;
    this.heard.replaceChildren(...trace.answered.slice(-3).map((text) => el("div", {}, text)));
    this.drawBar();
    this.drawCards();
    this.drawDetails();
  }

  // What is offered beside the rows: it changes seldom, so that a list that is open stays so.
  drawBar() {
    const { trace } = this;
    if (this.named !== trace.names.size) {
      this.named = trace.names.size;
      const chosen = this.tools.value;
      this.tools.replaceChildren(...["", ...[...trace.names].sort()].map((name) => el("option", { value: name }, name || "every tool")));
      this.tools.value = chosen;
      this.tools.hidden = trace.names.size < 2;
    }
    if (this.linked !== trace.links) {
      this.linked = trace.links;
      const safe = (trace.links ?? []).filter(([, url]) => /^https?:\/\//.test(url));
      this.links.replaceChildren(...safe.map(([name, url]) => el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, `${name} ↗`)));
    }
    this.grade.update();
  }

  row({ id, depth, children, open }, index, now) {
    const row = this.trace.rows.get(id);
    const fold = el("span", { class: "agentkit-fold", "aria-hidden": "true" }, children ? (open ? "▾" : "▸") : "");
    const text = this.trace.text.get(id);
    const note = text ? text.slice(-160) : (row.note ?? "");
    const said = this.trace.comments.get(id)?.length ?? 0;
    const talked = said ? [el("span", { class: "agentkit-talked", "aria-hidden": "true", title: counted(said) }, `✎ ${said}`)] : [];
    const name = el("span", { class: "agentkit-name" }, fold, el("span", { class: "agentkit-mark", "aria-hidden": "true" }, MARKS[row.status] ?? "·"), " ", el("b", {}, row.name), ...talked, el("span", { class: "agentkit-note" }, note));
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
      class: "agentkit-row", role: "treeitem", id: `${this.name}-${index}`, "data-status": row.status, "data-step": row.step,
      "aria-level": depth + 1, "aria-setsize": this.visible.length, "aria-posinset": index + 1,
      "aria-selected": this.chosen === id ? "true" : "false", "aria-expanded": children ? String(open) : null,
      "aria-label": [row.name, row.status, facts(row, now), ...(said ? [counted(said)] : [])].join(", "),
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

  goTo(index) {
    this.choose(this.visible[index].id);
    const top = index * HEIGHT;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    if (top + HEIGHT > this.view.scrollTop + this.view.clientHeight) this.view.scrollTop = top + HEIGHT - this.view.clientHeight;
  }

  key(event) {
    const at = this.visible.findIndex((one) => one.id === this.chosen);
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
    if (move !== undefined || event.key === "Home" || event.key === "End") {
      const last = this.visible.length - 1;
      const to = event.key === "Home" ? 0 : event.key === "End" ? last : Math.min(last, Math.max(0, at + move));
      if (to >= 0 && this.visible[to]) this.goTo(to);
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const one = this.visible[at];
      if (one?.children && one.open === (event.key === "ArrowLeft")) this.fold(one.id);
    } else if (event.key === "Escape") {
      this.choose(null);
    } else if (event.key === "e") {
      const isBad = ({ id }) => ["error", "rejected", "in doubt"].includes(this.trace.rows.get(id).status);
      const to = [...this.visible.keys()].find((i) => i > at && isBad(this.visible[i])) ?? this.visible.findIndex(isBad);
      if (to >= 0) this.goTo(to);
    } else if (event.key === "c" && at >= 0 && !(event.ctrlKey || event.metaKey || event.altKey)) {
      this.talk.update(this.trace.rows.get(this.chosen));
      this.talk.begin();
    } else if (event.key === "/") {
      this.search.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  async copied(make) {
    const text = make(this.trace.rows.get(this.chosen));
    this.said.textContent = (await toClipboard(text)) ? "copied" : "the browser does not allow copying";
    this.quiet = Date.now() + 2000;
  }

  asJson(row) {
    const told = (one) => ({ ...one, comments: this.trace.comments.get(one.id) });
    const rows = this.visible.map(({ id }) => told(this.trace.rows.get(id)));
    return JSON.stringify(row ? { ...told(row), details: this.trace.details.get(row.id) } : rows, null, 1);
  }

  asMarkdown(row) {
    const said = (id, depth) => (this.trace.comments.get(id) ?? []).map((one) => commentMarkdown(one, depth));
    if (!row) return this.visible.flatMap(({ id, depth }) => [rowMarkdown(this.trace.rows.get(id), depth), ...said(id, depth + 1)]).join("\n");
    const sections = this.trace.details.get(row.id) ?? [];
    return [rowMarkdown(row).slice(2), said(row.id, 0).join("\n"), ...sections.map(sectionMarkdown)].filter(Boolean).join("\n\n");
  }

  drawDetails() {
    const row = this.chosen ? this.trace.rows.get(this.chosen) : null;
    this.details.hidden = !row;
    this.talk.update(row);
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
