// What people read in scripts: the page writes it, translated, into <script id="i18n">.
const words = JSON.parse(document.getElementById("i18n").textContent);

// A text with values in place of their {names}.
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export function say(name, values = {}) {
  return fill(words[name], values);
}

// An image that a symbol draws: of the sprite of icons, or of the page itself.
export function drawn(symbol, className) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", symbol);
  svg.append(use);
  return svg;
}

export function icon(name) {
  return drawn(`${words.icons}#${name}`, "icon");
}

// An attribute that is true stands there without a value; one that is false or nothing, and such a child, does not.
export function element(tag, attributes = {}, ...children) {
  const isThere = (thing) => thing !== false && thing !== null && thing !== undefined;
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (isThere(value)) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter(isThere));
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
  if (event.code === "Slash") return "/";
  return event.code?.startsWith("Key") ? event.code.slice(3).toLowerCase() : event.key;
}
