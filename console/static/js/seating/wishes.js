// Wishes and avoidances, written down by staff: a dialog for one person, a matrix for small events.
import { board, follow, person, urls } from "./app.js";
import { choose } from "./choice.js";
import { acts } from "./keys.js";
import { step } from "./server.js";
import { el, icon, speak, word } from "./words.js";

const editor = document.querySelector('[data-dialog="wishes"]');
const matrix = document.querySelector('[data-dialog="matrix"]');
const MATRIX_MAX = 40;
let edited = null; // {user, booking, seen, wishes: Set, avoids: Set}

function open([booking]) {
  const one = person(booking);
  const named = board.wishes.get(one.user) ?? { wishes: [], avoids: [], version: null };
  edited = { user: one.user, name: one.name, seen: named.version, wishes: new Set(named.wishes), avoids: new Set(named.avoids) };
  editor.querySelector("h2").textContent = word("wishes_of", { name: one.name });
  for (const field of editor.querySelectorAll("input")) field.value = "";
  draw();
  editor.showModal();
}

function draw() {
  for (const kind of ["wishes", "avoids"]) {
    const chips = [...edited[kind]].map((user) => el("li", { class: "chip" }, el("span", {}, board.nameOf(user) ?? word("unknown_person")),
      conflict(kind, user) ? el("em", { class: "contradiction" }, word("contradiction")) : null,
      el("button", { type: "button", "data-drop": user, "data-kind": kind, "aria-label": word("remove_name", { name: board.nameOf(user) ?? "" }) }, icon("x"))));
    editor.querySelector(`[data-chips=${kind}]`).replaceChildren(...chips);
    offer(kind, "");
  }
}

function conflict(kind, user) {
  const other = board.ofUser.get(user);
  const me = board.ofUser.get(edited.user);
  return other && me && (kind === "wishes" ? other.avoids.includes(me) : other.wishes.includes(me));
}

// Everybody on the event is here already: the picker asks nobody.
function offer(kind, term) {
  const listed = editor.querySelector(`[data-offers=${kind}]`);
  const words = term.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? [...board.ofUser.values()].filter((one) => one.user !== edited.user && !edited.wishes.has(one.user) && !edited.avoids.has(one.user) && words.every((each) => one.name.toLocaleLowerCase().includes(each))).slice(0, 8) : [];
  listed.replaceChildren(...found.map((one) => el("li", {}, el("button", { type: "button", "data-pick": one.user, "data-kind": kind }, one.name))));
  listed.hidden = !found.length;
}

editor.addEventListener("input", (event) => offer(event.target.dataset.picker, event.target.value));
editor.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[data-picker]")) {
    event.preventDefault();
    editor.querySelector(`[data-offers=${event.target.dataset.picker}] button`)?.click();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const area = event.target.closest("[data-area]");
    if (!area) return;
    event.preventDefault();
    const stops = [...area.querySelectorAll("[data-picker], [data-pick]")];
    stops[Math.min(Math.max(stops.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1), 0), stops.length - 1)].focus();
  }
});
editor.addEventListener("click", (event) => {
  const pick = event.target.closest("[data-pick]");
  const gone = event.target.closest("[data-drop]");
  if (!pick && !gone) return;
  const { kind } = (pick ?? gone).dataset;
  if (pick) edited[kind].add(pick.dataset.pick);
  else edited[kind].delete(gone.dataset.drop);
  draw();
  const field = editor.querySelector(`[data-picker=${kind}]`);
  field.value = "";
  field.focus();
});

export function save({ user, name, seen, wishes, avoids }) {
  return step(urls.preferences, () => ({ person: user, seen, wishes: [...wishes], avoids: [...avoids] })).then((done) => { if (done) speak(word("wishes_saved", { name })); return done; });
}

editor.addEventListener("submit", () => save(edited));

// The matrix: who (rows) wishes for or avoids whom (columns). A cell goes from nothing to a wish to an avoidance.

const SIGNS = { wish: "♥", avoid: "⊘", none: "·" };

function people() {
  return [...board.people.values()].filter((one) => one.active).sort((a, b) => a.name.localeCompare(b.name));
}

function cell(one, other) {
  if (one === other) return el("td", { class: "self" });
  const kind = one.wishes.includes(other) ? "wish" : one.avoids.includes(other) ? "avoid" : "none";
  const clash = kind !== "none" && board.contradicts(one, other);
  return el("td", {}, el("button", { type: "button", class: `cell-${kind} ${clash ? "clash" : ""}`, tabindex: -1, "data-row": one.user, "data-column": other.user,
    "aria-label": word(`matrix_${kind}`, { name: one.name, other: other.name, says: clash ? word("contradiction") : "" }) }, SIGNS[kind]));
}

function drawMatrix() {
  const all = people();
  const small = all.length <= MATRIX_MAX;
  matrix.querySelector("[data-matrix-large]").hidden = small;
  const table = matrix.querySelector("table");
  table.hidden = !small;
  if (!small) return;
  const at = document.activeElement?.dataset ?? {};
  table.replaceChildren(
    el("thead", {}, el("tr", {}, el("td"), ...all.map((other) => el("th", { scope: "col" }, el("span", {}, other.name))))),
    el("tbody", {}, ...all.map((one) => el("tr", {}, el("th", { scope: "row" }, one.name), ...all.map((other) => cell(one, other))))));
  const first = at.row && table.querySelector(`[data-row="${at.row}"][data-column="${at.column}"]`);
  (first || table.querySelector("button"))?.setAttribute("tabindex", "0");
  if (first) first.focus();
}

matrix.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-column]");
  if (!pressed) return;
  const { row: user, column } = pressed.dataset;
  const named = board.wishes.get(user) ?? { wishes: [], avoids: [], version: null };
  const [wishes, avoids] = [new Set(named.wishes), new Set(named.avoids)];
  if (wishes.delete(column)) avoids.add(column);
  else if (!avoids.delete(column)) wishes.add(column);
  save({ user, name: board.nameOf(user), seen: named.version, wishes, avoids });
});
matrix.addEventListener("keydown", (event) => {
  const from = event.target.closest("[data-column]");
  const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!from || !by) return;
  event.preventDefault();
  const cells = [...matrix.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")]);
  let [y, x] = [0, 0];
  cells.forEach((row, at) => row.forEach((each, across) => { if (each.contains(from)) [y, x] = [at, across]; }));
  do { [y, x] = [y + by[0], x + by[1]]; } while (cells[y]?.[x]?.matches(".self"));
  const to = cells[y]?.[x]?.querySelector("button");
  if (!to) return;
  from.setAttribute("tabindex", "-1");
  to.setAttribute("tabindex", "0");
  to.focus();
});

// Wishes that cannot be met, because the other one avoids who wishes.

const clashes = document.querySelector('[data-dialog="clashes"]');

acts.clashes = () => {
  clashes.querySelector("ul").replaceChildren(...board.contradictions().map(([one, other]) => el("li", {},
    el("button", { type: "button", "data-clash": one.booking }, el("span", {}, word("clash", { name: one.name, other: other.name }))))));
  clashes.showModal();
};
clashes.addEventListener("click", (event) => {
  const who = event.target.closest("[data-clash]");
  if (!who) return;
  clashes.close();
  choose(who.dataset.clash);
});

follow(() => { if (matrix.open) drawMatrix(); });
acts.wishes = open;
acts.matrix = () => { drawMatrix(); matrix.showModal(); matrix.querySelector("tbody button")?.focus(); };
