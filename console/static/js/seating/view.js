// The board as it is seen: cards with numbered seats, the list of who has no place, the score. Draws, decides nothing.
import { app, board, follow, here, person, root } from "./app.js";
import { el, icon, kinds, mark, states, word } from "./words.js";

const grid = root.querySelector("[data-crews]");
const list = root.querySelector("[data-people]");
const search = root.querySelector("[data-find]");
const cards = new Map(); // crew -> card
const looks = new WeakMap(); // what each seat showed last
const rows = new Map(); // booking -> row of the list

// A new text node makes the browser look at the style of the whole page, another text in the same node does not.
function write(node, text) {
  if (node.firstChild?.nodeType !== Node.TEXT_NODE) node.textContent = text;
  else if (node.firstChild.data !== text) node.firstChild.data = text;
}

// Cards

function marksOf(one, crew) {
  const { met, broken } = board.fares(one, crew);
  const marks = el("span", { class: "marks" });
  const says = [];
  if (broken.length) {
    marks.append(mark("avoid"));
    says.push(word("mark_avoid", { names: broken.map((each) => each.name).join(", ") }));
  }
  if (one.wishes.length) {
    marks.append(mark(met.length ? "met" : "unmet"));
    says.push(met.length ? word("mark_met", { names: met.map((each) => each.name).join(", ") }) : word("mark_unmet", { names: one.wishes.map((each) => each.name).join(", ") }));
  }
  if (!one.active) {
    marks.append(mark("ended"));
    says.push(word("mark_ended", { state: states[one.status].label }));
  }
  return { marks, says, broken: broken.length > 0, met: met.length > 0 };
}

// `look` says everything a seat shows: one that still looks the same stays the same node.
function seatOf(crew, seat, place) {
  const one = place && person(place.booking);
  const data = { type: "button", "data-cell": true, "data-crew": crew.id, "data-seat": seat, tabindex: -1 };
  if (!one) {
    const label = word("seat_free", { crew: crew.name, seat });
    return [label, () => el("button", { ...data, class: "seat free", "aria-label": label }, el("span", { class: "seat-no" }, seat))];
  }
  const { marks, says, broken } = marksOf(one, crew);
  if (place.locked) { marks.append(mark("lock")); says.push(word("mark_locked")); }
  if (seat > crew.capacity) says.push(word("mark_over"));
  const classes = ["seat", "taken", broken && "is-broken", !one.active && "is-ended", place.locked && "is-locked", seat > crew.capacity && "is-over"].filter(Boolean).join(" ");
  const label = word("seat_taken", { crew: crew.name, seat, name: [one.name, ...says].join(", ") });
  return [`${one.booking} ${label} ${classes}`, () => el("button", { ...data, class: classes, "data-who": one.booking, "aria-label": label, title: says.join("\n") || null },
    el("span", { class: "seat-no" }, seat), el("span", { class: "seat-name" }, one.name), marks)];
}

function newCard(crew) {
  return el("article", { "data-card": crew.id },
    el("header", {}, el("h3"), el("span", { class: "fill num" }),
      el("button", { type: "button", class: "card-menu", "data-crew-menu": crew.id, tabindex: -1, "aria-haspopup": "menu" }, icon("dots"))),
    el("ol", { class: "seats" }));
}

function draw(card, crew) {
  const seats = board.seats.get(crew.id);
  const over = seats.size > crew.capacity;
  const related = card.classList.contains("rel-card");
  card.className = ["crew-card", over ? "over" : seats.size === crew.capacity ? "full" : "", crew.locked && "is-locked", related && "rel-card"].filter(Boolean).join(" ");
  card.setAttribute("aria-label", word("crew_label", { crew: crew.name, n: seats.size, seats: crew.capacity }));
  const head = card.querySelector("header");
  head.querySelector(".sign")?.remove();
  if (crew.locked) head.prepend(mark("lock"));
  write(head.querySelector("h3"), crew.name);
  const fill = head.querySelector(".fill");
  write(fill, `${seats.size}/${crew.capacity}`);
  fill.title = over ? word("crew_over") : "";
  head.querySelector("button").setAttribute("aria-label", word("crew_menu", { crew: crew.name }));
  const items = card.querySelector("ol");
  const last = Math.max(crew.capacity, ...seats.keys());
  while (items.children.length > last) items.lastChild.remove();
  for (let seat = 1; seat <= last; seat += 1) {
    const [look, make] = seatOf(crew, seat, seats.get(seat));
    const item = items.children[seat - 1] ?? items.appendChild(el("li"));
    if (looks.get(item) === look) continue;
    looks.set(item, look);
    item.replaceChildren(make());
  }
}

