// One question: exactly what will run, and the ways to answer. Nothing in it is made of what a model wrote but text.

const CALM = 400; // milliseconds until a new card takes clicks: one that was meant for what stood there before is none
const ARMED = 5000; // milliseconds in which Enter confirms a shortcut
const LONG = 600; // characters of a docstring that are shown at once

class Card {
  constructor(trace, card) {
    this.trace = trace;
    this.card = card;
    this.fields = new Map();
    this.born = Date.now();
    const titles = { call: `Run ${card.name}?`, question: "A question", in_doubt: `${card.name}: did it happen?`, budget: "More budget?", loop: "Go on?", deopt: "Let the agent go on?" };
    const title = titles[card.kind] ?? card.kind;
    this.root = el("section", { class: "agentkit-card", "data-id": card.id, "aria-label": title, tabindex: "-1", "data-lm-suppress-shortcuts": "true" });
    this.words = el("input", { type: "text", placeholder: this.wanted(), "aria-label": "reason, comment or answer" });
    this.buttons = el("div", { class: "agentkit-buttons" }, ...this.ways());
    this.told = el("div", { class: "agentkit-told", role: "status" });
    this.box = el("div", { class: "agentkit-else", role: "status", hidden: true }, "The waiting cell asks this in its input box: clicks do not reach a kernel that executes a cell.");
    this.else = this.elsewhere();
    this.root.append(...this.about(title), this.words, this.buttons, this.told, this.box, this.else);
    this.root.addEventListener("keydown", (event) => this.key(event));
    for (const one of ["keypress", "keyup"]) this.root.addEventListener(one, (event) => event.stopPropagation());
    setTimeout(() => this.update(), CALM + 1);
  }

  // Everything that a person should see before saying yes.
  about(title) {
    const { card } = this;
    const why = (text) => el("div", { class: "agentkit-why" }, text);
    const prompt = card.prompt.startsWith(title) ? card.prompt.slice(title.length).trim() : card.prompt;
    const parts = [el("h3", {}, `? ${title}`)];
    if (this.trace.model.get("inbox")) {
      const since = new Date(card.since * 1000).toLocaleString();
      parts.push(why(`${card.run} · run ${card.run_id.slice(0, 13)}${card.step ? ` · ${card.step}` : ""} · since ${since}`));
    }
    if (prompt) parts.push(el("pre", {}, prompt));
    if (card.about) parts.push(el("details", { class: "agentkit-about", open: card.about.length <= LONG }, el("summary", {}, "what the tool says of itself"), el("pre", {}, card.about)));
    if (card.why) parts.push(why(`why, in the model's words: ${card.why}`));
    if (card.instead_of) parts.push(why(`instead of, in the model's words: ${card.instead_of}`));
    if (card.because && !["policy", card.kind].includes(card.because)) parts.push(why(`asked because: ${card.because}`));
    if (card.expires) parts.push(why(`until ${new Date(card.expires * 1000).toLocaleString()}`));
    if (card.shows && card.kind !== "budget") parts.push(el("details", { open: true }, el("summary", {}, "what to know first"), json(card.shows)));
    if (card.kind === "call") parts.push(this.grid(card.arguments ?? {}));
    if (card.kind === "in_doubt" || card.kind === "loop") parts.push(why("the call"), json(card.arguments));
    if (card.kind === "budget") parts.push(this.grid({ usd: null, model_calls: null, ...card.shows?.budget }));
    return parts;
  }

  wanted() {
    const { kind, options } = this.card;
    if (kind === "question" && !options.length) return "your answer";
    return kind === "in_doubt" ? "where it happened: its result, as JSON" : "a reason or a comment";
  }

  grid(given) {
    const grid = el("div", { class: "agentkit-fields" });
    for (const [name, value] of Object.entries(given)) this.field(grid, name, value);
    return grid;
  }

  // An argument as its schema has it: a choice, a number with its bounds, yes or no, text, or JSON.
  field(grid, name, value) {
    const id = `ak-${this.card.id}-${name}-${Math.random().toString(36).slice(2)}`;
    const schema = this.card.schema?.[name] ?? {};
    const isText = typeof value === "string";
    const isOpen = value === null && this.card.kind === "budget"; // no limit
    const before = isOpen ? "" : isText ? value : JSON.stringify(value, null, 1);
    const input = choice(id, schema, value) ?? (isText && (value.includes("\n") || value.length > 80) || (value !== null && typeof value === "object")
      ? el("textarea", { id, rows: String(Math.min(8, before.split("\n").length + 1)) })
      : el("input", { id, type: "text", inputmode: typeof value === "number" ? "decimal" : null, placeholder: this.card.kind === "budget" ? "no limit" : null }));
    input.value = before;
    const from = this.from(name);
    const said = el("div", { class: "agentkit-from", id: `${id}-from` }, from);
    input.setAttribute("aria-describedby", said.id);
    input.addEventListener("input", () => {
      const isEdited = input.value !== before;
      input.toggleAttribute("data-changed", isEdited);
      said.textContent = isEdited ? `edited here; it was ${before}` : from;
      this.update();
    });
    this.fields.set(name, { input, before, value, schema });
    grid.append(el("label", { for: id }, name), el("div", {}, input, said));
  }

