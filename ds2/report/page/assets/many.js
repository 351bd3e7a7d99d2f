// The page of many runs: one set of filters for all of it.
function setUpFilters() {
  const form = $("#facets");
  if (!form) return;
  const total = PAGE.choices.length;
  const asked = () => PAGE.facets.map((name) => [name, new Set($$(`[name="${name}"]:checked`, form).map((box) => box.value))]).filter(([, values]) => values.size);

  function update() {
    const wanted = asked();
    const fits = PAGE.choices.map((choice) => wanted.every(([name, values]) => values.has(choice[name])));
    view.runs = wanted.length ? new Set(fits.flatMap((fit, run) => (fit ? [run] : []))) : null;
    view.colour = form.colour?.value || null;
    view.seed = $("#seed") ? Number($("#seed").value) : null;
    const count = view.runs ? view.runs.size : total;
    for (const output of $$(".runs-shown")) output.textContent = `${count} of ${total} runs`;
    $("#open-facets").textContent = wanted.length ? `Filters · ${wanted.length}` : "Filters";
    $("#no-run").hidden = count > 0;
    hideOthers();
    view.listeners.forEach((listener) => listener());
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", update);
  form.addEventListener("reset", () => setTimeout(update));
  $("#open-facets").addEventListener("click", () => form.classList.toggle("open"));
  $("#close-facets").addEventListener("click", () => form.classList.remove("open"));
  $("#seed")?.addEventListener("input", update);
  $("#task").addEventListener("input", () => view.listeners.forEach((listener) => listener()));
  $("#run-query").addEventListener("input", hideOthers);
  update();
}

/** Hides elements of runs that the filters leave out and runs whose row lacks the words searched for; counts the rows left. */
function hideOthers() {
  for (const element of $$("[data-runs]")) {
    if (!element.dataset.runs) continue; // a row of which no run is done
    const item = { runs: element.dataset.runs.split(" ").map(Number), seeds: element.dataset.seeds?.split(" ").map(Number) };
    element.hidden = !shown(item);
  }
  const words = $("#run-query").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = $$("#run-table tbody tr");
  for (const row of rows) row.hidden ||= !words.every((word) => row.textContent.toLowerCase().includes(word));
  $("#run-count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} runs`;
}

function setUpSorting() {
  for (const table of $$("table.sortable")) {
    const body = table.tBodies[0];
    const value = (row, at) => row.cells[at].dataset.v ?? row.cells[at].textContent.trim();
    $$("thead th", table).forEach((head) => $("button", head)?.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending" && (head.classList.contains("n") || head.hasAttribute("aria-sort"));
      $$("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const compare = (a, b) => (isFinite(a) && isFinite(b) ? a - b : a.localeCompare(b));
      body.append(...[...body.rows].sort((a, b) => (down ? -1 : 1) * compare(value(a, head.cellIndex), value(b, head.cellIndex))));
    }));
  }
}

setUpSorting();
setUpFilters();
