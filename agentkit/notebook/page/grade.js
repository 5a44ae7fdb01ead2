// How somebody judges a run that has ended: promotion learns from those that are good.
class Grade {
  constructor(trace) {
    this.trace = trace;
    this.said = el("span", { class: "agentkit-said", role: "status" });
    this.why = el("input", { type: "text", placeholder: "why (if you like)", "aria-label": "why" });
    this.buttons = ["good", "bad"].map((verdict) =>
      el("button", { type: "button", title: "judge the run: promotion learns from the good ones", onclick: () => this.give(verdict) }, verdict));
    this.root = el("span", { class: "agentkit-group agentkit-grade", hidden: true, "data-lm-suppress-shortcuts": "true" }, this.said, ...this.buttons, this.why);
    for (const one of ["keydown", "keypress", "keyup"]) this.root.addEventListener(one, (event) => event.stopPropagation());
  }

  give(verdict) {
    this.trace.send({ kind: "grade", verdict, why: this.why.value.trim() || null });
    this.why.value = "";
  }

  update() {
    const { ended, grade, ungraded } = this.trace;
    this.root.hidden = !ended;
    const why = grade?.why ? `: ${grade.why}` : "";
    this.said.textContent = ungraded || (grade ? `graded ${grade.verdict}${why}` : "how was it?");
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.textContent === grade?.verdict));
  }
}
