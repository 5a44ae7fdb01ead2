// What people say about a row: theirs in a list, and a form for one more, which keeps what was begun on each row.

class Talk {
  constructor(view) {
    this.view = view;
    this.trace = view.trace;
    this.row = null;
    this.drafts = new Map(); // row → what was written and not sent
    this.open = new Set(); // rows whose form is open
    this.sent = new Map(); // row → the token of what was sent and not answered yet
    this.bad = new Map(); // row → why it was not taken
    this.list = el("div", { class: "agentkit-talk-list", role: "list", "aria-label": "comments" });
    this.begins = el("button", { type: "button", title: "comment on this step: the key c", onclick: () => this.begin() }, "comment");
    this.words = el("textarea", { rows: "2", maxlength: "10000", placeholder: "what others should know (Enter sends, Shift+Enter: a new line)", "aria-label": "comment" });
    this.by = el("input", { type: "text", maxlength: "100", "aria-label": "whose words they are" });
    this.by.value = remembered();
    this.send = el("button", { type: "button", class: "agentkit-yes", onclick: () => this.give() }, "send");
    this.told = el("div", { class: "agentkit-told", role: "status" });
    this.else = el("pre", { hidden: true });
    this.form = el("div", { class: "agentkit-talk-form", hidden: true, "data-lm-suppress-shortcuts": "true" }, this.words, el("div", { class: "agentkit-buttons" }, this.send, el("span", { class: "agentkit-said" }, "as"), this.by), this.told, this.else);
    this.root = el("div", { class: "agentkit-talk", hidden: true }, this.list, this.begins, this.form);
    this.words.addEventListener("input", () => this.drafts.set(this.row?.id, this.words.value));
    this.form.addEventListener("keydown", (event) => this.key(event));
    for (const one of ["keypress", "keyup"]) this.form.addEventListener(one, (event) => event.stopPropagation());
  }

  key(event) {
    event.stopPropagation();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target !== this.send) {
      event.preventDefault();
      this.give();
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.open.delete(this.row?.id); // what was begun stays
      this.update(this.row);
      this.view.view.focus();
    }
  }

  begin() {
    if (!this.row || this.root.hidden) return;
    this.open.add(this.row.id);
    this.update(this.row);
    this.words.focus();
  }

  give() {
    const text = this.words.value.trim();
    if (!text || this.sent.has(this.row.id)) return;
    const by = this.by.value.trim();
    remember(by);
    const token = `${this.view.name} ${Date.now()}`;
    this.bad.delete(this.row.id);
    this.sent.set(this.row.id, token);
    this.trace.send({ kind: "comment", id: this.row.id, text, by: by || null, token });
    this.update(this.row);
  }

  // The kernel's word on what was sent from here: it is recorded, or why it is not.
  hear() {
    for (const [id, token] of this.sent) {
      const told = this.trace.commented.get(token);
      if (!told) continue;
      this.sent.delete(id);
      if (told.bad) {
        this.bad.set(id, told.bad);
        continue;
      }
      const at = document.activeElement === document.body ? this.view.focused : document.activeElement; // or where it was: the document was written
      const focused = Boolean(at) && this.form.contains(at) && this.row?.id === id;
      this.drafts.delete(id);
      this.open.delete(id);
      if (this.row?.id === id) this.words.value = "";
      if (!focused) continue;
      this.view.focused = this.view.view;
      this.view.view.focus();
    }
  }

  update(row) {
    this.hear();
    const changed = row?.id !== this.row?.id;
    this.row = row;
    this.root.hidden = !row || row.kind === "question"; // which is answered, on its card
    if (!row) return;
    const said = this.trace.comments.get(row.id) ?? [];
    if (changed || this.shown !== said) {
      this.shown = said;
      this.list.replaceChildren(...said.map((one) => comment(one, row)));
      if (changed) this.words.value = this.drafts.get(row.id) ?? "";
    }
    const isOpen = this.open.has(row.id);
    const isSent = this.sent.has(row.id);
    this.form.hidden = !isOpen;
    this.begins.hidden = isOpen;
    this.send.disabled = isSent;
    this.by.placeholder = this.trace.you;
    const deaf = isSent && this.trace.deaf;
    const waits = deaf ? "sent; a kernel that is only busy takes it when its cell is done. If it is gone, in a terminal:" : "sent …";
    this.told.textContent = isSent ? waits : (this.bad.get(row.id) ?? "");
    this.told.toggleAttribute("data-bad", !isSent && this.bad.has(row.id));
    this.else.hidden = !deaf;
    if (deaf) this.else.textContent = inTerminal(row, this.words.value.trim());
  }
}

function comment({ who, at, step, text }, row) {
  const about = step && step !== row.step ? ` on ${step}` : "";
  const when = el("time", { datetime: new Date(at * 1000).toISOString() }, new Date(at * 1000).toLocaleString());
  return el("div", { class: "agentkit-comment", role: "listitem" }, el("div", { class: "agentkit-said" }, el("b", {}, who), " ", when, about), el("div", { class: "agentkit-words" }, text));
}

function inTerminal(row, text) {
  const quoted = `'${text.replaceAll("'", `'\\''`)}'`;
  const step = row.step ? ` --step '${row.step}'` : "";
  return `agentkit comment ${row.id.slice(0, 36)} ${quoted}${step}`;
}

// Of several people at one kernel each says once who speaks, in their own browser.
function remembered() {
  try { return localStorage.getItem("agentkit-by") ?? ""; } catch { return ""; }
}

function remember(by) {
  try { localStorage.setItem("agentkit-by", by); } catch { /* a page that may keep nothing */ }
}
