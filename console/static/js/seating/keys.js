// The board by keyboard: arrows walk over seats and people, Space or Enter picks up and puts down, Escape leaves.
import { isPageKey, letter } from "../text.js";
import { hold } from "../live.js";
import { app, board, here, person, root } from "./app.js";
import { drop, meant, out, toggleLocks } from "./carry.js";
import { choose, clear } from "./choice.js";
import { redo, undo } from "./server.js";
import { cellOf, seatCell, stopAt } from "./view.js";
import { speak, word } from "./words.js";

const list = root.querySelector("[data-people]");
const grid = root.querySelector("[data-crews]");

export function focusCell(cell) {
  if (!cell) return;
  stopAt(cell);
  cell.focus({ preventScroll: true });
  cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (app.carried) speak(describe(cell));
}

// Where a person in the hand would go.
function describe(cell) {
  if (!cell.dataset.seat) return word("over_list");
  const crew = board.crews.get(cell.dataset.crew);
  const other = cell.dataset.who && person(cell.dataset.who);
  const isSelf = app.carried.bookings.includes(cell.dataset.who);
  return word(isSelf ? "over_self" : other ? "over_person" : "over_free", { crew: crew.name, seat: cell.dataset.seat, name: other?.name ?? "" });
}

const center = (box) => [(box.left + box.right) / 2, (box.top + box.bottom) / 2];

// The nearest card on that side; Left of the first one is the list.
function neighbour(card, key) {
  const [x, y] = center(card.getBoundingClientRect());
  let best = null;
  let distance = Infinity;
  for (const other of grid.children) {
    if (other === card || !other.dataset.card) continue;
    const box = other.getBoundingClientRect();
    const [ox, oy] = center(box);
    const [dx, dy] = [ox - x, oy - y];
    const along = { ArrowLeft: -dx, ArrowRight: dx, ArrowUp: -dy, ArrowDown: dy }[key];
    const across = Math.abs(key === "ArrowLeft" || key === "ArrowRight" ? dy : dx);
    if (along < 8) continue;
    const far = along + across * 4;
    if (far < distance) { best = other; distance = far; }
  }
  return best;
}

function step(cell, key) {
  if (!cell.dataset.seat) {
    if (key === "ArrowRight") return firstSeat();
    const other = key === "ArrowDown" ? cell.nextElementSibling : key === "ArrowUp" ? cell.previousElementSibling : null;
    return other?.matches("[data-cell]") ? other : null;
  }
  const card = cell.closest("[data-card]");
  const seats = [...card.querySelectorAll("[data-seat]")];
  const at = seats.indexOf(cell);
  if (key === "ArrowUp" && at > 0) return seats[at - 1];
  if (key === "ArrowDown" && at < seats.length - 1) return seats[at + 1];
  const next = neighbour(card, key);
  if (!next) return key === "ArrowLeft" ? list.querySelector("[data-cell]") : null;
  const theirs = [...next.querySelectorAll("[data-seat]")];
  return key === "ArrowUp" ? theirs.at(-1) : key === "ArrowDown" ? theirs[0] : theirs[Math.min(at, theirs.length - 1)];
}

// In sight, and free for who is in the hand. Cards are measured before seats: a card out of sight has no layout yet.
function firstSeat() {
  const top = grid.getBoundingClientRect().top;
  const below = (node) => node.getBoundingClientRect().bottom > top;
  const cards = [...grid.children];
  const seats = cards.slice(cards.findIndex(below)).flatMap((card) => [...card.querySelectorAll("[data-seat]")]);
  const first = seats.findIndex(below);
  return (app.carried && seats.slice(first).find((seat) => seat.matches(".free") && below(seat))) || seats[first] || null;
}