function drawCards(touched) {
  const crews = board.crewsOf(app.type);
  const kept = touched && app.drawn === app.type;
  if (!kept) { cards.clear(); }
  const wanted = new Set(crews.map((crew) => crew.id));
  for (const [id, card] of cards) if (!wanted.has(id)) { card.remove(); cards.delete(id); }
  const order = [];
  for (const crew of crews) {
    const old = cards.get(crew.id);
    if (old && !touched.has(crew.id)) { order.push(old); continue; }
    const card = old ?? newCard(crew);
    draw(card, crew);
    cards.set(crew.id, card);
    order.push(card);
  }
  if (!kept) grid.replaceChildren(...order);
  else order.forEach((card, at) => { if (grid.children[at] !== card) grid.insertBefore(card, grid.children[at] ?? null); });
  app.drawn = app.type;
  root.querySelector("[data-no-crews]").hidden = crews.length > 0;
}

// The list

function rowOf(one) {
  const data = { type: "button", class: "person-row", "data-cell": true, "data-who": one.booking, tabindex: -1 };
  const details = el("span", { class: "row-more" });
  if (one.wishes.length) details.append(mark(one.met ? "met" : "unmet"), el("span", {}, one.wishes.map((each) => each.name).join(", ")));
  if (one.avoids.length) details.append(mark("avoid"), el("span", {}, one.avoids.map((each) => each.name).join(", ")));
  const state = states[one.status];
  const label = word("row_label", {
    name: one.name, state: state.label,
    wishes: one.wishes.length ? word("row_wishes", { names: one.wishes.map((each) => each.name).join(", ") }) : "",
    avoids: one.avoids.length ? word("row_avoids", { names: one.avoids.map((each) => each.name).join(", ") }) : "",
  });
  return el("button", { ...data, "aria-label": label },
    el("span", { class: "row-name" }, el("span", {}, one.name), el("span", { class: `state-word tone-${state.tone}` }, el("i"), state.label)), details.childNodes.length ? details : null);
}

const plain = (text) => text.toLocaleLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
const finds = (term) => { const words = plain(term).split(/\s+/).filter(Boolean); return (one) => words.every((each) => plain(one.name).includes(each)); };

// Rows are made once and kept: only what changed is drawn anew.
function drawList(all) {
  const wanted = board.unplaced(app.type);
  if (all) rows.clear();
  const match = finds(search.value);
  const keep = [];
  for (const one of wanted) {
    const row = rows.get(one.booking) ?? rowOf(one);
    rows.set(one.booking, row);
    if (match(one)) keep.push(row);
  }
  const ids = new Set(wanted.map((one) => one.booking));
  for (const booking of rows.keys()) if (!ids.has(booking)) rows.delete(booking);
  const now = new Set(keep);
  for (const row of [...list.children]) if (!now.has(row)) row.remove();
  keep.forEach((row, at) => { if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null); });
  write(root.querySelector("[data-unplaced-count]"), String(wanted.length));
  const nothing = root.querySelector("[data-nobody]");
  nothing.hidden = keep.length > 0;
  write(nothing, search.value && wanted.length ? word("nobody_found") : board.people.size ? word("everybody_placed") : word("no_bookings"));
  drawFound(match);
}

