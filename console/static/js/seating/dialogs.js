// Dialogs of the board: where to move somebody, and crews that are added, changed, duplicated and removed.
import { app, board, here, person, root, urls } from "./app.js";
import { drop, out } from "./carry.js";
import { prospects, prospectWord } from "./choice.js";
import { acts } from "./keys.js";
import { step } from "./server.js";
import { el, icon, kinds, speak, word } from "./words.js";

const dialog = (name) => document.querySelector(`[data-dialog="${name}"]`);
const names = (bookings) => bookings.map((booking) => person(booking)?.name).filter(Boolean);
const some = (all) => all.length > 6 ? word("and_more", { names: all.slice(0, 5).join(", "), n: all.length - 5 }) : all.join(", ");

// "Move to…": every crew with what it would bring, the best first; the same by finger, keys and mouse.

let moving = [];

export function moveTo(bookings) {
  moving = bookings;
  const sheet = dialog("move-to");
  sheet.querySelector("h2").textContent = word("move_whom", { who: some(names(bookings)) });
  sheet.querySelector("input").value = "";
  listCrews("");
  sheet.showModal();
}

function listCrews(term) {
  const worth = (each) => (each.fits && !each.crew.locked ? 0 : -1000) + each.met - 100 * each.broken;
  const all = prospects(moving).filter((each) => each.crew.name.toLocaleLowerCase().includes(term)).sort((a, b) => worth(b) - worth(a));
  const rows = all.map((each) => el("li", {}, el("button", { type: "button", "data-to": each.crew.id, disabled: !each.fits || each.crew.locked },
    el("span", {}, each.crew.name), el("small", { class: each.broken ? "tone-red" : each.met ? "tone-green" : "" }, prospectWord(each)))));
  if (!term && moving.some(here)) rows.unshift(el("li", {}, el("button", { type: "button", "data-to": "" }, el("span", {}, word("take_out")), el("small", {}, word("to_list")))));
  dialog("move-to").querySelector("ul").replaceChildren(...rows);
}

dialog("move-to").addEventListener("input", (event) => listCrews(event.target.value.trim().toLocaleLowerCase()));
dialog("move-to").addEventListener("click", (event) => {
  const to = event.target.closest("[data-to]");
  if (!to) return;
  dialog("move-to").close();
  if (to.dataset.to) drop(moving, { crew: to.dataset.to, seat: null });
  else out(moving);
});
dialog("move-to").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("input")) return;
  event.preventDefault();
  dialog("move-to").querySelector("[data-to]:enabled:not([data-to=''])")?.click();
});
acts["move-to"] = moveTo;

// Crews

let subject = null; // the crew that is changed; null: one is added

// Who moves down and who loses the place when a crew has fewer seats, as the server will do it.
function losers(crew, capacity) {
  const seats = [...board.seats.get(crew.id)].sort((a, b) => a[0] - b[0]);
  const kept = new Set(seats.filter(([seat]) => seat <= capacity).map(([seat]) => seat));
  const lost = [];
  for (const [seat, place] of seats) {
    if (seat <= capacity) continue;
    let free = 1;
    while (kept.has(free)) free += 1;
    if (free <= capacity) kept.add(free);
    else lost.push(place.booking);
  }
  return lost;
}

function openCrew(crew) {
  subject = crew;
  const form = dialog("crew");
  const of = board.crewsOf(app.type);
  form.querySelector("h2").textContent = crew ? word("crew_change", { crew: crew.name }) : word("crew_add", { kind: kinds[app.type] });
  const fields = form.querySelector("form").elements;
  fields.name.value = crew ? crew.name : freshName(of.at(-1)?.name ?? `${kinds[app.type]} 0`);
  fields.capacity.value = crew ? crew.capacity : (of.at(-1)?.capacity ?? 4);
  fields.count.value = 1;
  form.querySelector("[data-count]").hidden = Boolean(crew);
  form.querySelector("[type=submit]").textContent = word(crew ? "save" : "add");
  says();
  form.showModal();
  fields.name.select();
}

