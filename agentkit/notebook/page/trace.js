const PATIENCE = 2000; // milliseconds without a word until the kernel is said not to take clicks
const LOOK = 200; // milliseconds between two looks at the page: where the trace stands, whether the kernel answers
const PING = 5000; // milliseconds between two questions to the kernel whether it answers
const LATER = 10000; // likewise once the run has ended: whether anybody said something about it since

// What a trace knows: shared by every view of one model.
class Trace {
  constructor(model) {
    this.model = model;
    this.views = new Set();
    this.clear();
    this.told = new Map(); // question → what became of a click
    this.details = new Map();
    this.commented = new Map(); // token → what became of a comment
    this.boxed = new Set(); // questions that the waiting cell's input box asks
    this.deaf = false; // the kernel does not take what is sent to it
    this.since = null; // when it was asked something that it did not answer yet
    this.pinged = 0;
    this.answered = []; // who answered what, while this page was open
    this.line = Promise.resolve(); // messages are taken one after the other, also where unpacking one takes a while
    model.on("msg:custom", (message, buffers) => this.hear(message, buffers?.[0]));
    this.take(JSON.parse(model.get("first")));
    this.since = null; // that was said before anything was asked
    this.send({ kind: "ping" });
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
    if (this.since === null && now - this.pinged > (asks ? PING : LATER) && !document.hidden) {
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
    this.names = new Set(); // of tools and steps
    this.cards = [];
    this.number = null;
    this.ended = false;
    this.loading = false;
    this.links = [];
    this.grade = null;
    this.ungraded = ""; // why it could not be graded
    this.comments = new Map(); // row → what was said about it
    this.you = "";
    this.from = Infinity;
    this.until = 0;
  }

  hear(message, packed) {
    if (message.kind === "ping") {
      try { this.model.send({ kind: "pong" }); } catch { /* its comm is closed */ }
      return;
    }
    const take = async () => this.take(packed ? { ...message, rows: await unpacked(packed) } : message);
    this.line = this.line.then(take).catch((error) => console.error("agentkit:", error));
  }

  take(message) {
    if (message.kind === "boxed") {
      this.boxed = new Set(message.ids);
      this.changed();
      return;
    }
    if (message.kind !== "rows") this.since = null; // it heard, and answered
    if (message.kind === "pong") {
      if (message.n > (this.number ?? -1)) this.send({ kind: "ready" }); // something was lost before this page was there
      return;
    }
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
    } else if (message.kind === "graded") {
      this.grade = message.grade ?? this.grade;
      this.ungraded = message.bad ?? "";
    } else if (message.kind === "commented") {
      this.commented.set(message.token, message);
    } else {
      return;
    }
    if (message.cards) {
      const known = new Set(this.cards.map((card) => card.id));
      if (message.cards.some((card) => !known.has(card.id))) this.pinged = 0; // whether clicks arrive is asked at once
      this.cards = message.cards;
    }
    for (const [id, said] of Object.entries(message.comments ?? {})) this.comments.set(id, said);
    if (message.answered) this.answered.push(...message.answered);
    for (const name of ["ended", "loading", "links", "grade", "you"]) if (name in message) this[name] = message[name];
    this.changed();
  }

  put(rows) {
    for (const row of rows) {
      row.step = row.id.slice(37); // after the run's id and a slash
      if (!this.rows.has(row.id)) {
        const parent = row.parent ?? "";
        if (!this.below.has(parent)) this.below.set(parent, []);
        this.below.get(parent).push(row.id);
      }
      this.rows.set(row.id, row);
      if (row.kind === "tool" || row.kind === "step") this.names.add(row.name);
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

function unpacked(buffer) {
  return new Response(new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
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
