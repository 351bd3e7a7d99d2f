// The table of samples over every subset: filtered and sorted in memory, only the rows in view exist in the document.
const ROW_HEIGHT = 52;

/** Rows, subsets and scores as arrays by row number; see `ds2.report.samples.samples`. */
function readSamples(data) {
  const count = data.id.length;
  const poolOf = new Uint16Array(count);
  data.pools.forEach((pool, p) => poolOf.fill(p, pool.start, pool.end));
  for (const scores of data.scores) scores.start = data.pools[scores.pool].start;
  for (const subset of data.subsets) {
    subset.place = new Int32Array(count).fill(-1); // where in `taken`; -2 - i: i-th in line
    subset.taken.forEach((row, i) => (subset.place[row] = i));
    subset.next.forEach((row, i) => (subset.place[row] = -2 - i));
  }
  return { ...data, count, poolOf };
}

async function setUpSamples() {
  const holder = $("#rows");
  if (!holder) return;
  const data = readSamples(JSON.parse(await unpack("samples")));
  const one = data.subsets.length === 1;
  const snippets = data.text.map((turns) => {
    const first = turns && (turns.find(([role]) => role === "user") || turns[0]);
    return first ? first[1].slice(0, 240).replace(/\s+/g, " ") : "";
  });
  let haystacks = null; // lower-cased once, at the first search
  const haystack = (row) => (haystacks ||= data.text.map((turns, i) => [data.id[i], data.source[i], ...(turns || []).map(([, text]) => text)].join("\n").toLowerCase()))[row];

  const form = $("#filters");
  fillSelect(form.source, [...new Set(data.source)].sort());
  fillSelect(form.level, [...Array(data.levels).keys()].reverse().map(String));
  if (!one) for (const name of ["of", "without"]) data.subsets.forEach((subset, i) => form[name].append(h("option", { value: i }, subset.label)));

  const column = (name, title, key, down = false) => ({ name, title, key, down });
  const columns = [
    column("rank", one ? "rank" : "taken by", (row) => order(row)),
    column("src", "source", (row) => data.source[row]),
    column("score", "score", (row) => scoresOf(row)?.level ?? -1, true),
    column("tail", "long tail", (row) => scoresOf(row)?.tail ?? -1, true),
    column("text", "text", (row) => snippets[row]),
  ];
  let rows = [], subsets = [], focus = null, sort = { at: 0, down: false };
  const spacer = h("div");
  const body = h("div", { className: "view", role: "rowgroup", tabIndex: -1 }, spacer);
  const head = h("div", { className: "row head", role: "row" }, ...columns.map(({ name, title, down }, at) => {
    const button = h("button", { type: "button", onclick: () => { sort = { at, down: sort.at === at ? !sort.down : down }; update(); } }, title);
    return h("span", { className: name, role: "columnheader" }, button);
  }));
  holder.replaceChildren(head, body);

  const takers = (row) => subsets.filter((subset) => subset.place[row] >= 0);
  const inPool = (row) => subsets.filter((subset) => subset.pool === data.poolOf[row]);
  const isNext = (row) => subsets.some((subset) => subset.place[row] < -1);
  const status = (row) => (takers(row).length ? "selected" : isNext(row) ? "next" : "out");

  /** Most often taken first, then best rank, then nearest in line. */
  function order(row) {
    let best = Infinity, next = Infinity, taken = 0;
    for (const { place, rank } of subsets) {
      if (place[row] >= 0) { taken += 1; best = Math.min(best, rank[place[row]]); }
      else if (place[row] < -1) next = Math.min(next, -2 - place[row]);
    }
    return taken ? -taken * 1e8 + best : 1e8 + Math.min(next, 1e6);
  }

  /** The scores that the row's subset saw: of the one in focus, else of the first with scores that took it, else of any. */
  function scoresOf(row, subset = focus || [...takers(row), ...inPool(row)].find((candidate) => candidate.scores !== null)) {
    const found = subset && subset.scores !== null ? data.scores[subset.scores] : null;
    if (!found) return null;
    const at = row - found.start;
    const given = found.score[at] === null || found.score[at] < 0 ? null : found.score[at];
    const curated = found.curated ? found.curated[at] : null;
    return { given, curated, level: curated ?? given, tail: found.tail ? found.tail[at] : null, changed: curated !== null && curated !== given };
  }

  function update() {
    const chosen = data.subsets.filter(shown);
    if (!one) for (const name of ["of", "without"]) {
      for (const option of form[name].options) option.hidden = option.value !== "" && !shown(data.subsets[option.value]);
      if (form[name].selectedOptions[0].hidden) form[name].value = "";
    }
    focus = one ? data.subsets[0] : form.of.value === "" ? null : data.subsets[form.of.value];
    const against = one || form.without.value === "" ? null : data.subsets[form.without.value];
    subsets = focus ? [focus] : chosen;
    const words = form.query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pools = new Set(subsets.map((subset) => subset.pool));
    rows = [];
    for (let row = 0; row < data.count; row++) {
      if (pools.has(data.poolOf[row]) &&
        (!form.status.value || status(row) === form.status.value) &&
        (!against || (against.pool === data.poolOf[row] && against.place[row] < 0)) &&
        (!form.source.value || data.source[row] === form.source.value) &&
        (!form.level.value || String(scoresOf(row)?.level) === form.level.value) &&
        words.every((word) => haystack(row).includes(word))) rows.push(row);
    }
    const keys = new Map(rows.map((row) => [row, columns[sort.at].key(row)]));
    const way = sort.down ? -1 : 1;
    rows.sort((a, b) => (keys.get(a) < keys.get(b) ? -way : keys.get(a) > keys.get(b) ? way : a - b));
    [...head.children].forEach((cell, at) =>
      at === sort.at ? cell.setAttribute("aria-sort", sort.down ? "descending" : "ascending") : cell.removeAttribute("aria-sort"));
    $("#count").textContent = `${rows.length.toLocaleString()} of ${data.count.toLocaleString()}`;
    holder.setAttribute("aria-rowcount", rows.length + 1);
    spacer.style.height = `${rows.length * ROW_HEIGHT}px`;
    body.scrollTop = 0;
    paint();
  }

  function paint() {
    const first = Math.max(0, Math.floor(body.scrollTop / ROW_HEIGHT) - 6);
    const last = Math.min(rows.length, Math.ceil((body.scrollTop + body.clientHeight) / ROW_HEIGHT) + 6);
    const focused = document.activeElement?.dataset?.at;
    body.replaceChildren(spacer, ...rows.slice(first, last).map((row, i) => line(row, first + i)));
    if (focused !== undefined) $(`[data-at="${focused}"]`, body)?.focus({ preventScroll: true });
    if (!rows.length) body.append(h("p", { className: "note" }, "No sample fits. Clear a filter or search for fewer words."));
  }

  /** What became of the row: its rank in one subset, or how many of several took it. */
  function fate(row) {
    const place = focus ? focus.place[row] : null;
    if (place !== null && place >= 0) return [(focus.rank[place] + 1).toLocaleString(), ""];
    if (!focus && takers(row).length) return [`${takers(row).length} of ${inPool(row).length}`, ""];
    return isNext(row) ? ["next", "out"] : ["left out", "out"];
  }

  function line(row, at) {
    const [text, tone] = fate(row);
    const scores = scoresOf(row);
    const element = h("div", { className: "row", role: "row", tabIndex: 0, "aria-rowindex": at + 2 },
      h("span", { className: `rank ${tone}`, role: "cell" }, text),
      h("span", { className: "src", role: "cell" }, data.source[row]),
      h("span", { className: "score", role: "cell", "aria-label": scores?.changed ? `rated ${scores.given ?? "not"}, curated ${scores.curated}` : null },
        scores?.changed ? h("span", { className: "was" }, String(scores.given ?? "–")) : null, String(scores?.level ?? "–")),
      h("span", { className: "tail", role: "cell" }, scores?.tail?.toFixed(3) ?? "–"),
      h("span", { className: "text", role: "cell" }, snippets[row] || "(empty)"));
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
    const row = rows[at];
    const dialog = $("#sample");
    const step = (by, name, text) => h("button", { type: "button", "aria-label": name, disabled: rows[at + by] === undefined, onclick: () => open(at + by) }, text);
    openDialog(dialog,
      h("header", {}, h("h3", { id: "sample-title" }, data.id[row]), step(-1, "Previous sample", "←"), step(1, "Next sample", "→"), closeButton(dialog)),
      one ? h("p", { className: "facts" }, [fateIn(row, focus), data.source[row], ...scoreFacts(row, focus)].filter(Boolean).join(" · ")) : h("p", { className: "facts" }, data.source[row]),
      ...(data.text[row] || []).map(([role, text]) => h("div", { className: `turn ${role}` }, h("b", {}, role), h("div", {}, text))),
      one ? null : fates(row));
  }

  function fateIn(row, subset) {
    const place = subset.place[row];
    if (place >= 0) return `rank ${(subset.rank[place] + 1).toLocaleString()} of ${subset.size.toLocaleString()}, ${subset.reasons[subset.why[place]]}`;
    return place < -1 ? `left out, number ${-1 - place} in line` : "left out";
  }

  function scoreFacts(row, subset) {
    const scores = scoresOf(row, subset);
    return scores === null ? [] : [`rated ${scores.given ?? "–"}`, scores.curated === null ? null : `curated ${scores.curated}`, scores.tail === null ? null : `long tail ${scores.tail}`];
  }

  /** What became of the row in each subset of its pool that the filters leave. */
  function fates(row) {
    const cited = (place, text) => (place === null ? text : h("button", { type: "button", className: "cite", "data-records": place, "data-of": text }, text));
    const own = data.subsets.filter((subset) => shown(subset) && subset.pool === data.poolOf[row]);
    return h("div", { className: "scroll padded" }, h("table", { className: "plain tight fates" },
      h("thead", {}, h("tr", {}, ...["subset", "here", "scores"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, ...own.map((subset) => h("tr", { className: subset.place[row] >= 0 ? "strong" : "quiet" },
        h("th", { scope: "row" }, subset.label), h("td", {}, cited(subset.record, fateIn(row, subset))),
        h("td", {}, subset.scores === null ? "–" : cited(data.scores[subset.scores].record, scoreFacts(row, subset).filter(Boolean).join(", "))))))));
  }

  body.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  addEventListener("resize", paint);
  let timer;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(update, 90); });
  view.listeners.push(update);
  update();
  document.documentElement.dataset.samples = "ready";
}

function fillSelect(select, values) {
  select.append(...values.map((value) => h("option", { value }, value)));
}

setUpSamples();
