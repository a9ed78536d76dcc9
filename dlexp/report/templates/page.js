"use strict";

// Empty cells come last in either direction; numbers by size come before texts by name.
function compare(a, b, descending) {
  const texts = [a, b].map((cell) => cell.textContent.trim());
  const numbers = [a, b].map((cell) => ("number" in cell.dataset ? Number(cell.dataset.number) : null));
  const ranks = [0, 1].map((i) => (numbers[i] !== null ? 0 : texts[i] === "-" || texts[i] === "" ? 2 : 1));
  if (ranks[0] === 2 || ranks[1] === 2) return ranks[0] - ranks[1];
  let order = ranks[0] - ranks[1];
  if (order === 0) order = ranks[0] === 0 ? Math.sign(numbers[0] - numbers[1]) || 0 : texts[0].localeCompare(texts[1], "en");
  return descending ? -order : order;
}

function sortBy(table, header) {
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) => compare(a.cells[header.cellIndex], b.cells[header.cellIndex], descending));
  body.append(...rows);
}

function button(text, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const header of table.tHead.rows[0].cells) {
    header.setAttribute("aria-sort", "none");
    header.replaceChildren(button(header.textContent, () => sortBy(table, header)));
  }
}

// Clipboards are refused to some pages that are opened from disk: the text is then left selected.
async function copy(code, made) {
  getSelection().selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    made.textContent = "Copied";
  } catch {
    made.textContent = "Press Ctrl+C";
  }
}

for (const command of document.querySelectorAll(".command")) {
  const code = command.querySelector("code");
  const made = button("Copy", () => copy(code, made));
  command.append(made);
}

// A printed page shows what is folded.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
});
