// One question: exactly what will run, and the ways to answer. Nothing in it is made of what a model wrote but text.
class Card {
  constructor(trace, card) {
    this.trace = trace;
    this.card = card;
    this.fields = new Map();
    const titles = { call: `Run ${card.name}?`, question: "A question", in_doubt: `${card.name}: did it happen?`, budget: "More budget?", loop: "Go on?", deopt: "Let the agent go on?" };
    this.root = el("section", { class: "agentkit-card", "data-id": card.id, "aria-label": titles[card.kind] ?? card.kind });
    const title = titles[card.kind] ?? card.kind;
    const prompt = card.prompt.startsWith(title) ? card.prompt.slice(title.length).trim() : card.prompt;
    const parts = [el("h3", {}, `? ${title}`)];
    if (trace.model.get("inbox")) {
      const since = new Date(card.since * 1000).toLocaleString();
      parts.push(el("div", { class: "agentkit-why" }, `${card.run} · run ${card.run_id.slice(0, 13)}${card.step ? ` · ${card.step}` : ""} · since ${since}`));
    }
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
