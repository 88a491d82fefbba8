// Tables that are sorted by their heads.

const sorted = new Map(); // a table's sort, by its place: column and direction

// table draws rows. A column has a title, a value of a row to sort by, and a
// cell, which is what the row shows; numbers go to the right. Heads wrap, so that
// what is in a column says how wide it is.
function table(id, columns, rows, options = {}) {
  const place = byId(id);
  if (rows.length === 0) {
    place.replaceChildren(make("p", { class: "note" }, options.empty ?? "Nothing."));
    return;
  }
  const by = sorted.get(id) ?? options.sort ?? null;
  const order = rows.slice();
  if (by) {
    const { value } = columns[by.column];
    order.sort((a, b) => compare(value(a), value(b), by.down));
  }
  const look = (column) => [column.number && "number", column.screen && "screen"].filter(Boolean).join(" ") || null;
  const heads = columns.map((column, n) => {
    const on = by?.column === n;
    const button = make("button", {
      type: "button",
      onclick: () => {
        sorted.set(id, { column: n, down: on ? !by.down : Boolean(column.number) });
        table(id, columns, rows, options);
        byId(id).querySelectorAll("thead button")[n].focus();
      },
    }, column.title, make("span", { class: "arrow", "aria-hidden": "true" }, on ? (by.down ? "▼" : "▲") : ""));
    return make("th", { scope: "col", class: look(column), title: column.help ?? null, "aria-sort": on ? (by.down ? "descending" : "ascending") : null }, button);
  });
  const line = (row, last) => make("tr", { class: options.mark?.(row) ? "marked" : null }, columns.map((column, n) => {
    const cell = column.cell ? column.cell(row) : column.value(row);
    const attributes = { class: look(column) };
    return n === 0 ? make("th", { scope: "row", ...attributes }, cell) : make("td", attributes, last && cell === null ? "" : cell);
  }));
  place.replaceChildren(make("table", null,
    options.caption ? make("caption", null, options.caption) : null,
    make("thead", null, make("tr", null, heads)),
    make("tbody", null, order.map((row) => line(row, false))),
    options.foot?.length ? make("tfoot", null, options.foot.map((row) => line(row, true))) : null,
  ));
}

// compare puts what is missing last, whichever way it goes.
function compare(a, b, down) {
  const missingA = a === null || a === undefined, missingB = b === null || b === undefined;
  if (missingA || missingB) return missingA - missingB;
  const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  return down ? -order : order;
}

// A column of one figure, as a percentage.
const share = (title, value, help) => ({ title, help, number: true, value, cell: (row) => percent(value(row)) });
const whole = (title, value, help) => ({ title, help, number: true, value, cell: (row) => count(value(row)) });
