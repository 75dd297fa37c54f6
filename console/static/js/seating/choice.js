// Who is chosen, and what concerns one person: the rest of the board steps back, a panel says why they sit there.
import { app, board, changed, crewOf, follow, here, person, root } from "./app.js";
import { cellOf } from "./view.js";
import { button, el, icon, mark, states, word } from "./words.js";

const panel = root.querySelector("[data-panel-of]");
const bar = root.querySelector("[data-chosen-bar]");
let anchor = null;

// Choosing

export function choose(booking, { toggle = false, range = false } = {}) {
  if (range && anchor) {
    const all = [...root.querySelectorAll("[data-cell][data-who]")].map((cell) => cell.dataset.who);
    const [from, to] = [all.indexOf(anchor), all.indexOf(booking)].sort((a, b) => a - b);
    if (from >= 0) all.slice(from, to + 1).forEach((each) => app.chosen.add(each));
  } else if (toggle) {
    if (!app.chosen.delete(booking)) app.chosen.add(booking);
    anchor = booking;
  } else {
    app.chosen = new Set([booking]);
    anchor = booking;
  }
  app.about = app.chosen.size === 1 ? [...app.chosen][0] : null;
  show();
}

export function clear() {
  app.chosen.clear();
  app.about = null;
  show();
}

// Showing

const RELATED = ["wishes", "avoids", "wishedBy", "avoidedBy"];

export function show() {
  for (const booking of app.chosen) if (!person(booking)) app.chosen.delete(booking);
  if (app.about && !person(app.about)) app.about = null;
  const one = app.about && person(app.about);
  root.classList.toggle("concerns", Boolean(one));
  const related = new Map();
  if (one) for (const kind of RELATED) for (const other of one[kind]) related.set(other.booking, [...(related.get(other.booking) ?? []), kind]);
  const crew = one && crewOf(one.booking);
  for (const cell of root.querySelectorAll("[data-cell][data-who]")) {
    const who = cell.dataset.who;
    cell.classList.toggle("chosen", app.chosen.has(who));
    if (app.chosen.has(who) || app.carried?.bookings.includes(who)) cell.setAttribute("aria-pressed", "true");
    else cell.removeAttribute("aria-pressed");
    const kinds = who === app.about ? ["self"] : (related.get(who) ?? []);
    cell.classList.toggle("rel", kinds.length > 0);
    cell.classList.toggle("rel-self", kinds.includes("self"));
    cell.classList.toggle("rel-wish", kinds.includes("wishes") || kinds.includes("wishedBy"));
    cell.classList.toggle("rel-avoid", kinds.includes("avoids") || kinds.includes("avoidedBy"));
  }
  for (const card of root.querySelectorAll("[data-card]")) card.classList.toggle("rel-card", Boolean(crew) && card.dataset.card === crew.id);
  drawBar();
  if (one) drawPanel(one);
  else panel.replaceChildren();
  panel.hidden = !one;
  root.classList.toggle("has-panel", Boolean(one));
}

function drawBar() {
  const many = app.chosen.size > 1;
  bar.hidden = !many;
  if (many) bar.querySelector("[data-chosen-count]").textContent = word("chosen", { n: app.chosen.size });
}

function line(one, other, kind) {
  const place = here(other.booking);
  const mine = here(one.booking);
  const together = place && mine && place.crew === mine.crew;
  const good = kind === "wishes" || kind === "wishedBy";
  const tone = good ? (together ? "met" : "unmet") : (together ? "avoid" : "apart");
  const where = place ? word("sits", { crew: board.crews.get(place.crew).name, seat: place.seat }) : word("sits_nowhere");
  return el("li", { class: `tone-sign-${tone}` }, mark(tone),
    el("button", { type: "button", class: "link", "data-lead": other.booking }, other.name), el("small", {}, together ? word("together") : where),
    good && board.contradicts(one, other) ? el("em", { class: "contradiction" }, word("contradiction")) : null);
}

function section(one, kind) {
  if (!one[kind].length) return null;
  return el("section", {}, el("h4", {}, word(`about_${kind}`)), el("ul", {}, ...one[kind].map((other) => line(one, other, kind))));
}

