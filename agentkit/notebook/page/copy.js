// What is shown, as JSON and as Markdown, for a message or an issue. Others' words stand in code there, and are no markup.

function inline(text) {
  const flat = String(text).replace(/\s+/g, " ").trim();
  const ticks = "`".repeat(Math.max(0, ...(flat.match(/`+/g) ?? []).map((run) => run.length)) + 1);
  const pad = ticks.length > 1 ? " " : "";
  return flat ? `${ticks}${pad}${flat}${pad}${ticks}` : "";
}

function fenced(text, language = "") {
  const ticks = "`".repeat(Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length)) + 1);
  return `${ticks}${language}\n${text}\n${ticks}`;
}

function rowMarkdown(row, depth = 0) {
  const said = [`${MARKS[row.status] ?? "·"} ${inline(row.name)}`, facts(row, Date.now() / 1000), inline(row.note ?? "")];
  return `${"  ".repeat(depth)}- ${said.filter(Boolean).join(" · ")}`;
}

function commentMarkdown({ who, at, text }, depth) {
  return `${"  ".repeat(depth)}- ✎ ${inline(who)}, ${new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC: ${inline(text)}`;
}

function sectionMarkdown({ title, form, value }) {
  const text = form === "text" ? fenced(String(value)) : fenced(JSON.stringify(value, null, 1), "json");
  return `**${title}**\n\n${text}`;
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "agentkit-clip", "aria-hidden": "true" }); // where a page is not served safely
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
