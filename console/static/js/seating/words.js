// What the board says: the page writes it, translated, into <script id="board-words">.
import { drawn, element as el, fill, icon } from "../text.js";

export { el, icon };

const words = JSON.parse(document.getElementById("board-words").textContent);
const plural = new Intl.PluralRules(document.documentElement.lang);

// A word that has forms is {one, few, many, other}, chosen by the value n.
export function word(name, values = {}) {
  const entry = words[name];
  const text = typeof entry === "string" ? entry : (entry[plural.select(values.n)] ?? entry.other);
  return fill(text, values);
}

export const states = words.states;
export const kinds = words.kinds;

// A small mark of the page itself: a thousand of them cost nothing.
export function mark(name, label) {
  const svg = drawn(`#mark-${name}`, `sign sign-${name}`);
  if (label) svg.dataset.says = label;
  return svg;
}

export function button(text, attributes = {}, name = null) {
  return el("button", { type: "button", class: "btn btn-sm", ...attributes }, name ? icon(name) : null, text);
}

const spoken = document.querySelector("[data-spoken]");
// For who listens; the same words twice are said twice.
export function speak(text) {
  spoken.textContent = "";
  requestAnimationFrame(() => { spoken.textContent = text; });
}
