// Specifications (kind, data) to plotly figures in the colours of the page. What a spec holds of a run carries its `runs`, so
// that the filters leave it out.
const TONES = 10;
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "star", "triangle-down", "pentagon"];
const LEGEND = { orientation: "v", itemwidth: 46, font: { size: 12 } }; // wide enough to show a dash
const narrow = () => innerWidth < 700;

function axis({ title = "", ...extra } = {}) {
  const line = colour("line");
  return { title: { text: title, font: { size: 12.5 }, standoff: 8 }, gridcolor: line, linecolor: line, zerolinecolor: line, ticks: "", automargin: true, fixedrange: false, ...extra };
}

function layout(extra = {}) {
  const soft = colour("soft");
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: soft },
    margin: { l: 8, r: 12, t: 8, b: 8 }, bargap: 0.28, bargroupgap: 0.06, dragmode: false, hovermode: "closest",
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") }, namelength: -1 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", xanchor: "left" },
    ...extra,
  };
}

const total = (values) => values.reduce((sum, value) => sum + value, 0) || 1;

/** The value of the colouring choice that the item's runs made; "" where they differ, or nothing is compared. */
function groupOf(item) {
  const values = new Set(view.colour && item.runs ? item.runs.map((run) => PAGE.choices[run][view.colour]) : []);
  return values.size === 1 ? [...values][0] : "";
}
function toneOf(group) {
  if (!group) return "accent";
  const values = [...new Set(PAGE.choices.map((choice) => choice[view.colour]))].filter((value) => value !== "none");
  return group === "none" ? "muted" : `tone-${values.indexOf(group) % TONES}`;
}

/** What tells apart lines of one colour, as a number: a dash and a symbol of its own for each choice that the colour does not show. */
function shapesOf(points) {
  const names = PAGE.facets.filter((name) => name !== "budget" && name !== view.colour);
  const rest = ({ runs: [run] }) => names.map((name) => PAGE.choices[run][name]).join(" · ");
  const known = [...new Set(points.filter(({ runs }) => runs.length).map(rest))];
  return (point) => known.indexOf(rest(point));
}

/** Items by colour group, in the order of the groups. */
function grouped(items) {
  const groups = new Map();
  for (const item of items) groups.set(groupOf(item), [...(groups.get(groupOf(item)) || []), item]);
  return groups;
}

const task = () => $("#task")?.value;

/** " ± 0.02"; nothing where there is no standard error. */
function spread(error, digits) {
  return error == null ? "" : ` ± ${error.toFixed(digits)}`;
}

/** [value, error] of the points with a result in the chosen task; best first where they are compared. */
function pointsOf(spec) {
  const points = spec.points.filter(shown).map((point) => ({ ...point, at: point.values ? point.values[task()] : [point.value, point.error] }));
  const known = points.filter((point) => point.at);
  return spec.tasks && spec.kind === "dots" ? known.sort((a, b) => b.at[0] - a.at[0]) : known;
}

/** [name, points by budget] of each series, the highest end first: the order in which they reach the right edge. */
function linesOf(points) {
  const lines = new Map();
  for (const point of [...points].sort((a, b) => a.x - b.x)) lines.set(point.series, [...(lines.get(point.series) || []), point]);
  return [...lines].sort(([, a], [, b]) => b.at(-1).at[0] - a.at(-1).at[0]);
}

function range(points) {
  const low = Math.min(...points.map(({ at }) => at[0] - at[1]));
  const high = Math.max(...points.map(({ at }) => at[0] + at[1]));
  const pad = 0.08 * (high - low) || 0.02;
  return { range: [low - pad, high + pad], tickformat: low >= 0 && high <= 1 ? ".0%" : "" };
}

