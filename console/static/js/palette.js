// Ctrl-K: every page of the menu, by any part of its name, at once; then what the server finds: people, events,
// bookings, payments, crews. Arrows and Enter.
import { element, icon, say } from "./text.js";

function pages() {
  const found = [...document.querySelectorAll(".side-nav a")].map((link) => ({
    text: link.querySelector("span").textContent,
    hint: link.closest("details")?.querySelector("summary").textContent.trim() ?? "",
    mark: link.dataset.icon,
    open: () => link.click(),
  }));
  const buttons = document.querySelectorAll(".topbar [data-theme-choose], .topbar [name=locale], .topbar form[action='/logout'] button");
  const seen = new Set();
  for (const button of buttons) {
    const text = button.textContent.trim();
    if (seen.has(text)) continue;
    seen.add(text);
    const owner = button.closest(".dropdown").querySelector("[data-bs-toggle]");
    found.push({ text, hint: owner.getAttribute("aria-label") ?? "", mark: button.querySelector("use")?.getAttribute("href").split("#")[1] ?? "language", open: () => button.click() });
  }
  return found;
}

// Lower is better; null does not match: the start of the name, the start of a word, anywhere, then the group.
function rank(page, query) {
  const text = page.text.toLowerCase();
  if (!query) return 0;
  if (text.startsWith(query)) return 0;
  if (text.split(/[\s-]+/).some((word) => word.startsWith(query))) return 1;
  if (text.includes(query)) return 2;
  return `${page.hint} ${text}`.toLowerCase().includes(query) ? 3 : null;
}

const PAUSE_MS = 120; // between two letters of somebody who types

export function initPalette() {
  const dialog = document.querySelector("[data-palette]");
  if (!dialog) return;
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("ul");
  let all = [];
  let shown = [];
  let current = 0;
  let records = []; // what the server found for the term `found`
  let found = "";
  let waiting = 0;
  let asking = null;
  let unanswered = false;

  const ask = async (term) => {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(`/find?q=${encodeURIComponent(term)}`, { signal: asking.signal, headers: { "X-Requested-With": "fetch" }, redirect: "manual" });
      if (!answer.ok) return;
      const { items } = await answer.json();
      if (input.value.trim() !== term) return;
      found = term;
      records = items.map((item) => ({ text: item.text, hint: [item.sub, item.kind].filter(Boolean).join(" · "), mark: item.icon, open: () => { location.href = item.url; } }));
      draw(true);
    } catch (error) {
      if (error.name === "AbortError") return; // another letter came
      unanswered = true; // the pages are there anyway
      draw(true);
    }
  };
  const look = () => {
    unanswered = false;
    draw();
    clearTimeout(waiting);
    const term = input.value.trim();
    if (term.length > 1) waiting = setTimeout(ask, PAUSE_MS, term);
    else { asking?.abort(); records = []; found = ""; }
  };

  const mark = (index) => {
    current = (index + shown.length) % Math.max(shown.length, 1);
    [...list.children].forEach((row, at) => row.getAttribute("role") && row.setAttribute("aria-selected", String(at === current)));
    list.children[current]?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", shown.length ? `palette-${current}` : "");
  };
  const draw = (kept = false) => {
    const query = input.value.trim().toLowerCase();
    const before = kept ? current : 0;
    // What was found for the letters before stays until the new answer is there.
    const some = query.length > 1 && query.startsWith(found.toLowerCase()) ? records : [];
    shown = all.map((page) => ({ page, at: rank(page, query) })).filter(({ at }) => at !== null).sort((a, b) => a.at - b.at).map(({ page }) => page).concat(some);
    list.replaceChildren(...shown.map((page, index) => {
      const row = element("li", { role: "option", id: `palette-${index}`, "aria-selected": "false" }, icon(page.mark), element("span", {}, page.text));
      if (page.hint) row.append(element("small", {}, page.hint));
      row.addEventListener("click", () => { dialog.close(); page.open(); });
      row.addEventListener("pointermove", () => current !== index && mark(index));
      return row;
    }));
    if (!shown.length) list.append(element("li", { class: "nothing" }, say(unanswered ? "unanswered" : "nothing")));
    mark(before);
  };
  const open = () => {
    if (dialog.open) return;
    all = pages();
    input.value = "";
    records = [];
    found = "";
    dialog.showModal();
    draw();
    input.focus();
  };

  input.addEventListener("input", look);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); mark(current + 1); }
    if (event.key === "ArrowUp") { event.preventDefault(); mark(current - 1); }
    if (event.key === "Enter" && shown[current]) { event.preventDefault(); dialog.close(); shown[current].open(); }
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.addEventListener("click", (event) => event.target.closest("[data-palette-open]") && open());
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.code === "KeyK") { event.preventDefault(); dialog.open ? dialog.close() : open(); }
  });
}
