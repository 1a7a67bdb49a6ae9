"use strict";
(() => {
  const PAGE = 200;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { columns, effects, strings, rows } = data;
  const TEXT = new Set(["id", "trace", "word", "change", "effect", "text"]);
  const effectColumn = columns.findIndex((column) => column.kind === "effect");
  const byId = (id) => document.getElementById(id);
  const [table, search, effect, sortBy, order] = ["table", "search", "effect", "sort", "order"].map(byId);
  const state = { column: -1, way: 1, page: 0, found: [] };
  let ranks = null;
  let texts = null;

  const element = (name, attributes = {}, text = "") => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };
  const counted = (number) => number.toLocaleString("en-US");
  const clock = (time) => new Date(time).toISOString().replace("T", " ").replace("Z", "");
  const shown = (row, at) => {
    const value = row[at];
    if (TEXT.has(columns[at].kind)) return strings[value];
    if (value === null) return "";
    return columns[at].kind === "time" ? clock(value) : String(value);
  };

  // the place of each text in the order of all, so that sorting compares numbers
  const rankOf = () => {
    if (ranks) return ranks;
    const sorted = strings.map((_, at) => at).sort((a, b) => (strings[a] < strings[b] ? -1 : strings[a] > strings[b] ? 1 : 0));
    ranks = new Int32Array(strings.length);
    sorted.forEach((at, rank) => { ranks[at] = rank; });
    return ranks;
  };
  const textOf = (at) => {
    texts ??= rows.map((row) => columns.map((_, column) => shown(row, column)).join("\n").toLowerCase());
    return texts[at];
  };

  const select = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = effect.value === "" ? -1 : strings.indexOf(effect.value);
    const found = [];
    for (let at = 0; at < rows.length; at += 1) {
      if (effect.value !== "" && rows[at][effectColumn] !== wanted) continue;
      if (words.length && !words.every((word) => textOf(at).includes(word))) continue;
      found.push(at);
    }
    const { column, way } = state;
    if (column >= 0) {
      const ranked = TEXT.has(columns[column].kind) ? rankOf() : null;
      const key = (at) => {
        const value = rows[at][column];
        return value === null ? Infinity : ranked ? ranked[value] : value;
      };
      found.sort((a, b) => { const [x, y] = [key(a), key(b)]; return x === y ? a - b : x < y ? -way : way; });
    }
    state.found = found;
    state.page = 0;
    draw();
  };

  const cell = (row, at) => {
    const { kind, name } = columns[at];
    const made = element("td", { role: "cell", class: `k-${kind}`, "data-label": name });
    const inner = element("span");
    const text = shown(row, at);
    if (kind === "effect") inner.append(element("i", { class: `e${effects.indexOf(text)}` }));
    // what is in a <b> is not broken
    const parts = kind === "time" ? text.split(" ") : kind === "change" ? text.split(/(?<=,) | (?=\u2192)/) : [text];
    parts.forEach((part, number) => inner.append(...(number ? [" "] : []), parts.length > 1 ? element("b", {}, part) : part));
    made.append(inner);
    if (!text || (name === "Conflicts" && text === "0")) made.classList.add("empty");
    return made;
  };

  const draw = () => {
    const { found, page, column, way } = state;
    const from = page * PAGE;
    const some = found.slice(from, from + PAGE);
    const body = document.createDocumentFragment();
    for (const at of some) {
      const line = element("tr", { role: "row" });
      columns.forEach((_, number) => line.append(cell(rows[at], number)));
      body.append(line);
    }
    table.tBodies[0].replaceChildren(body);
    const of = found.length === rows.length ? "" : ` (of ${counted(rows.length)})`;
    byId("shown").textContent = found.length
      ? `Rows ${counted(from + 1)} to ${counted(from + some.length)} of ${counted(found.length)}${of}`
      : rows.length ? `No row matches (of ${counted(rows.length)})` : "The journal has no rows";
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    for (const id of ["first", "previous"]) byId(id).disabled = page === 0;
    for (const id of ["next", "last"]) byId(id).disabled = page >= last;
    table.tHead.querySelectorAll("th").forEach((head, number) => {
      if (number === column) head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    sortBy.value = String(column);
    order.value = String(way);
  };
  const turn = (page) => { state.page = page; draw(); };
  const sort = (column, way) => { state.column = column; state.way = way; select(); };

  const head = element("tr", { role: "row" });
  sortBy.append(element("option", { value: "-1" }, "journal order"));
  columns.forEach(({ name, title, kind }, at) => {
    const top = element("th", { scope: "col", role: "columnheader", class: `k-${kind}` });
    const button = element("button", { type: "button", title }, name);
    button.addEventListener("click", () => sort(at, state.column === at ? -state.way : 1));
    top.append(button);
    head.append(top);
    sortBy.append(element("option", { value: String(at) }, name));
  });
  table.tHead.append(head);
  for (const name of effects) if (strings.includes(name)) effect.append(element("option", { value: name }, name));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", select);
  effect.addEventListener("change", select);
  sortBy.addEventListener("change", () => sort(Number(sortBy.value), state.way));
  order.addEventListener("change", () => sort(state.column, Number(order.value)));
  byId("first").addEventListener("click", () => turn(0));
  byId("previous").addEventListener("click", () => turn(state.page - 1));
  byId("next").addEventListener("click", () => turn(state.page + 1));
  byId("last").addEventListener("click", () => turn(Math.ceil(state.found.length / PAGE) - 1));
  select();
})();
