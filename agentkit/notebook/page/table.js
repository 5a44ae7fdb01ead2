// A query's result: sorted by a click on a column, looked through by a word, page by page. All of it is in the page.

const SIZES = [20, 50, 200];
const STAND = 200; // milliseconds between two looks at the page: where the table stands

class Table {
  constructor(data) {
    this.data = data;
    this.size = data.size;
    this.page = 0;
    this.by = null; // the column that it is sorted by
    this.down = false;
    this.words = "";
    // each row's words in one piece, made once: what is looked through at every letter
    this.search = el("input", { type: "search", placeholder: "search", "aria-label": "search the rows", oninput: () => this.look() });
    this.said = el("span", { class: "agentkit-said", "aria-live": "polite" });
    this.back = el("button", { type: "button", "aria-label": "previous page", onclick: () => this.turn(-1) }, "‹");
    this.on = el("button", { type: "button", "aria-label": "next page", onclick: () => this.turn(1) }, "›");
    this.sizes = el("select", { "aria-label": "rows a page", onchange: () => { this.size = Number(this.sizes.value); this.page = 0; this.draw(); } }, ...SIZES.map((size) => el("option", { value: size }, `${size} rows`)));
    this.heads = data.columns.map((name, column) => el("th", { scope: "col", "data-number": Boolean(data.keys[column]) }, el("button", { type: "button", title: "sort by this column", onclick: () => this.sort(column) }, name, el("span", { class: "agentkit-order", "aria-hidden": "true" }))));
    this.body = el("tbody", {});
    const table = el("table", { class: "agentkit-grid" }, el("thead", {}, el("tr", {}, ...this.heads)), this.body);
    const bar = el("div", { class: "agentkit-bar" }, this.search, this.back, this.on, this.sizes, this.said);
    this.root = el("div", { class: "agentkit agentkit-table" }, bar, el("div", { class: "agentkit-scroll", tabindex: "0", role: "region", "aria-label": "the result" }, table));
    this.order();
  }

  look() {
    this.words = this.search.value.trim().toLowerCase();
    this.page = 0;
    this.order();
  }

  // First up, then down, then as the statement gave them.
  sort(column) {
    if (this.by !== column) { this.by = column; this.down = false; }
    else if (!this.down) this.down = true;
    else this.by = null;
    this.page = 0;
    this.order();
  }

  turn(pages) {
    this.page += pages;
    this.draw();
  }

  order() {
    const { cells, keys } = this.data;
    let rows = [...cells.keys()];
    if (this.words) {
      this.texts ??= cells.map((row) => row.join("\n").toLowerCase());
      rows = rows.filter((row) => this.texts[row].includes(this.words));
    }
    if (this.by !== null) {
      const numbers = keys[this.by];
      const value = numbers ? (row) => numbers[row] : (row) => cells[row][this.by];
      const sign = this.down ? -1 : 1;
      rows.sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === y) return a - b;
        if (x === null || y === null) return x === null ? 1 : -1; // what is not there comes last, either way
        return x < y ? -sign : sign;
      });
    }
    this.rows = rows;
    this.draw();
  }

  draw() {
    const { cells, keys, total, note } = this.data;
    const pages = Math.max(1, Math.ceil(this.rows.length / this.size));
    this.page = Math.min(Math.max(0, this.page), pages - 1);
    const first = this.page * this.size;
    const shown = this.rows.slice(first, first + this.size);
    this.body.replaceChildren(...shown.map((row) => el("tr", {}, ...cells[row].map((text, column) => el("td", { "data-number": Boolean(keys[column]), "data-null": text === null, title: text !== null && text.length > 40 ? text : null }, text ?? "NULL")))));
    this.heads.forEach((head, column) => {
      const order = this.by === column ? (this.down ? "descending" : "ascending") : "none";
      head.setAttribute("aria-sort", order);
      head.querySelector(".agentkit-order").textContent = { none: "", ascending: " ▲", descending: " ▼" }[order];
    });
    this.back.disabled = this.page === 0;
    this.on.disabled = this.page >= pages - 1;
    const paged = this.data.cells.length > SIZES[0];
    for (const part of [this.search, this.back, this.on, this.sizes]) part.hidden = !paged;
    const said = shown.length ? `${(first + 1).toLocaleString("en")} to ${(first + shown.length).toLocaleString("en")} of ${this.rows.length.toLocaleString("en")}` : "no row";
    const found = this.words ? ` with “${this.words}”` : "";
    const left = cells.length < total ? `; the first ${cells.length.toLocaleString("en")} of ${total.toLocaleString("en")} rows are here: ORDER BY sorts all` : "";
    this.said.textContent = `${said}${found}${left}${note ? `; ${note}` : ""}`;
  }
}

export default () => {
  const tables = [];
  return {
    initialize({ model }) {
      const data = JSON.parse(model.get("data"));
      // one for each view of the cell's output; the document may be written again, which takes it along
      const stand = () => {
        for (const spot of document.getElementsByClassName(model.get("place"))) {
          if (spot.querySelector(":scope > .agentkit")) continue;
          let table = tables.find((one) => !one.root.isConnected);
          if (!table) tables.push(table = new Table(data));
          spot.prepend(table.root);
        }
      };
      stand();
      const timer = setInterval(stand, STAND);
      return () => { clearInterval(timer); tables.forEach((table) => table.root.remove()); };
    },
    render({ el: root }) {
      throw new Error(`${root.tagName}: a table takes its place by itself`);
    },
  };
};