// Who is found but sits already: shown below, a click leads there.
function drawFound(match) {
  const found = root.querySelector("[data-found]");
  const sitting = search.value.trim() ? [...board.people.values()].filter((one) => here(one.booking) && match(one)).slice(0, 12) : [];
  found.hidden = !sitting.length;
  found.querySelector("ul").replaceChildren(...sitting.map((one) => {
    const place = here(one.booking);
    return el("li", {}, el("button", { type: "button", class: "found", "data-lead": one.booking }, el("span", {}, one.name), el("small", {}, word("sits", { crew: board.crews.get(place.crew).name, seat: place.seat }))));
  }));
}

// Head

function drawScore() {
  const score = board.score(app.type);
  const parts = { placed: word("score_placed", { n: score.placed, people: score.people }), met: word("score_met", { n: score.met, people: score.wishers }), broken: word("score_broken", { n: score.broken }) };
  for (const [name, text] of Object.entries(parts)) write(root.querySelector(`[data-score="${name}"]`), text);
  root.querySelector("[data-score=placed]").classList.toggle("tone-green", score.people > 0 && score.placed === score.people);
  root.querySelector("[data-score=broken]").classList.toggle("tone-red", score.broken > 0);
  const clashes = board.contradictions().length;
  const clash = root.querySelector("[data-act=clashes]");
  clash.hidden = !clashes;
  write(clash, word("contradictions", { n: clashes }));
  for (const name of ["undo", "redo"]) {
    const step = board[name];
    const control = root.querySelector(`[data-act=${name}]`);
    control.disabled = !step;
    const text = step ? word(`${name}_what`, { what: stepWord(step) }) : word(`${name}_none`);
    control.setAttribute("aria-label", text);
    control.dataset.tip = text;
  }
}

function stepWord([, kind, count, booking]) {
  const name = booking && person(booking)?.name;
  if (name && count === 1 && ["move", "unplace", "lock", "unlock"].includes(kind)) return word(`step_${kind}`, { name });
  return count > 1 && kind === "move" ? word("step_moves", { n: count }) : word(`step_${kind}`, { name: name ?? "", n: count });
}

function drawTabs() {
  for (const tab of root.querySelectorAll("[data-type]")) {
    const count = board.crewsOf(tab.dataset.type).length;
    tab.setAttribute("aria-pressed", String(tab.dataset.type === app.type));
    write(tab.querySelector(".count"), count ? String(count) : "");
  }
  root.dataset.shows = app.type;
  grid.setAttribute("aria-label", kinds[app.type]);
}

export const cardOf = (crew) => cards.get(crew);
export const cellOf = (booking) => root.querySelector(`[data-cell][data-who="${booking}"]`);
export const seatCell = (crew, seat) => cards.get(crew)?.querySelector(`[data-seat="${seat}"]`);

// One cell of the list and one of the crews is a stop of the Tab key: each scrolls by itself.
export function stopAt(cell) {
  for (const old of (list.contains(cell) ? list : grid).querySelectorAll("[data-cell][tabindex='0']")) old.setAttribute("tabindex", "-1");
  cell.setAttribute("tabindex", "0");
}

function keepStops() {
  for (const part of [list, grid]) if (!part.querySelector("[data-cell][tabindex='0']")) part.querySelector("[data-cell]")?.setAttribute("tabindex", "0");
}

// Draws what changed; who had the focus keeps it, on the same seat or person.
export function render(touched = null) {
  const focused = document.activeElement?.closest?.("[data-cell]");
  const key = focused && { who: focused.dataset.who, crew: focused.dataset.crew, seat: focused.dataset.seat };
  const scroll = grid.scrollTop;
  drawTabs();
  drawCards(touched);
  drawList(touched === null || app.listed !== app.type || board.related);
  board.related = false;
  app.listed = app.type;
  drawScore();
  grid.scrollTop = scroll;
  if (key && !focused.isConnected) ((key.who && cellOf(key.who)) || (key.seat && seatCell(key.crew, key.seat)))?.focus({ preventScroll: true });
  keepStops();
}

follow(render);
search.addEventListener("input", () => { drawList(false); keepStops(); });
