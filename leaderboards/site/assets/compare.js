"use strict";
// The compare page: entries named in the address, side by side. Text is set as text, never as HTML.

const MOST = 4;
const board = window.BOARD;
const bySlug = new Map(board.entries.map((entry) => [entry.slug, entry]));

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function chosen() {
  const named = (new URLSearchParams(location.search).get("entries") || "").split(",");
  return [...new Set(named)].filter((slug) => bySlug.has(slug)).slice(0, MOST);
}

function title(entry) {
  return entry.variant + " (" + entry.revision + ")";
}

// Sign and half-width of first − second among the ranked entries, or null where either has no rank.
function pair(column, a, b) {
  const i = column.slugs.indexOf(a), j = column.slugs.indexOf(b);
  if (i < 0 || j < 0 || i === j) return null;
  const low = Math.min(i, j), high = Math.max(i, j), count = column.slugs.length;
  const at = low * count - (low * (low + 1)) / 2 + high - low - 1;
  const sign = { "+": 1, "-": -1, "0": 0 }[column.sign[at]];
  return { sign: i < j ? sign : -sign, half: column.half[at] };
}

function short(value) {
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function figureCell(column, slug) {
  const cell = element("td", null);
  const figure = column.figures[slug];
  cell.append(figure ? figure[1] : "–");
  if (figure && figure[2]) cell.append(element("small", figure[2]));
  const at = column.slugs.indexOf(slug);
  if (at >= 0) {
    const [low, high] = column.ranks[at];
    cell.append(element("small", "rank " + (low === high ? low : low + "–" + high), { class: "rank" }));
  }
  return cell;
}

function differenceCell(column, first, other) {
  const cell = element("td", null);
  const a = column.figures[first], b = column.figures[other];
  if (!a || !b) return cell;
  cell.append(short(a[0] - b[0]));
  const found = pair(column, first, other);
  if (!found) {
    cell.append(element("small", "not ranked: no claim"));
    return cell;
  }
  if (found.half !== null) cell.append(" ± " + short(found.half));
  const words = { 1: ["better", "better"], "-1": ["worse", "worse"], 0: ["no claim", ""] }[found.sign];
  cell.append(element("small", words[0], words[1] ? { class: words[1] } : {}));
  return cell;
}

function draw() {
  const slugs = chosen();
  const table = document.getElementById("comparison");
  table.replaceChildren();
  if (slugs.length === 0) {
    table.append(element("caption", "Nothing is chosen yet."));
    return;
  }
  const names = slugs.map((slug) => bySlug.get(slug));
  table.append(element("caption", names.map(title).join(", ") + " on " + board.board));
  const head = element("tr", null);
  head.append(element("th", "metric", { scope: "col" }));
  for (const entry of names) head.append(element("th", title(entry), { scope: "col" }));
  for (const entry of names.slice(1)) {
    head.append(element("th", names[0].variant + " − " + entry.variant, { scope: "col" }));
  }
  table.append(element("thead", null));
  table.tHead.append(head);
  const body = element("tbody", null);
  for (const column of board.columns) {
    if (!slugs.some((slug) => column.figures[slug])) continue;
    const row = element("tr", null);
    const label = element("th", column.name + (column.higher ? " ↑" : " ↓"), { scope: "row" });
    if (column.unit) label.append(element("small", column.unit));
    row.append(label);
    for (const slug of slugs) row.append(figureCell(column, slug));
    for (const slug of slugs.slice(1)) row.append(differenceCell(column, slugs[0], slug));
    body.append(row);
  }
  table.append(body);
}

function choose(slugs) {
  const wanted = slugs.filter(Boolean);
  try {
    history.replaceState(null, "", wanted.length ? "?entries=" + wanted.join(",") : location.pathname);
  } catch (refusal) { /* a file opened from disk keeps its address */ }
  draw();
  const status = document.getElementById("address");
  status.textContent = wanted.length + " chosen. Share: " + location.href;
}

function makeForm() {
  const form = document.getElementById("choice");
  const now = chosen();
  const selects = [];
  for (let at = 0; at < MOST; at += 1) {
    const label = element("label", "Entry " + (at + 1) + " ");
    const select = element("select", null, { name: "entry" + (at + 1) });
    select.append(element("option", "–", { value: "" }));
    for (const entry of board.entries) {
      select.append(element("option", title(entry), { value: entry.slug }));
    }
    select.value = now[at] || "";
    select.addEventListener("change", () => choose(selects.map((each) => each.value)));
    selects.push(select);
    label.append(select);
    form.append(label);
  }
  form.addEventListener("submit", (event) => event.preventDefault());
}

makeForm();
draw();