const KINDS = {
  bars(spec) {
    const traces = spec.series.map((series, i) => {
      const whole = total(series.y);
      const value = spec.shares ? series.y.map((n) => n / whole) : series.y;
      const notes = series.y.map((n) => `${n.toLocaleString()} samples, ${((100 * n) / whole).toFixed(1)} %`);
      const place = spec.horizontal ? { y: spec.x, x: value, orientation: "h" } : { x: spec.x, y: value };
      return {
        type: "bar", name: series.name, ...place, customdata: notes, visible: shown(series), meta: { records: series.records },
        hovertemplate: `%{${spec.horizontal ? "y" : "x"}} · ${series.name}<br>%{customdata}<extra></extra>`,
        marker: { color: colour(series.tone), cornerradius: spec.overlay ? 0 : 3 }, opacity: spec.overlay ? 0.72 : 1,
      };
    });
    const category = axis({ title: spec.xTitle, type: spec.overlay ? "linear" : "category", showgrid: false });
    const value = axis({ title: spec.yTitle, tickformat: spec.shares ? ".0%" : ",", rangemode: "tozero", nticks: 6 });
    const bars = { barmode: spec.overlay ? "overlay" : "group", bargap: spec.overlay ? 0.04 : 0.28, showlegend: true };
    return spec.horizontal
      ? [traces, layout({ ...bars, xaxis: value, yaxis: { ...category, autorange: "reversed" } })]
      : [traces, layout({ ...bars, xaxis: category, yaxis: value })];
  },
  line(spec) {
    const rate = spec.rate ? spec.rate.map((value) => (value === null ? "" : `<br>learning rate ${value.toExponential(2)}`)) : spec.x.map(() => "");
    const points = spec.x.length < 60;
    const trace = {
      type: "scatter", mode: points ? "lines+markers" : "lines", x: spec.x, y: spec.y, customdata: rate,
      line: { color: colour("accent"), width: 2 }, marker: { size: 5 },
      hovertemplate: "step %{x:,}<br>loss %{y:.4f}%{customdata}<extra></extra>",
    };
    return [[trace], layout({ xaxis: axis({ title: spec.xTitle }), yaxis: axis({ title: spec.yTitle }), showlegend: false })];
  },
  tradeoff(spec) {
    const traces = spec.series.map(({ name, tone, x, y, notes, alone }) => ({
      type: "scatter", mode: alone ? "markers" : "lines+markers", name, x, y, customdata: notes.map((note) => note.replaceAll(/[:,] /g, "<br>")),
      line: { color: colour(tone), width: 2 }, marker: { size: alone ? 13 : 8, symbol: alone ? "diamond-open" : "circle", color: colour(tone), line: { width: alone ? 2.5 : 0, color: colour(tone) } },
      hovertemplate: "%{customdata}<extra></extra>",
    }));
    const bought = axis({ title: spec.yTitle, tickformat: spec.shares ? ".0%" : "", nticks: 6 });
    return [traces, layout({ xaxis: axis({ title: spec.xTitle, tickformat: spec.sharesX ? ".0%" : "", nticks: 6, zeroline: false }), yaxis: bought, showlegend: true })];
  },
  dots(spec) {
    const points = pointsOf(spec);
    const label = (point) => (spec.wrap || narrow() ? point.label.replaceAll(" · ", "<br>") : point.label);
    const traces = [...grouped(points)].map(([name, own]) => ({
      type: "scatter", mode: "markers", name, meta: { each: own.map((point) => point.records) }, x: own.map(({ at }) => at[0]), y: own.map(label), customdata: own.map(({ at }) => spread(at[1], spec.digits ?? 4)),
      marker: { color: colour(toneOf(name)), size: 10 },
      error_x: { type: "data", array: own.map(({ at }) => at[1]), color: colour(toneOf(name)), thickness: 1.6, width: 5 },
      hovertemplate: `%{y}<br>%{x:.${spec.digits ?? 4}f}%{customdata}<extra></extra>`,
    }));
    return [traces, layout({
      xaxis: axis({ ...range(points), ...(spec.plain ? { tickformat: ".2f" } : {}), nticks: 6, side: spec.fit ? "top" : "bottom" }), showlegend: false,
      yaxis: axis({ type: "category", categoryorder: "array", categoryarray: points.map(label), autorange: "reversed", tickfont: { size: narrow() ? 10.5 : 12.5 } }),
    })];
  },
  growth(spec) {
    const money = spec.cost.map((cost) => (cost === null ? "" : `<br>$${cost.toFixed(2)} so far`));
    const label = spec.x.map((rater, i) => (i ? `+ ${rater}` : rater));
    const trace = {
      type: "scatter", mode: "lines+markers+text", x: spec.y, y: label, customdata: money, cliponaxis: false,
      text: spec.gain.map((gain, i) => (i ? `${gain < 0 ? "" : "+"}${gain.toFixed(3)}` : spec.y[0].toFixed(3))), textposition: "top center", textfont: { size: 11 },
      line: { color: colour("accent"), width: 2 }, marker: { size: 9, color: colour("accent") },
      hovertemplate: "%{y}<br>reliability %{x:.3f}%{customdata}<extra></extra>",
    };
    const low = Math.min(...spec.y), high = Math.max(...spec.y), pad = 0.12 * (high - low) || 0.02;
    return [[trace], layout({
      xaxis: axis({ title: "reliability of the panel", range: [low - pad, high + pad], nticks: 6 }), showlegend: false,
      yaxis: axis({ type: "category", autorange: "reversed", tickfont: { size: narrow() ? 10.5 : 12.5 } }),
    })];
  },
  budgets(spec) {
    const points = pointsOf(spec);
    const shape = shapesOf(spec.points); // of all, so that a filter changes no line's looks
    const lines = linesOf(points);
    const ticks = [...new Set(spec.points.map((point) => point.x))].sort((a, b) => a - b);
    const traces = lines.map(([name, sorted]) => {
      const tone = colour(toneOf(groupOf({ runs: sorted.flatMap(({ runs }) => runs) })));
      const at = shape(sorted[0]);
      return {
        type: "scatter", mode: "lines+markers", name, meta: { each: sorted.map((point) => point.records) }, x: sorted.map((point) => point.x), y: sorted.map(({ at }) => at[0]),
        customdata: sorted.map(({ at }) => spread(at[1], 2)), line: { color: tone, width: 2, dash: DASHES[at % DASHES.length] }, marker: { size: 8, symbol: SYMBOLS[at % SYMBOLS.length] },
        error_y: { type: "data", array: sorted.map(({ at }) => at[1]), color: tone, thickness: 1.2, width: 4 },
        hovertemplate: `${name}<br>budget %{x:,}<br>%{y:.2f}%{customdata}<extra></extra>`,
      };
    });
    const text = ticks.map((value) => (value < 1 ? `${+(100 * value).toPrecision(3)} %` : value.toLocaleString()));
    return [traces, layout({
      xaxis: axis({ title: ticks[0] < 1 ? "budget" : "budget (samples)", type: "log", tickvals: ticks, ticktext: text }), yaxis: axis(range(points)), showlegend: true,
      legend: narrow() ? { x: 0, xanchor: "left", yref: "container", y: 0, yanchor: "bottom", ...LEGEND } : { x: 1.02, xanchor: "left", y: 1, yanchor: "top", ...LEGEND },
    })];
  },
  curves(spec) {
    const traces = [...grouped(spec.series.filter(shown))].flatMap(([name, own]) => own.map((series, i) => ({
      type: "scatter", mode: "lines", meta: { records: series.records }, name: name === "none" ? `no ${view.colour}` : name || series.name, legendgroup: name || series.name, showlegend: Boolean(name) && i === 0, x: series.x, y: series.y,
      line: { color: colour(toneOf(name)), width: 1.4 }, opacity: 0.8, hovertemplate: `${series.name}<br>step %{x:,} · loss %{y:.4f}<extra></extra>`,
    })));
    return [traces, layout({ xaxis: axis({ title: spec.xTitle }), yaxis: axis({ title: spec.yTitle }) })];
  },
  times(spec) {
    const rows = spec.rows.filter(shown);
    const traces = spec.stages.map((stage, i) => ({
      type: "bar", orientation: "h", name: stage, meta: { each: rows.map((row) => (row.records[stage] === undefined ? null : [row.records[stage]])) }, y: rows.map((row) => row.label), x: rows.map((row) => row.seconds[stage] ?? null),
      customdata: rows.map((row) => duration(row.seconds[stage])), marker: { color: colour(`tone-${i % TONES}`) },
      hovertemplate: `%{y}<br>${stage}: %{customdata}<extra></extra>`,
    }));
    return [traces, layout({
      barmode: "stack", bargap: 0.22, xaxis: axis({ title: "seconds", side: "top" }), legend: { orientation: "h", x: 0, y: -0.01, yanchor: "top", xanchor: "left" },
      yaxis: axis({ type: "category", autorange: "reversed", showticklabels: !narrow(), tickfont: { size: 11 } }),
    })];
  },
};

