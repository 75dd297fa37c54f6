// What people read in scripts: the page writes it, translated, into <script id="i18n">.
const words = JSON.parse(document.getElementById("i18n").textContent);

export function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${words.icons}#${name}`);
  svg.append(use);
  return svg;
}

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// A key press that belongs to the page, not to a field, a dialog or the browser.
export function isPageKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  if (document.querySelector("dialog[open], .dropdown-menu.show")) return false;
  return !event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], .ts-wrapper");
}

// Latin letter of a key, whatever the layout: "g" is the same key on a Russian keyboard.
export function letter(event) {
  if (/^[a-z?/]$/i.test(event.key)) return event.key.toLowerCase();
  if (event.code === "Slash" && event.shiftKey) return "?";
  if (event.code === "Slash" || (event.key === "." && event.code === "Slash")) return "/";
  return event.code?.startsWith("Key") ? event.code.slice(3).toLowerCase() : event.key;
}
