"use strict";
// Sorting and filtering of tables. What is chosen stands in the address, so it can be shared.

function remember(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value); else query.delete(name);
  }
  const text = query.toString();
  try {
    history.replaceState(null, "", text ? "?" + text : location.pathname);
  } catch (refusal) { /* a file opened from disk keeps its address */ }
}

function compareCells(a, b, kind) {
  if (kind === "text") return a.localeCompare(b, "en");
  if (a === "" || b === "") return (a === "") - (b === "");
  return Number(a) - Number(b);
}

function sortBy(table, head, descending) {
  const heads = [...head.parentNode.children];
  const at = heads.indexOf(head);
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row, order) => ({ row, order, key: row.cells[at].dataset.sort }));
  rows.sort((a, b) => {
    const missing = (a.key === "") - (b.key === "");  // what has no figure is last either way
    if (missing) return missing;
    const result = compareCells(a.key, b.key, head.dataset.kind);
    return (descending ? -result : result) || a.order - b.order;
  });
  for (const { row } of rows) body.append(row);
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

function headName(head) {
  return head.dataset.name || head.textContent.trim();
}

function makeSortable(table) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = head.dataset.kind === "higher";  // the best comes first
      const descending = now ? now === "ascending" : first;
      sortBy(table, head, descending);
      remember({ sort: (descending ? "-" : "") + headName(head) });
    });
  }
  const wanted = new URLSearchParams(location.search).get("sort") || "";
  const name = wanted.replace(/^-/, "");
  const head = [...table.tHead.rows[0].cells].find((cell) => headName(cell) === name);
  if (head) sortBy(table, head, wanted.startsWith("-"));
}

function makeFilters(form, table) {
  const fields = form.elements;
  const query = new URLSearchParams(location.search);
  const heads = [...table.tHead.rows[0].cells];
  const bitrate = heads.findIndex((cell) => cell.dataset.name === "bitrate");
  for (const name of ["q", "family", "badge", "kbps"]) {
    if (query.has(name)) fields[name].value = query.get(name);
  }
  fields.all.checked = query.get("all") === "1";
  function apply() {
    const text = fields.q.value.trim().toLowerCase();
    const most = fields.kbps.value === "" ? Infinity : 1000 * Number(fields.kbps.value);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const rate = bitrate < 0 ? 0 : Number(row.cells[bitrate].dataset.sort || Infinity);
      row.hidden = !(
        row.cells[0].textContent.toLowerCase().includes(text) &&
        (!fields.family.value || row.dataset.family === fields.family.value) &&
        (!fields.badge.value || row.dataset.badge === fields.badge.value) &&
        rate <= most
      );
      shown += !row.hidden;
    }
    table.classList.toggle("leads", !fields.all.checked);
    form.querySelector("output").textContent = shown + " of " + table.tBodies[0].rows.length + " shown";
  }
  form.addEventListener("input", () => {
    apply();
    remember({
      q: fields.q.value, family: fields.family.value, badge: fields.badge.value,
      kbps: fields.kbps.value, all: fields.all.checked ? "1" : "",
    });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}

for (const table of document.querySelectorAll("table.sortable")) {
  makeSortable(table);
  const form = document.querySelector("form[role=search]");
  if (form) makeFilters(form, table);
}
