// Elements and words. What anybody wrote reaches the page as text nodes only.

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

function counted(comments) {
  return `${comments} comment${comments === 1 ? "" : "s"}`;
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