function pickUp(cell) {
  const bookings = meant(cell.dataset.who);
  app.carried = { bookings, from: cell.dataset.who, letGo: hold() };
  root.classList.add("carrying");
  for (const booking of bookings) { const each = cellOf(booking); each?.classList.add("in-hand"); each?.setAttribute("aria-pressed", "true"); }
  const place = here(cell.dataset.who);
  const values = { name: person(cell.dataset.who).name, n: bookings.length, crew: place && board.crews.get(place.crew).name, seat: place?.seat };
  speak(bookings.length > 1 ? word("picked_many", values) : place ? word("picked_seat", values) : word("picked", values));
}

function putDown(cell) {
  const { bookings, from, letGo } = app.carried;
  app.carried = null;
  root.classList.remove("carrying");
  for (const each of root.querySelectorAll(".in-hand")) { each.classList.remove("in-hand"); each.removeAttribute("aria-pressed"); }
  letGo();
  if (!cell || bookings.includes(cell.dataset.who)) {
    focusCell(cellOf(from));
    speak(word("left", { name: person(from)?.name ?? "" }));
    return;
  }
  if (cell.dataset.seat) {
    const place = { crew: cell.dataset.crew, seat: Number(cell.dataset.seat) };
    drop(bookings, place);
    focusCell(seatCell(place.crew, place.seat));
  } else {
    out(bookings);
    focusCell(cellOf(from));
  }
}

export function letGo() {
  if (app.carried) putDown(null);
}

const ARROWS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]);

root.addEventListener("keydown", (event) => {
  const cell = event.target.closest("[data-cell]");
  if (!cell || app.compare) return;
  if (ARROWS.has(event.key) && !event.altKey && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const next = step(cell, event.key);
    if (!next) return;
    if (event.shiftKey && cell.dataset.who && next.dataset.who) {
      if (!app.chosen.has(cell.dataset.who)) choose(cell.dataset.who, { toggle: true });
      if (!app.chosen.has(next.dataset.who)) choose(next.dataset.who, { toggle: true });
    }
    focusCell(next);
  } else if (event.key === " " || event.key === "Enter") {
    event.preventDefault();
    if (app.carried) putDown(cell);
    else if (cell.dataset.who) pickUp(cell);
    else if (app.chosen.size) drop([...app.chosen], { crew: cell.dataset.crew, seat: Number(cell.dataset.seat) });
    else speak(cell.getAttribute("aria-label"));
  } else if (event.key === "Home" || event.key === "End") {
    event.preventDefault();
    const cells = cell.dataset.seat ? grid.querySelectorAll("[data-seat]") : list.querySelectorAll("[data-cell]");
    focusCell(event.key === "Home" ? cells[0] : cells[cells.length - 1]);
  }
});

// Letters act on whoever has the focus, else on who is chosen.
function subject() {
  const who = document.activeElement?.closest?.("[data-cell]")?.dataset.who;
  return who ? meant(who) : [...app.chosen];
}

export const acts = { undo, redo, clear };

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (app.carried) { event.preventDefault(); letGo(); }
    else if (app.chosen.size) clear();
    return;
  }
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "z" && !event.target.matches("input, textarea, select")) {
    event.preventDefault();
    (event.shiftKey ? redo : undo)();
    return;
  }
  if (!isPageKey(event) || app.compare) return;
  const key = letter(event);
  const who = document.activeElement?.closest?.("[data-cell]")?.dataset.who;
  const bookings = subject();
  if (key === "x" && who) choose(who, { toggle: true });
  else if (key === "i" && who) choose(who);
  else if (key === "l" && bookings.length) toggleLocks(bookings);
  else if ((key === "Delete" || key === "Backspace" || key === "d") && bookings.length) out(bookings);
  else if ((key === "s" || key === "m") && bookings.length) acts["move-to"]?.(bookings);
  else if (key === "w" && bookings.length) acts.wishes?.(bookings);
  else return;
  event.preventDefault();
});

// The roving tab stop goes where the mouse went.
root.addEventListener("focusin", (event) => {
  const cell = event.target.closest("[data-cell]");
  if (cell && cell.getAttribute("tabindex") !== "0") stopAt(cell);
});
