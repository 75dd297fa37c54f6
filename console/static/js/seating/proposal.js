// The auto-seat: started, followed, stopped; what it proposes lies on the board as a difference, to be taken over
// whole, crew by crew or person by person.
import { say } from "../text.js";
import { toast } from "../toasts.js";
import { app, board, changed, follow, here, person, root, urls } from "./app.js";
import { clear } from "./choice.js";
import { dialog } from "./dialogs.js";
import { acts } from "./keys.js";
import { post, takeOver } from "./server.js";
import { cardOf, seatCell } from "./view.js";
import { el, icon, speak, word } from "./words.js";

const LOOK_MS = 700;
const strip = root.querySelector("[data-proposal]");
const review = root.querySelector("[data-review]");
let shown = { task: null, proposal: null };
let looking = 0;

const ask = async (url, body) => {
  const answer = await post(`${urls.proposals}${url}`, () => body);
  if (!answer.ok) { toast(answer.error ?? say("failed"), { tone: "red" }); return null; }
  return answer;
};

async function look() {
  clearTimeout(looking);
  const type = app.type;
  try {
    const answer = await fetch(`${urls.proposals}?type=${type}`, { headers: { Accept: "application/json" } });
    if (answer.ok && type === app.type) show(await answer.json());
  } catch { /* away for a moment */ }
  if (shown.task) looking = setTimeout(look, LOOK_MS);
}

function show(fresh) {
  const came = fresh.proposal && fresh.proposal.id !== shown.proposal?.id && shown.task;
  if (shown.task && !fresh.task && !fresh.proposal && shown.task.mine) toast(word("auto_nothing"), { tone: "blue" });
  shown = { task: fresh.task, proposal: fresh.proposal };
  app.compare = shown.proposal && (came || app.compare || app.opened !== shown.proposal.id) && !app.hidden ? shown.proposal : null;
  if (came) { app.hidden = false; app.compare = shown.proposal; speak(word("auto_ready", { n: open().length })); }
  if (app.compare) { app.opened = app.compare.id; if (app.chosen.size) clear(); }
  changed(new Set());
  draw();
}

const open = () => (shown.proposal?.people ?? []).filter(([booking, , , accepted]) => !accepted && person(booking));

// The strip: what runs, or what the proposal would bring.

function scoreLine(before, after) {
  const people = board.score(app.type).people;
  const pairs = [["auto_placed", people - before.unseated, people - after.unseated, 1], ["auto_met", before.satisfied, after.satisfied, 1], ["auto_weight", before.weight, after.weight, 1], ["auto_broken", before.avoided, after.avoided, -1]];
  return el("span", { class: "auto-scores" }, ...pairs.map(([name, from, to, good]) => el("span", { class: from === to ? "" : (to - from) * good > 0 ? "tone-green" : "tone-red" }, word(name), " ", el("b", {}, from === to ? from : `${from} → ${to}`))));
}

function draw() {
  const { task, proposal } = shown;
  strip.hidden = !task && !proposal;
  root.classList.toggle("reviewing", Boolean(app.compare));
  review.hidden = !app.compare;
  if (task) {
    const bar = el("progress", { max: task.total || 1, value: task.done || null, "aria-label": word("auto_runs") });
    const score = task.score;
    const people = board.score(app.type).people;
    strip.replaceChildren(icon("wand"), el("span", {}, task.mine ? word(task.running ? "auto_runs" : "auto_waits") : word("auto_of", { who: task.who })), bar,
      el("span", { class: "muted" }, score ? word("auto_so_far", { placed: people - score.unseated, met: score.satisfied, broken: score.avoided }) : ""),
      el("span", { class: "spacer" }), task.mine ? el("button", { type: "button", class: "btn btn-sm", "data-act": "auto-cancel", disabled: task.stopping }, word("auto_stop")) : "");
    return;
  }
  if (!proposal) return;
  const left = open().length;
  strip.replaceChildren(icon("wand"), el("b", {}, word("auto_moves", { n: left })), scoreLine(proposal.before, proposal.after), el("span", { class: "spacer" }),
    el("button", { type: "button", class: "btn btn-sm", "data-act": "auto-hide" }, word(app.compare ? "auto_hide" : "auto_show")),
    el("button", { type: "button", class: "btn btn-sm", "data-act": "auto-close" }, word("auto_close")),
    el("button", { type: "button", class: "btn btn-sm btn-primary", "data-act": "auto-accept" }, word("auto_accept", { n: left })));
}

// The difference on the board: who leaves is struck out, who comes stands in violet on the seat.

const name = (place) => place ? word("sits", { crew: board.crews.get(place[0])?.name ?? "", seat: place[1] }) : word("sits_nowhere");

function decorate() {
  for (const old of root.querySelectorAll(".arrives, .card-accept")) old.remove();
  for (const old of root.querySelectorAll(".leaves")) old.classList.remove("leaves");
  if (!app.compare) { review.replaceChildren(); return; }
  const crews = new Map();
  for (const line of open()) {
    const [booking, before, after] = line;
    for (const place of [before, after]) if (place) crews.set(place[0], [...(crews.get(place[0]) ?? []), line]);
    const place = here(booking);
    if (place) seatCell(place.crew, place.seat)?.classList.add("leaves");
    const cell = after && seatCell(after[0], after[1]);
    cell?.parentElement.append(el("button", { type: "button", class: "arrives", "data-take": booking, "aria-label": word("auto_take", { name: person(booking).name, to: name(after) }), title: word("auto_from", { from: name(before) }) }, el("span", { class: "seat-no" }, after[1]), el("span", {}, person(booking).name), icon("check")));
  }
  for (const [crew, lines] of crews) {
    const card = cardOf(crew);
    card?.querySelector("header .card-menu").before(el("button", { type: "button", class: "card-accept", "data-take-crew": crew, "aria-label": word("auto_take_crew", { crew: board.crews.get(crew).name, n: lines.length }), title: word("auto_take_crew", { crew: board.crews.get(crew).name, n: lines.length }) }, icon("check"), lines.length));
  }
  drawReview();
}

