// What a drop means, whoever carries: mouse, keys or the sheet. A free seat is taken, a person is swapped with.
import { app, board, crewOf, here, person, urls } from "./app.js";
import { move, step } from "./server.js";
import { toast } from "../toasts.js";
import { speak, word } from "./words.js";

const refuse = (text) => { speak(text); toast(text, { tone: "amber" }); return false; };

// Says why people cannot be picked up or put there; nothing when they can.
function locked(bookings, target) {
  for (const booking of bookings) {
    if (here(booking)?.locked) return word("is_locked", { name: person(booking).name });
    const crew = crewOf(booking);
    if (crew?.locked && (!target || crew !== target)) return word("crew_locked", { crew: crew.name });
  }
  return target?.locked && bookings.some((booking) => crewOf(booking) !== target) ? word("crew_locked", { crew: target.name }) : "";
}

const nameOf = (bookings) => bookings.length === 1 ? person(bookings[0]).name : word("people", { n: bookings.length });

// target: {crew, seat} (seat null: any), or null for out. Returns whether something is moved.
export function drop(bookings, target) {
  bookings = bookings.filter((booking) => person(booking));
  if (!target) return out(bookings);
  const crew = board.crews.get(target.crew);
  if (!crew || !bookings.length) return false;
  const hindered = locked(bookings, crew);
  if (hindered) return refuse(hindered);
  const sitting = target.seat && board.seats.get(crew.id).get(target.seat);
  if (sitting && bookings.length === 1 && sitting.booking !== bookings[0]) return swap(bookings[0], sitting, crew);
  const inactive = bookings.find((booking) => !person(booking).active && !here(booking));
  if (inactive) return refuse(word("is_over", { name: person(inactive).name }));
  const moves = board.seatsFor(crew, bookings, target.seat || null);
  if (!moves) return refuse(word("too_few", { crew: crew.name, n: board.free(crew).length, people: nameOf(bookings) }));
  const kept = moves.filter(({ booking, seat }) => { const place = here(booking); return !(place && place.crew === crew.id && place.seat === seat); });
  if (!kept.length) return false;
  move(kept);
  speak(bookings.length === 1 ? word("dropped", { name: nameOf(bookings), crew: crew.name, seat: moves[0].seat }) : word("dropped_many", { people: nameOf(bookings), crew: crew.name }));
  return true;
}

function swap(booking, sitting, crew) {
  const other = person(sitting.booking);
  if (sitting.locked) return refuse(word("is_locked", { name: other.name }));
  const from = here(booking);
  if (from && board.crews.get(from.crew).locked && from.crew !== crew.id) return refuse(word("crew_locked", { crew: board.crews.get(from.crew).name }));
  move([{ booking, crew: crew.id, seat: sitting.seat }, from ? { booking: sitting.booking, crew: from.crew, seat: from.seat } : { booking: sitting.booking, crew: null, seat: null }]);
  const text = word(from ? "swapped" : "replaced", { name: person(booking).name, other: other.name, crew: crew.name, seat: sitting.seat });
  speak(text);
  if (!from) toast(text, { tone: "blue" });
  return true;
}

export function out(bookings) {
  const sitting = bookings.filter((booking) => here(booking));
  if (!sitting.length) return false;
  const hindered = locked(sitting, null);
  if (hindered) return refuse(hindered);
  move(sitting.map((booking) => ({ booking, crew: null, seat: null })));
  speak(word("taken_out", { people: nameOf(sitting) }));
  return true;
}

// Locks who is not locked yet; when all are, unlocks them.
export function toggleLocks(bookings) {
  const sitting = bookings.filter((booking) => here(booking));
  if (!sitting.length) return;
  const on = sitting.some((booking) => !here(booking).locked);
  step(urls.locks, () => ({ type: app.type, locked: on, people: sitting.map((booking) => ({ booking, seen: board.seen(app.type, booking) })) }))
    .then((done) => done && speak(word(on ? "locked" : "unlocked", { people: nameOf(sitting) })));
}

// Who is meant: everybody chosen, if the one at hand is among them, else that one.
export function meant(booking) {
  return app.chosen.has(booking) && app.chosen.size > 1 ? [...app.chosen] : [booking];
}