  // What an argument means, by the docstring, and where its value came from.
  from(name) {
    const { description } = this.card.schema?.[name] ?? {};
    const origins = Object.entries(this.card.origins ?? {}).filter(([path]) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`));
    const came = origins.map(([path, text]) => (path === name ? text : `${path.slice(name.length)}: ${text}`));
    return [typeof description === "string" ? description : "", came.length ? `from: ${came.slice(0, 6).join("; ")}${came.length > 6 ? "; …" : ""}` : ""].filter(Boolean).join(" · ");
  }

  edits() {
    const changed = {};
    for (const [name, { input, before, value, schema }] of this.fields) {
      if (input.value === before) continue;
      const isOpen = this.card.kind === "budget" && !input.value.trim(); // no limit
      changed[name] = isOpen ? null : read(name, input.value, value, schema);
    }
    return changed;
  }

  ways() {
    const { kind, options } = this.card;
    const button = (label, kind_, give, key) => el("button", { type: "button", class: kind_, "data-key": key, title: key ? `Alt+${key.slice(-1)}, then Enter` : null, onclick: () => this.send(give) }, label);
    const comment = () => this.words.value.trim() || null;
    const no = (label = "reject") => button(label, "agentkit-no", () => ({ verdict: "reject", comment: comment() }), "KeyR");
    if (kind === "question") {
      const choices = options.length
        ? options.map((option, i) => button(option, "agentkit-yes", () => ({ verdict: "answer", value: option }), i < 9 ? `Digit${i + 1}` : null))
        : [button("answer", "agentkit-yes", () => ({ verdict: "answer", value: this.words.value }), "KeyA")];
      return [...choices, no()];
    }
    if (kind === "in_doubt") {
      return [
        button("it happened", "agentkit-yes", () => ({ verdict: "happened", value: parsed(this.words.value) }), "Digit1"),
        button("it did not: run it", "", () => ({ verdict: "did_not" }), "Digit2"),
        button("stop the run", "agentkit-no", () => ({ verdict: "stop" }), "Digit3"),
      ];
    }
    const yes = { budget: "raise it", loop: "go on" }[kind];
    this.yes = button(yes ?? "approve", "agentkit-yes", () => {
      const edits = this.edits();
      const edited = Object.keys(edits).length > 0;
      return { verdict: edited ? "edit" : "approve", edits: edited ? edits : null, comment: comment() };
    }, "KeyA");
    return [this.yes, no(yes ? "stop here" : "reject")];
  }

  // Two keys one after the other, in this card alone: nothing that is typed elsewhere, or held down, answers.
  key(event) {
    event.stopPropagation();
    const { armed } = this;
    if (armed) {
      this.disarm();
      if (event.key === "Enter" && !event.repeat) {
        event.preventDefault();
        armed.click();
      }
      return;
    }
    if (!event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
    const button = [...this.buttons.children].find((one) => one.dataset.key === event.code);
    if (!button || button.disabled) return;
    event.preventDefault();
    this.armed = button;
    button.toggleAttribute("data-armed", true);
    this.told.textContent = `Enter: ${button.textContent}; any other key: not`;
    this.timer = setTimeout(() => this.disarm(), ARMED);
  }

  disarm() {
    clearTimeout(this.timer);
    this.armed?.removeAttribute("data-armed");
    this.armed = null;
    this.update();
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
    const isBoxed = this.trace.boxed.has(this.card.id);
    const isNew = Date.now() - this.born < CALM;
    for (const button of this.buttons.children) button.disabled = isAnswered || isBoxed || isNew;
    this.box.hidden = !isBoxed;
    const sent = deaf ? "sent; a kernel that is only busy takes it when its cell is done" : "sent …";
    if (!this.armed) this.told.textContent = told?.sending ? sent : (told?.text ?? "");
    this.told.toggleAttribute("data-bad", Boolean(told?.bad));
    this.else.hidden = !deaf || isBoxed || (isAnswered && !told.sending);
    const isEdited = [...this.fields.values()].some(({ input, before }) => input.value !== before);
    if (this.card.kind === "call") this.yes.textContent = isEdited ? "approve as edited" : "approve";
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
