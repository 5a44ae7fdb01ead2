// What a row shows when it is opened.

function section({ title, form, value }) {
  const head = el("h4", {}, title);
  if (form === "text") return [head, el("pre", {}, String(value))];
  if (form === "messages") return [head, ...value.map(message)];
  if (form === "error") {
    const { type, message, traceback, ...rest } = value;
    const parts = [head, el("pre", { class: "agentkit-error" }, `${type}: ${message}`)];
    if (Object.keys(rest).length) parts.push(json(rest));
    if (traceback) parts.push(el("details", {}, el("summary", {}, "traceback"), el("pre", {}, traceback)));
    return parts;
  }
  return [head, json(value)];
}

// One message of a prompt: the last ones of a long conversation are what is looked for, so each opens by itself.
function message({ role, text, parts = [] }) {
  const made = el("details", { class: "agentkit-message" }, el("summary", {}, el("b", {}, role), ` ${text.slice(0, 120)}`), el("pre", {}, text));
  if (parts.length) made.append(json(parts, "", false));
  return made;
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
