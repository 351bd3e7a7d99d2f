// The list of runs: filtered by words and choices.
function setUpRuns() {
  const form = $("#run-filters");
  if (!form) return;
  const rows = [...document.querySelectorAll("#run-table tbody tr")];
  for (const name of ["selection", "rater"]) {
    const values = [...new Set(rows.map((row) => row.dataset[name]).filter(Boolean))].sort();
    form[name].append(...values.map((value) => h("option", { value }, value)));
  }
  const update = () => {
    const words = form.query.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits =
        (!form.selection.value || row.dataset.selection === form.selection.value) &&
        (!form.rater.value || row.dataset.rater === form.rater.value) &&
        words.every((word) => row.textContent.toLowerCase().includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    $("#run-count").textContent = `${shown} of ${rows.length}`;
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
}

setUpRuns();
