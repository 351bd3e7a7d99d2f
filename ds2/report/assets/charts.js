// Specifications (kind, data) to plotly figures in the colours of the page.
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
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", xanchor: "left" },
    ...extra,
  };
}

const total = (values) => values.reduce((sum, value) => sum + value, 0) || 1;

const KINDS = {
  bars(spec) {
    const traces = spec.series.map((series) => {
      const whole = total(series.y);
      const value = spec.shares ? series.y.map((n) => n / whole) : series.y;
      const notes = series.y.map((n) => `${n.toLocaleString()} samples, ${((100 * n) / whole).toFixed(1)} %`);
      const place = spec.horizontal ? { y: spec.x, x: value, orientation: "h" } : { x: spec.x, y: value };
      return {
        type: "bar", name: series.name, ...place, customdata: notes,
        hovertemplate: `%{${spec.horizontal ? "y" : "x"}} · ${series.name}<br>%{customdata}<extra></extra>`,
        marker: { color: colour(series.tone), cornerradius: spec.overlay ? 0 : 3 }, opacity: spec.overlay ? 0.72 : 1,
      };
    });
    const category = axis({ title: spec.xTitle, type: spec.overlay ? "linear" : "category", showgrid: false });
    const value = axis({ title: spec.yTitle, tickformat: spec.shares ? ".0%" : ",", rangemode: "tozero", nticks: 6 });
    const bars = { barmode: spec.overlay ? "overlay" : "group", bargap: spec.overlay ? 0.04 : 0.28 };
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
  dots(spec) {
    const trace = {
      type: "scatter", mode: "markers", x: spec.value, y: spec.wrap ? spec.labels.map((label) => label.replace(" · ", "<br>")) : spec.labels, marker: { color: colour("accent"), size: 10 },
      error_x: { type: "data", array: spec.error, color: colour("accent"), thickness: 1.6, width: 5 },
      customdata: spec.error, hovertemplate: "%{y}<br>%{x:.4f} ± %{customdata:.4f}<extra></extra>",
    };
    const low = Math.min(...spec.value.map((value, i) => value - spec.error[i]));
    const high = Math.max(...spec.value.map((value, i) => value + spec.error[i]));
    const pad = Math.max(0.02, 0.2 * (high - low));
    return [[trace], layout({
      xaxis: axis({ tickformat: ".0%", range: [low - pad, high + pad], nticks: 5 }),
      yaxis: axis({ type: "category", autorange: "reversed" }), showlegend: false,
    })];
  },
};

/** The same data as a table: for readers of numbers and for screen readers. */
function numbersTable(spec) {
  const heads = { bars: () => ["", ...spec.series.map((s) => s.name)], line: () => ["step", "loss"], dots: () => ["", "value", "± s.e."] };
  const rows = {
    bars: () => spec.x.map((x, i) => [x, ...spec.series.map((s) => s.y[i].toLocaleString())]),
    line: () => spec.x.map((x, i) => [x, spec.y[i].toFixed(4)]),
    dots: () => spec.labels.map((label, i) => [label, spec.value[i].toFixed(4), spec.error[i].toFixed(4)]),
  };
  const cell = (value, i) => (i ? h("td", { className: "n" }, String(value)) : h("th", { scope: "row" }, String(value)));
  return h("table", { className: "plain" },
    h("thead", {}, h("tr", {}, ...heads[spec.kind]().map((text, i) => h("th", { scope: "col", className: i ? "n" : "" }, text)))),
    h("tbody", {}, ...rows[spec.kind]().map((row) => h("tr", {}, ...row.map(cell)))));
}

async function setUpCharts() {
  const specs = JSON.parse($("#charts-json").textContent);
  if (!specs.length) return;
  for (const details of document.querySelectorAll("details[data-chart]")) {
    details.addEventListener("toggle", () => {
      const spec = specs.find((candidate) => candidate.id === details.dataset.chart);
      if (details.open && spec) $("div", details).replaceChildren(numbersTable(spec));
    });
  }
  const source = URL.createObjectURL(new Blob([await unpack("plotly")], { type: "text/javascript" }));
  await new Promise((done, failed) => document.head.append(h("script", { src: source, onload: done, onerror: failed })));
  URL.revokeObjectURL(source);
  const drawn = new Set();
  const draw = (spec) => {
    const [traces, page] = KINDS[spec.kind](spec);
    Plotly.react(document.getElementById(spec.id), traces, page, { displayModeBar: false, responsive: true });
  };
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      const spec = specs.find((candidate) => candidate.id === entry.target.id);
      drawn.add(spec);
      draw(spec);
    }
  }, { rootMargin: "600px" });
  specs.forEach((spec) => watch.observe(document.getElementById(spec.id)));
  themeListeners.push(() => drawn.forEach(draw));
}

setUpCharts();