function drawReview() {
  const rows = open().map(([booking, before, after]) => {
    const stale = (here(booking)?.crew ?? null) !== (before?.[0] ?? null);
    return el("li", {}, el("span", {}, el("b", {}, person(booking).name), el("small", {}, stale ? word("auto_stale") : `${name(before)} → ${name(after)}`)),
      el("button", { type: "button", class: "btn btn-icon btn-sm btn-quiet", "data-why": booking, "aria-label": word("auto_why", { name: person(booking).name }) }, icon("help-circle")),
      el("button", { type: "button", class: "btn btn-icon btn-sm", "data-take": booking, disabled: stale, "aria-label": word("auto_take", { name: person(booking).name, to: name(after) }) }, icon("check")));
  });
  const said = review.querySelector("[data-why-of]");
  review.replaceChildren(el("header", {}, el("h2", {}, word("auto_changes")), el("span", { class: "count" }, rows.length)), el("ul", {}, ...rows), ...(said ? [said] : []));
}

async function why(booking) {
  const answer = await fetch(`${urls.proposals}/why/${booking}?proposal=${app.compare.id}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const told = await answer.json();
  const names = (ids) => ids.map((id) => person(id)?.name).filter(Boolean).join(", ");
  const signed = (n) => (n > 0 ? `+${n}` : `${n}`);
  const lines = [
    told.met.length && word("why_gets", { names: names(told.met) }),
    told.unmet.length && word("why_misses", { names: names(told.unmet) }),
    told.avoided.length && word("mark_avoid", { names: names(told.avoided) }),
    !told.met.length && !told.unmet.length && word("why_no_wishes"),
  ].filter(Boolean);
  const others = told.others.map((way) => word(way.swap ? "why_other_swap" : "why_other", { crew: board.crews.get(way.crew)?.name ?? "", name: person(way.swap)?.name ?? "", avoided: signed(way.avoided), met: signed(way.satisfied), weight: signed(way.weight) }));
  review.querySelector("[data-why-of]")?.remove();
  review.append(el("section", { class: "why", "data-why-of": booking, role: "status" }, el("h3", {}, word("why_of", { name: person(booking).name })), ...lines.map((text) => el("p", {}, text)),
    others.length ? el("p", { class: "muted" }, word("why_others")) : null, el("ul", {}, ...others.map((text) => el("li", {}, text)))));
}

// Taking over

async function accept(people) {
  const answer = await ask(`/${app.compare?.id ?? shown.proposal.id}/accept`, { people });
  if (!answer) { look(); return; }
  takeOver(answer.board);
  show(answer);
  const text = word("auto_accepted", { n: answer.moved });
  speak(text);
  toast(text, answer.moved ? { undo: () => acts.undo() } : { tone: "blue" });
  if (answer.refused.length) toast(word("auto_refused", { who: answer.refused.map((each) => `${each.name} (${each.reason})`).join(", ") }), { tone: "amber" });
}

root.addEventListener("click", (event) => {
  const take = event.target.closest("[data-take]");
  if (take) { accept([take.dataset.take]); return; }
  const crew = event.target.closest("[data-take-crew]");
  if (crew) { accept(open().filter(([, before, after]) => [before?.[0], after?.[0]].includes(crew.dataset.takeCrew)).map(([booking]) => booking)); return; }
  const asked = event.target.closest("[data-why]");
  if (asked) why(asked.dataset.why);
});

acts["auto-accept"] = () => accept(null);
acts["auto-cancel"] = async () => { const answer = await ask("/cancel", { type: app.type }); if (answer) { show(answer); look(); } };
acts["auto-close"] = async () => { const answer = await ask(`/${shown.proposal.id}/close`, {}); if (answer) { app.compare = null; show(answer); } };
acts["auto-hide"] = () => { app.hidden = Boolean(app.compare); app.compare = app.hidden ? null : shown.proposal; if (app.compare) clear(); changed(new Set()); draw(); };
acts.auto = () => { const form = dialog("auto"); says(form); form.showModal(); };

const says = (form) => { form.querySelector("[data-most]").hidden = form.querySelector("form").elements.mode.value !== "IMPROVE"; };
dialog("auto").addEventListener("change", () => says(dialog("auto")));
dialog("auto").addEventListener("submit", async (event) => {
  const { mode, moves, seconds } = event.target.elements;
  app.hidden = false;
  const answer = await ask("/start", { type: app.type, mode: mode.value, moves: mode.value === "IMPROVE" ? Number(moves.value) : null, seconds: seconds.value ? Number(seconds.value) : null });
  if (answer) { show(answer); looking = setTimeout(look, LOOK_MS); }
});

let type = null;
follow(() => {
  if (type !== app.type) { type = app.type; app.compare = null; shown = { task: null, proposal: null }; draw(); look(); }
  decorate();
});
