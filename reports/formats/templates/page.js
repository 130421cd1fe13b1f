"use strict";
{
  // Tables: a button in every column heading sorts up, down, and back to the order of the report. Rows that belong
  // together are one tbody; it moves as a whole, by its first row. What is missing comes last both ways.
  const NEXT = {none: "ascending", ascending: "descending", descending: "none"};
  const compare = new Intl.Collator("en", {numeric: true}).compare;

  const cellAt = (body, column) => {
    let end = 0;
    return [...body.rows[0].cells].find((cell) => (end += cell.colSpan) > column);
  };
  const valueAt = (body, column, numeric) => {
    const cell = cellAt(body, column);
    if (cell.classList.contains("missing")) return null;
    if (!numeric) return cell.textContent.trim();
    const value = parseFloat(cell.dataset.value ?? cell.textContent);
    return Number.isNaN(value) ? null : value;
  };
  const ordered = (bodies, column, numeric, sign) => {
    const keyed = bodies.map((body) => [valueAt(body, column, numeric), body]);
    const known = keyed.filter(([value]) => value !== null);
    known.sort(([a], [b]) => sign * (numeric ? a - b : compare(a, b)));
    return [...known, ...keyed.filter(([value]) => value === null)].map(([, body]) => body);
  };

  const prepare = (table) => {
    const original = [...table.tBodies];
    const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const state = NEXT[heading.getAttribute("aria-sort") ?? "none"];
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        if (state !== "none") heading.setAttribute("aria-sort", state);
        const numeric = heading.classList.contains("right");
        const sign = state === "ascending" ? 1 : -1;
        table.append(...(state === "none" ? original : ordered(original, column, numeric, sign)));
        document.getElementById("sorted").textContent =
          state === "none" ? "In the order of the report" : `Sorted by ${button.textContent}, ${state}`;
      });
    });
  };
  for (const table of document.querySelectorAll("table")) if (table.tHead) prepare(table);
  for (const hint of document.querySelectorAll("#sorting")) hint.hidden = false;

  // A table that is wider than its place says so; without this script, every one of many columns does on a phone.
  const fit = () => {
    for (const hint of document.querySelectorAll(".hint")) {
      const place = hint.nextElementSibling;
      hint.style.display = place.scrollWidth > place.clientWidth ? "block" : "none";
    }
  };
  for (const change of ["resize", "change"]) addEventListener(change, fit);
  fit();

  // A link into what is folded opens it; browsers that do so by themselves lose nothing.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1)); // names are plain ASCII: nothing to decode
    for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();
}