/** The same data as a table: for readers of numbers and for screen readers. */
function numbersTable(spec) {
  const fixed = (value) => (value === null || value === undefined ? "–" : value.toFixed(spec.digits ?? 4));
  const [heads, rows] = {
    bars: () => {
      const series = spec.series.filter(shown);
      return [["", ...series.map((s) => s.name)], spec.x.map((x, i) => [x, ...series.map((s) => s.y[i].toLocaleString())])];
    },
    line: () => [["step", "loss"], spec.x.map((x, i) => [x, fixed(spec.y[i])])],
    tradeoff: () => [["", spec.xTitle, spec.yTitle], spec.series.flatMap((s) => s.x.map((x, i) => [s.notes[i].split(":")[0], fixed(x), fixed(s.y[i])]))],
    dots: () => [["", "value", "±"], pointsOf(spec).map((point) => [point.label, ...point.at.map(fixed)])],
    growth: () => [["", "reliability", "gain", "US $ so far"], spec.x.map((rater, i) => [rater, fixed(spec.y[i]), fixed(spec.gain[i]), spec.cost[i] === null ? "–" : spec.cost[i].toFixed(2)])],
    budgets: () => [["", "budget", "value", "±"], pointsOf(spec).map((point) => [point.series, point.x.toLocaleString(), ...point.at.map(fixed)])],
    curves: () => [["run", "first loss", "last loss", "steps"], spec.series.filter(shown).map((s) => [s.name, fixed(s.y[0]), fixed(s.y.at(-1)), s.x.at(-1).toLocaleString()])],
    times: () => [["run", ...spec.stages], spec.rows.filter(shown).map((row) => [row.label, ...spec.stages.map((stage) => duration(row.seconds[stage]))])],
  }[spec.kind]();
  const cell = (value, i) => (i ? h("td", { className: "n" }, String(value)) : h("th", { scope: "row" }, String(value)));
  return h("table", { className: "plain" },
    h("thead", {}, h("tr", {}, ...heads.map((text, i) => h("th", { scope: "col", className: i ? "n" : "" }, text)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map(cell)))));
}

