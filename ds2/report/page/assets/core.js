// Shared by every page: elements, packed data, theme, contents, records.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element; children that are strings become text nodes, so no text of a pool is ever parsed as HTML. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.startsWith("aria")) element[name] = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The text of a packed payload: base64, then gzip. */
async function unpack(name) {
  const holder = document.getElementById(`packed-${name}`);
  const coded = holder.textContent;
  holder.remove();
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(coded) : Uint8Array.from(atob(coded), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

const PAGE = JSON.parse($("#page-json").textContent);

/** Which runs the filters leave, and which seed stands for its siblings; null: all. A page of one run filters nothing. */
const view = { runs: null, seed: null, colour: null, listeners: [] };
const shown = (item) =>
  (!item.runs || !view.runs || item.runs.some((run) => view.runs.has(run))) && (!item.seeds || view.seed === null || item.seeds.includes(view.seed));

/** What a CSS variable comes to under the theme of the moment, as rgb(). */
function colour(name) {
  const probe = h("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const themeListeners = [];
function setUpTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const tell = () => themeListeners.forEach((listener) => listener());
  dark.addEventListener("change", tell);
  $("#theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
    tell();
  });
}

function setUpContents() {
  const links = new Map();
  for (const section of $$("main section[data-title]")) {
    const link = h("a", { href: `#${section.id}` }, section.dataset.title);
    links.set(section, link);
    $(".contents").append(link);
  }
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? seen.add(entry.target) : seen.delete(entry.target);
    const first = [...links.keys()].find((section) => seen.has(section));
    links.forEach((link, section) => (section === first ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  }, { rootMargin: "-15% 0px -50% 0px" });
  links.forEach((_, section) => watch.observe(section));
}

/** A dialog that a click beside it closes. */
function openDialog(dialog, ...children) {
  dialog.replaceChildren(...children);
  dialog.onclick = (event) => event.target === dialog && dialog.close();
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

const closeButton = (dialog) => h("button", { type: "button", onclick: () => dialog.close() }, "Close");

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 99.5) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A number's records: which artifacts it comes from, each with a link to its record.json. */
function openRecords(title, places, values = []) {
  const dialog = $("#records");
  const line = (place, i) => {
    const record = PAGE.records[place];
    return h("tr", {},
      h("th", { scope: "row" }, record.stage), h("td", {}, values[i] || ""), h("td", { className: "n" }, duration(record.seconds)),
      h("td", {}, h("a", { href: record.href }, h("code", {}, record.fingerprint)), h("code", { className: "path" }, record.path)));
  };
  const heads = ["stage", "value", "wall time", "record"].map((text, i) => h("th", { scope: "col", className: i === 2 ? "n" : "" }, text));
  openDialog(dialog,
    h("header", {}, h("h3", { id: "records-title" }, title), closeButton(dialog)),
    h("div", { className: "scroll padded" }, h("table", { className: "plain" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...places.map(line)))));
}

function setUpRecords() {
  document.addEventListener("click", (event) => {
    const cited = event.target.closest("[data-records]");
    if (!cited) return;
    openRecords(cited.dataset.of || cited.textContent.trim(), cited.dataset.records.split(" ").map(Number), JSON.parse(cited.dataset.values || "[]"));
  });
}

/** A table wider than its place says that it scrolls. */
function setUpScrolling() {
  const watch = new ResizeObserver((entries) => entries.forEach(({ target }) => target.classList.toggle("cut", target.scrollWidth > target.clientWidth)));
  $$(".scroll").forEach((element) => watch.observe(element));
}

setUpTheme();
setUpContents();
setUpRecords();
setUpScrolling();