// "Boat 7" after "Boat 6"; what has no number gets one.
function freshName(name) {
  const taken = new Set([...board.crews.values()].filter((crew) => crew.type === app.type).map((crew) => crew.name));
  const [, stem, number] = /^(.*?)\s*(\d*)$/.exec(name);
  let next = number === "" ? 2 : Number(number) + 1;
  while (taken.has(`${stem} ${next}`)) next += 1;
  return `${stem} ${next}`.trim();
}

function says() {
  const form = dialog("crew");
  const place = form.querySelector("[data-consequence]");
  const capacity = Number(form.querySelector("form").elements.capacity.value);
  const lost = subject && capacity >= 1 ? losers(subject, capacity) : [];
  place.hidden = !lost.length;
  place.textContent = lost.length ? word("loses", { n: lost.length, names: some(names(lost)) }) : "";
}

dialog("crew").addEventListener("input", says);
dialog("crew").addEventListener("submit", (event) => {
  const { name, capacity, count } = event.target.elements;
  const seats = Number(capacity.value);
  if (subject) {
    const crew = subject;
    const losing = losers(crew, seats);
    step(`${urls.crews}/${crew.id}`, () => ({ seen: board.crews.get(crew.id)?.version ?? 0, name: name.value, capacity: seats, losing }));
    return;
  }
  const all = [name.value.trim()];
  const taken = new Set(all);
  while (all.length < Math.min(Number(count.value) || 1, 200)) {
    let next = freshName(all.at(-1));
    while (taken.has(next)) next = next.replace(/\d+$/, (number) => Number(number) + 1);
    taken.add(next);
    all.push(next);
  }
  step(urls.crews, () => ({ type: app.type, names: all, capacity: seats })).then((done) => done && speak(word("crew_added", { crew: all.join(", ") })));
});

function duplicate(crew) {
  const name = freshName(crew.name);
  step(urls.crews, () => ({ type: crew.type, names: [name], capacity: crew.capacity })).then((done) => done && speak(word("crew_added", { crew: name })));
}

function lockCrew(crew) {
  step(`${urls.crews}/${crew.id}`, () => ({ seen: board.crews.get(crew.id)?.version ?? 0, locked: !crew.locked, losing: [] }));
}

let removing = null;

function askRemove(crew) {
  const lost = losers(crew, 0);
  removing = { crew, lost };
  if (!lost.length) { remove(); return; }
  const ask = dialog("remove");
  ask.querySelector("h2").textContent = word("crew_remove", { crew: crew.name });
  ask.querySelector("p").textContent = word("loses", { n: lost.length, names: some(names(lost)) });
  ask.showModal();
}

function remove() {
  const { crew, lost } = removing;
  step(`${urls.crews}/${crew.id}/remove`, () => ({ seen: board.crews.get(crew.id)?.version ?? 0, losing: lost })).then((done) => done && speak(word("crew_removed", { crew: crew.name })));
}

dialog("remove").addEventListener("submit", remove);

// One menu for all cards, beside the one it was opened from.

const menu = document.querySelector("[data-crew-actions]");
let of = null;

root.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-crew-menu]");
  if (!opener) return;
  of = board.crews.get(opener.dataset.crewMenu);
  menu.querySelector("[data-crew-act=lock] span").textContent = word(of.locked ? "unlock" : "lock");
  menu.showPopover();
  const box = opener.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(box.right - size.width, innerWidth - size.width - 8))}px`;
  menu.style.top = `${box.bottom + size.height > innerHeight ? box.top - size.height : box.bottom}px`;
  menu.querySelector("button").focus();
});
menu.addEventListener("click", (event) => {
  const act = event.target.closest("[data-crew-act]")?.dataset.crewAct;
  if (!act) return;
  menu.hidePopover();
  ({ change: openCrew, duplicate, lock: lockCrew, remove: askRemove })[act](of);
});
menu.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const items = [...menu.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
  items[(at + items.length) % items.length].focus();
});

acts["add-crew"] = () => openCrew(null);

for (const each of document.querySelectorAll("[data-dialog]")) {
  each.addEventListener("click", (event) => { if (event.target === each || event.target.closest("[data-dialog-close]")) each.close(); });
}
export { dialog, icon };