/** The height in pixels of a chart that grows with what it lists. */
const HEIGHTS = {
  dots: (spec) => 90 + (narrow() ? 46 : 27) * pointsOf(spec).length,
  times: (spec) => 90 + 20 * spec.rows.filter(shown).length,
  budgets: (spec) => {
    const legend = 20 * linesOf(pointsOf(spec)).length;
    return narrow() ? 330 + legend : Math.max(380, 60 + legend);
  },
};

const isEmpty = (traces) => !traces.some(({ visible, x }) => visible !== false && x.length);

async function setUpCharts() {
  const specs = PAGE.charts;
  if (!specs.length) return;
  const byId = new Map(specs.map((spec) => [spec.id, spec]));
  const numbers = $$("details[data-chart]");
  const fill = (details) => details.open && $("div", details).replaceChildren(numbersTable(byId.get(details.dataset.chart)));
  numbers.forEach((details) => details.addEventListener("toggle", () => fill(details)));
  const source = URL.createObjectURL(new Blob([await unpack("plotly")], { type: "text/javascript" }));
  await new Promise((done, failed) => document.head.append(h("script", { src: source, onload: done, onerror: failed })));
  URL.revokeObjectURL(source);
  const drawn = new Set();
  const cite = ({ points: [{ data, pointNumber, x, y }] }) => {
    const places = data.meta?.each?.[pointNumber] ?? data.meta?.records;
    if (places) openRecords([data.name, x, y].filter((part) => part && typeof part === "string").join(" · "), places);
  };
  const draw = (spec) => {
    drawn.add(spec);
    const element = document.getElementById(spec.id);
    const [traces, page] = KINDS[spec.kind](spec);
    const empty = isEmpty(traces);
    element.hidden = empty;
    element.nextElementSibling.hidden = !empty;
    if (empty) return;
    if (spec.fit) element.style.setProperty("--h", `${HEIGHTS[spec.kind](spec)}px`);
    const fresh = !element.on;
    Plotly.react(element, traces, { ...page, width: element.clientWidth, height: element.clientHeight }, { displayModeBar: false, responsive: true });
    if (fresh) element.on("plotly_click", cite);
  };
  const watch = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      draw(byId.get(target.id));
    }
  }, { rootMargin: "250px" });
  specs.forEach((spec) => watch.observe(document.getElementById(spec.id)));
  themeListeners.push(() => drawn.forEach(draw));
  view.listeners.push(() => { drawn.forEach(draw); numbers.forEach(fill); });
  // On paper there is no scrolling to a chart: all are drawn, at the paper's width and in light colours (see `.printing`).
  const drawFor = (paper) => {
    document.documentElement.classList.toggle("printing", paper);
    specs.forEach(draw);
  };
  addEventListener("beforeprint", () => drawFor(true));
  addEventListener("afterprint", () => drawFor(false));
}

setUpCharts();
