// Dragging by mouse or pen. A finger scrolls; it taps a person and moves them by the sheet.
import { app, person, root } from "./app.js";
import { drop, meant } from "./carry.js";
import { choose } from "./choice.js";
import { hold } from "../live.js";
import { el, word } from "./words.js";

const START_PX = 5;
const EDGE_PX = 48;
const grid = root.querySelector("[data-crews]");
let press = null; // {booking, x, y}
let drag = null; // {bookings, ghost, over, letGo}
let justDragged = false;

function begin(event) {
  const bookings = meant(press.booking);
  const name = person(press.booking).name;
  const ghost = el("div", { class: "drag-ghost" }, bookings.length > 1 ? word("people", { n: bookings.length }) : name);
  document.body.append(ghost);
  drag = { bookings, ghost, over: null, letGo: hold() };
  root.classList.add("dragging");
  for (const booking of bookings) for (const cell of root.querySelectorAll(`[data-cell][data-who="${booking}"]`)) cell.classList.add("in-hand");
  follow(event);
}

function targetAt(event) {
  const node = document.elementFromPoint(event.clientX, event.clientY);
  const seat = node?.closest("[data-seat]");
  if (seat) return { node: seat, place: { crew: seat.dataset.crew, seat: Number(seat.dataset.seat) } };
  const card = node?.closest("[data-card]");
  if (card) return { node: card, place: { crew: card.dataset.card, seat: null } };
  const list = node?.closest("[data-side]");
  return list ? { node: list, place: null } : null;
}

function follow(event) {
  drag.ghost.style.transform = `translate(${event.clientX + 10}px, ${event.clientY + 8}px)`;
  const target = targetAt(event);
  if (drag.over?.node !== target?.node) {
    drag.over?.node.classList.remove("drop-here");
    target?.node.classList.add("drop-here");
    drag.over = target;
  }
  drag.pointer = event;
  if (!drag.scrolling) scroll();
}

// Near an edge the crews scroll by themselves.
function scroll() {
  if (!drag) return;
  const box = grid.getBoundingClientRect();
  const { clientX: x, clientY: y } = drag.pointer;
  const inside = x > box.left && x < box.right;
  const by = inside && y < box.top + EDGE_PX ? -12 : inside && y > box.bottom - EDGE_PX ? 12 : 0;
  drag.scrolling = by !== 0;
  if (!by) return;
  grid.scrollTop += by;
  requestAnimationFrame(scroll);
}

function end(keep) {
  const { bookings, ghost, over, letGo } = drag;
  drag = null;
  ghost.remove();
  root.classList.remove("dragging");
  over?.node.classList.remove("drop-here");
  for (const cell of root.querySelectorAll(".in-hand")) cell.classList.remove("in-hand");
  letGo();
  justDragged = true;
  setTimeout(() => { justDragged = false; });
  if (keep && over) drop(bookings, over.place);
}

root.addEventListener("pointerdown", (event) => {
  const cell = event.target.closest("[data-cell][data-who]");
  if (!cell || event.button !== 0 || event.pointerType === "touch" || app.compare || event.ctrlKey || event.metaKey || event.shiftKey) return;
  press = { booking: cell.dataset.who, x: event.clientX, y: event.clientY };
});
addEventListener("pointermove", (event) => {
  if (drag) { event.preventDefault(); follow(event); return; }
  if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > START_PX) begin(event);
});
addEventListener("pointerup", () => { press = null; if (drag) end(true); });
addEventListener("pointercancel", () => { press = null; if (drag) end(false); });
addEventListener("keydown", (event) => { if (drag && event.key === "Escape") { event.stopPropagation(); end(false); } }, { capture: true });
root.addEventListener("dragstart", (event) => event.preventDefault());

root.addEventListener("click", (event) => {
  const cell = event.target.closest("[data-cell]");
  if (!cell || justDragged || app.carried || app.compare) return;
  if (cell.dataset.who) choose(cell.dataset.who, { toggle: event.ctrlKey || event.metaKey, range: event.shiftKey });
  else if (app.chosen.size) drop([...app.chosen], { crew: cell.dataset.crew, seat: Number(cell.dataset.seat) });
});
