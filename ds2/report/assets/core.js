// Shared by every page: elements, packed data, theme, contents.
const $ = (selector, root = document) => root.querySelector(selector);

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
  for (const section of document.querySelectorAll("main section[data-title]")) {
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

setUpTheme();
setUpContents();
