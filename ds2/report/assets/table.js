// The table of samples: filtered and sorted in memory, only the rows in view exist in the document.
const ROW_HEIGHT = 52;
const COLUMNS = [
  ["rank", "rank", (row) => (row.rank === null ? Infinity : row.rank)],
  ["src", "source", (row) => row.source],
  ["score", "score", (row) => row.curated ?? row.score ?? -1],
  ["tail", "long tail", (row) => row.long_tail ?? -1],
  ["text", "text", (row) => row.snippet],
];

async function setUpTable() {
  const holder = $("#rows");
  if (!holder) return;
  const { rows, levels } = JSON.parse(await unpack("rows"));
  rows.forEach((row, i) => {
    const turns = row.messages || [];
    row.order = i;
    row.snippet = (turns.find(([role]) => role === "user") || turns[0] || ["", ""])[1].slice(0, 240).replace(/\s+/g, " ");
    row.haystack = [row.id, row.source, row.reason || "", ...turns.map(([, text]) => text)].join("\n").toLowerCase();
  });
  const form = $("#filters");
  fill(form.source, [...new Set(rows.map((row) => row.source))].sort());
  fill(form.curated, [...Array(levels).keys()].reverse().map(String));

  let shown = rows;
  let sort = { column: 0, down: false };
  const view = h("div", { className: "view", role: "rowgroup", tabIndex: -1 });
  const spacer = h("div");
  view.append(spacer);
  const head = h("div", { className: "row head", role: "row" }, ...COLUMNS.map(([name, title], i) => {
    const button = h("button", { type: "button" }, title);
    button.addEventListener("click", () => {
      sort = { column: i, down: sort.column === i ? !sort.down : i === 2 || i === 3 };
      update();
    });
    return h("span", { className: name, role: "columnheader" }, button);
  }));
  holder.replaceChildren(head, view);

  function update() {
    const words = form.query.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = rows.filter((row) =>
      (!form.status.value || (form.status.value === "in") === (row.rank !== null)) &&
      (!form.source.value || row.source === form.source.value) &&
      (!form.curated.value || String(row.curated ?? row.score) === form.curated.value) &&
      words.every((word) => row.haystack.includes(word)));
    const key = COLUMNS[sort.column][2];
    const way = sort.down ? -1 : 1;
    shown.sort((a, b) => (key(a) < key(b) ? -way : key(a) > key(b) ? way : a.order - b.order));
    [...head.children].forEach((cell, i) =>
      i === sort.column ? cell.setAttribute("aria-sort", sort.down ? "descending" : "ascending") : cell.removeAttribute("aria-sort"));
    $("#count").textContent = `${shown.length.toLocaleString()} of ${rows.length.toLocaleString()}`;
    holder.setAttribute("aria-rowcount", shown.length + 1);
    spacer.style.height = `${shown.length * ROW_HEIGHT}px`;
    view.scrollTop = 0;
    paint();
  }

  function paint() {
    const first = Math.max(0, Math.floor(view.scrollTop / ROW_HEIGHT) - 6);
    const last = Math.min(shown.length, Math.ceil((view.scrollTop + view.clientHeight) / ROW_HEIGHT) + 6);
    const focused = document.activeElement?.dataset?.at;
    view.replaceChildren(spacer, ...shown.slice(first, last).map((row, i) => line(row, first + i)));
    if (focused !== undefined) $(`[data-at="${focused}"]`, view)?.focus({ preventScroll: true });
    if (!shown.length) view.append(h("p", { className: "note" }, "No sample fits. Clear a filter or search for fewer words."));
  }

  function line(row, at) {
    const changed = row.curated !== null && row.curated !== undefined && row.score !== row.curated;
    const element = h("div", { className: "row", role: "row", tabIndex: 0, "aria-rowindex": at + 2 },
      h("span", { className: row.rank === null ? "rank out" : "rank", role: "cell" }, row.rank === null ? "left out" : (row.rank + 1).toLocaleString()),
      h("span", { className: "src", role: "cell" }, row.source),
      h("span", { className: "score", role: "cell", "aria-label": changed ? `rated ${row.score}, curated ${row.curated}` : null },
        changed ? h("span", { className: "was" }, row.score < 0 || row.score === null ? "–" : String(row.score)) : null, String(row.curated ?? row.score ?? "–")),
      h("span", { className: "tail", role: "cell" }, row.long_tail === null ? "–" : row.long_tail.toFixed(3)),
      h("span", { className: "text", role: "cell" }, row.messages ? row.snippet || "(empty)" : `${row.id} (text not available)`));
    element.dataset.at = at;
    element.style.top = `${at * ROW_HEIGHT}px`;
    element.addEventListener("click", () => open(at));
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(at); }
      if (event.key === "ArrowDown") { event.preventDefault(); element.nextElementSibling?.focus(); }
      if (event.key === "ArrowUp") { event.preventDefault(); element.previousElementSibling?.focus(); }
    });
    return element;
  }

  function open(at) {
    const row = shown[at];
    const dialog = $("#sample");
    const step = (by, name, text) => h("button", { type: "button", "aria-label": name, disabled: !shown[at + by], onclick: () => open(at + by) }, text);
    const facts = [row.rank === null ? "not selected" : `rank ${(row.rank + 1).toLocaleString()}`, row.source, `rated ${row.score < 0 ? "–" : row.score}`,
      row.curated === null || row.curated === undefined ? null : `curated ${row.curated}`,
      row.long_tail === null ? null : `long tail ${row.long_tail}`, row.rank === null ? null : row.reason];
    dialog.replaceChildren(
      h("header", {}, h("h3", { id: "sample-title" }, row.id), step(-1, "Previous sample", "←"), step(1, "Next sample", "→"),
        h("button", { type: "button", onclick: () => dialog.close() }, "Close")),
      h("p", { className: "facts" }, facts.filter(Boolean).join(" · ")),
      ...(row.messages || [["", "The text of this sample is not available."]]).map(([role, text]) =>
        h("div", { className: `turn ${role}` }, h("b", {}, role), h("div", {}, text))));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  view.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  addEventListener("resize", paint);
  let timer;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(update, 90); });
  $("#sample").addEventListener("click", (event) => { if (event.target === event.currentTarget) event.currentTarget.close(); });
  update();
}

function fill(select, values) {
  select.append(...values.map((value) => h("option", { value }, value)));
}

setUpTable();
