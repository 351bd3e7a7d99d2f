// The form for anchors: one sample at a time, a key for each score, answers kept in the browser, the CSV saved.
const PAGE = JSON.parse(document.getElementById("page-json").textContent);
const at = (id) => document.getElementById(id);
const items = PAGE.items;
let answers = {};
let now = 0;

/** What this browser holds of this draw. Storage may be forbidden: the form then works without it and says so. */
function recall() {
  try {
    const known = JSON.parse(localStorage.getItem(PAGE.storage) || "{}");
    const scores = new Set(PAGE.levels.map((level) => level.score));
    const rows = new Set(items.map((item) => String(item.row)));
    answers = Object.fromEntries(Object.entries(known).filter(([row, score]) => rows.has(row) && scores.has(score)));
  } catch {
    at("stored").textContent = "This browser keeps nothing: save the CSV before you close the page.";
  }
}

function remember() {
  try {
    localStorage.setItem(PAGE.storage, JSON.stringify(answers));
  } catch {
    at("stored").textContent = "This browser keeps nothing: save the CSV before you close the page.";
  }
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function show(place) {
  now = Math.min(Math.max(place, 0), items.length - 1);
  const item = items[now];
  at("heading").textContent = `Sample ${now + 1} of ${items.length}`;
  at("sample").replaceChildren(
    ...item.turns.map(([role, text]) => {
      const turn = element("div", "turn", "");
      turn.append(element("div", "role", role), element("div", "text", text));
      return turn;
    }),
  );
  for (const button of at("levels").children) button.setAttribute("aria-pressed", String(answers[item.row] === Number(button.value)));
  at("back").disabled = now === 0;
  at("next").disabled = now === items.length - 1;
  at("progress").textContent = `${Object.keys(answers).length} of ${items.length} scored`;
  scrollTo(0, 0);
}

function answer(score) {
  answers[items[now].row] = score;
  remember();
  const open = (item) => answers[item.row] === undefined;
  const after = items.findIndex((item, place) => place > now && open(item));
  const any = after >= 0 ? after : items.findIndex(open);
  show(any >= 0 ? any : now);
}

function takeBack() {
  delete answers[items[now].row];
  remember();
  show(now);
}

/** A cell as Python's csv module writes it. */
const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function csv() {
  const lines = items.map((item) => [item.id, String(item.row), String(answers[item.row] ?? ""), item.weight, PAGE.pool]);
  return [PAGE.columns, ...lines].map((line) => line.map(cell).join(",") + "\n").join("");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = PAGE.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

for (const level of PAGE.levels) {
  const button = element("button", "", level.key === String(level.score) ? level.key : `${level.score} (${level.key})`);
  button.type = "button";
  button.value = level.score;
  button.addEventListener("click", () => answer(level.score));
  at("levels").append(button, " ");
}
at("back").addEventListener("click", () => show(now - 1));
at("next").addEventListener("click", () => show(now + 1));
at("save").addEventListener("click", save);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const level = PAGE.levels.find((candidate) => candidate.key === event.key.toLowerCase());
  const act = level
    ? () => answer(level.score)
    : { ArrowLeft: () => show(now - 1), ArrowRight: () => show(now + 1), Backspace: takeBack }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
recall();
const first = items.findIndex((item) => answers[item.row] === undefined);
show(first < 0 ? 0 : first);