// The crews that would suit somebody best, each with what it would bring and cost.
export function prospects(bookings) {
  const people = bookings.map(person).filter(Boolean);
  return board.crewsOf(app.type).map((crew) => {
    const fits = board.seatsFor(crew, bookings) !== null;
    let met = 0;
    let broken = 0;
    for (const one of people) {
      const fares = board.fares(one, crew);
      met += fares.met.length + one.wishes.filter((other) => bookings.includes(other.booking)).length + fares.wishedBy.length;
      broken += fares.broken.length + [...new Set([...one.avoids, ...one.avoidedBy])].filter((other) => bookings.includes(other.booking)).length / 2;
    }
    return { crew, fits, met, broken, free: board.free(crew).length };
  });
}

function why(one) {
  const crew = crewOf(one.booking);
  const all = prospects([one.booking]);
  const now = all.find((each) => each.crew === crew);
  const worth = (each) => each.met - 100 * each.broken;
  const better = all.filter((each) => each.crew !== crew && !each.crew.locked && (each.met || each.broken === 0) && (!now || worth(each) > worth(now) || each.met)).sort((a, b) => worth(b) - worth(a)).slice(0, 3);
  const said = now ? [now.broken ? word("why_broken", { n: now.broken }) : word("why_calm"), one.wishes.length ? word("why_met", { n: board.fares(one, crew).met.length, all: one.wishes.length }) : word("why_no_wishes")].join(" ") : word("why_nowhere");
  const rows = better.map((each) => el("li", {}, el("button", { type: "button", class: "link", "data-card-lead": each.crew.id }, each.crew.name), el("small", {}, prospectWord(each)),
    each.fits ? el("button", { type: "button", class: "btn btn-sm", "data-move-to": each.crew.id }, word("move_here")) : null));
  return el("section", { class: "why" }, el("h4", {}, word("why")), el("p", {}, said), rows.length ? el("ul", {}, ...rows) : null);
}

export function prospectWord({ met, broken, free, fits, crew }) {
  const parts = [];
  if (met) parts.push(word("prospect_met", { n: met }));
  if (broken) parts.push(word("prospect_broken", { n: broken }));
  parts.push(crew.locked ? word("mark_locked") : fits ? word("prospect_free", { n: free }) : word("prospect_full"));
  return parts.join(", ");
}

function drawPanel(one) {
  const place = here(one.booking);
  const crew = crewOf(one.booking);
  const state = states[one.status];
  const focusedIn = panel.contains(document.activeElement) ? document.activeElement.dataset.act ?? "" : null;
  panel.replaceChildren(
    el("header", {}, el("div", {}, el("h3", {}, one.name), el("p", { class: "muted" }, el("span", { class: `state-word tone-${state.tone}` }, el("i"), state.label), " ", crew ? word("sits", { crew: crew.name, seat: place.seat }) : word("sits_nowhere"))),
      el("button", { type: "button", class: "btn btn-icon btn-sm btn-quiet", "data-act": "clear", "aria-label": word("close") }, icon("x"))),
    el("div", { class: "btn-row" },
      button(word("move_to"), { "data-act": "move-to", class: "btn btn-sm btn-primary" }, "arrow-right"),
      place ? button(word("take_out"), { "data-act": "take-out" }) : null,
      place ? button(word(place.locked ? "unlock" : "lock"), { "data-act": "lock" }, "lock") : null,
      button(word("edit_wishes"), { "data-act": "wishes" }, "heart"),
      el("a", { class: "btn btn-sm btn-quiet", href: root.dataset.booking.replace("BOOKING", one.booking) }, word("booking"))),
    el("div", { class: "about-body" }, section(one, "wishes"), section(one, "avoids"), section(one, "wishedBy"), section(one, "avoidedBy"), why(one)));
  if (focusedIn !== null) panel.querySelector(`[data-act="${focusedIn}"]`)?.focus();
}

follow(show);

// A name anywhere leads to where its person is.
root.addEventListener("click", (event) => {
  const lead = event.target.closest("[data-lead]");
  if (lead) {
    choose(lead.dataset.lead);
    const cell = cellOf(lead.dataset.lead);
    cell?.scrollIntoView({ block: "center", inline: "nearest" });
    cell?.focus({ preventScroll: true });
    return;
  }
  const crew = event.target.closest("[data-card-lead]");
  if (crew) root.querySelector(`[data-card="${crew.dataset.cardLead}"]`)?.scrollIntoView({ block: "center" });
});

export function setType(type) {
  app.type = type;
  clear();
  changed(null);
  const url = new URL(location.href);
  url.searchParams.set("type", type);
  history.replaceState(history.state, "", url);
}
