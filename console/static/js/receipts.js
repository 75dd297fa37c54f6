// The review desk: what is shown is claimed, the next one is claimed and loaded beside it, and a decision shows it
// at once while it is on its way. What was decided can be taken back for ten seconds.
import { initViewer } from "./proof.js";
import { confirmIdentity } from "./second_factor.js";
import { element, fill, isPageKey, letter, say } from "./text.js";
import { initTimes } from "./times.js";
import { toast } from "./toasts.js";

const RENEW_MS = 60_000; // a claim lasts three minutes
const LOOK_MS = 15_000;
const desk = document.querySelector("[data-reviews]");
const words = desk ? JSON.parse(desk.dataset.words) : {};
const token = () => document.querySelector("[name=csrf_token]").value;
const panes = () => [...desk.querySelectorAll(".review")];
const pane = () => panes().find((each) => !each.hidden);
const id = (each) => each?.dataset.receipt;

let ready = null; // the promise of the next pane
let queueing = 0;
const seen = []; // ids of what was shown before
const underWay = new Set(); // ids of decisions that have not been answered yet
const undoable = []; // what was decided lately, the last at the end

const spoken = element("p", { class: "sr-only", role: "status", "data-spoken": true });

async function send(url, values = {}) {
  const form = values instanceof FormData ? values : new FormData();
  if (form !== values) for (const [name, value] of Object.entries(values)) form.set(name, value);
  form.set("csrf_token", token());
  let answer, told;
  try {
    answer = await fetch(url, { method: "POST", body: form, headers: { Accept: "application/json" } });
    if (answer.status === 204) return {};
    told = await answer.json();
  } catch { throw new Error(say("unanswered")); } // no connection, or a proxy's own page
  if (told.second_factor) {
    await confirmIdentity(told.error);
    return send(url, form);
  }
  if (!answer.ok) throw Object.assign(new Error(told.error ?? say("failed")), { status: answer.status });
  return told;
}

function arrive({ html }) {
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  const fresh = document.importNode(holder.content.querySelector(".review"), true);
  const old = id(fresh) && panes().find((each) => id(each) === id(fresh));
  fresh.hidden = true;
  if (old) { fresh.hidden = old.hidden; old.replaceWith(fresh); } else desk.append(fresh);
  initTimes(fresh);
  initViewer(fresh);
  return fresh;
}

function show(fresh) {
  for (const each of panes()) each.hidden = each !== fresh;
  desk.removeAttribute("data-claiming");
  initViewer(fresh);
  for (const form of fresh.querySelectorAll("form[data-decide=approve]")) weigh(form);
  for (const row of desk.querySelectorAll("[data-row] a")) row.removeAttribute("aria-current");
  const row = desk.querySelector(`[data-row="${id(fresh)}"] a`);
  row?.setAttribute("aria-current", "true");
  row?.scrollIntoView({ block: "nearest" });
  history.replaceState(null, "", id(fresh) ? `${desk.dataset.index}?id=${id(fresh)}` : desk.dataset.index);
  spoken.textContent = id(fresh) ? fill(words.shown, fresh.dataset) : words.last;
}

// The next one, claimed and with its pictures on their way.
function prepare(after = pane()) {
  const values = { after: id(after) ?? "", without: [...underWay, ...panes().map(id)].filter(Boolean).join(",") };
  ready = send(desk.dataset.next, values).then((told) => (told.id ? arrive(told) : null), () => null);
  return ready;
}

async function advance(from) {
  const next = await (ready ?? prepare(from));
  ready = null;
  let shown = next;
  if (!shown) {
    const without = [...underWay, id(from)].filter(Boolean).join(",");
    try { shown = arrive(await send(desk.dataset.next, { without })); } catch { return; }
  }
  show(shown);
  if (id(shown)) prepare(shown);
}

// Decisions

async function decide(form, submitter) {
  const from = form.closest(".review");
  if ("busy" in from.dataset || "done" in from.dataset) return;
  from.dataset.busy = "";
  const told = send(form.action, new FormData(form, submitter));
  const row = desk.querySelector(`[data-row="${id(from)}"]`);
  if (row) row.hidden = true;
  seen.push(id(from));
  from.dataset.done = "";
  underWay.add(id(from));
  const going = advance(from);
  try {
    const { said, undo_url: url, undo_seconds: seconds } = await told;
    offerUndo({ id: id(from), url, said, seconds });
    going.then(() => from.remove());
    lookAtQueue();
  } catch (error) {
    if (row) row.hidden = false;
    delete from.dataset.done;
    // What was typed is still in its pane: it is one press away.
    const note = toast(error.message, { tone: "red" });
    await going;
    const back = element("button", { class: "btn btn-sm", type: "button" }, words.look);
    back.addEventListener("click", () => { note.remove(); show(from); });
    note.querySelector("p").after(back);
    if (!from.isConnected) desk.append(from);
    lookAtQueue();
  } finally {
    delete from.dataset.busy;
    underWay.delete(id(from));
  }
  await going;
}

function offerUndo(decided) {
  const ends = Date.now() + decided.seconds * 1000;
  undoable.push(decided);
  const note = toast("", { undo: () => takeBack(decided), stays: true });
  const text = note.querySelector("p");
  decided.note = note;
  const tick = () => {
    const n = Math.ceil((ends - Date.now()) / 1000);
    if (n <= 0 || !note.isConnected) {
      clearInterval(timer);
      note.remove();
      if (undoable.includes(decided)) undoable.splice(undoable.indexOf(decided), 1);
      return;
    }
    text.textContent = fill(words.undo_left, { said: decided.said, n });
  };
  note.setAttribute("aria-live", "off");
  const timer = setInterval(tick, 250);
  tick();
  spoken.textContent = decided.said;
}

async function takeBack(decided) {
  undoable.splice(undoable.indexOf(decided), 1);
  decided.note?.remove();
  try {
    const told = await send(decided.url);
    const now = pane();
    panes().filter((each) => id(each) === decided.id).forEach((each) => each.remove());
    const fresh = arrive(told);
    const spare = ready;
    ready = Promise.resolve(id(now) ? now : null); // what was shown comes next
    show(fresh);
    letGo(spare, now);
    toast(words.taken_back, { tone: "blue" });
  } catch (error) {
    toast(error.message, { tone: "red" });
  }
  lookAtQueue();
}

// What was prepared and is not wanted now goes back to the others.
async function letGo(prepared, keep) {
  const spare = await prepared;
  if (!spare || spare === keep || spare === pane()) return;
  spare.remove();
  if (id(spare)) send(desk.dataset.release, { ids: id(spare) }).catch(() => {});
}

// Walking

async function skip() {
  const from = pane();
  if (!from || !id(from)) return;
  const next = await (ready ?? prepare(from));
  if (!next) { toast(words.last, { tone: "blue" }); ready = null; return; }
  seen.push(id(from));
  await advance(from);
  if (pane() !== from) release(from);
}

function release(each) {
  if (!id(each)) { each.remove(); return; }
  send(desk.dataset.release, { ids: id(each) }).catch(() => {});
  if (!isTyped(each)) each.remove();
  else each.dataset.done = "";
}

async function open(key) {
  const from = pane();
  if (key === id(from)) return;
  const typed = panes().find((each) => id(each) === key && !("closed" in each.dataset));
  const url = desk.dataset.index + `/${key}/open`;
  const spare = ready;
  try {
    const told = await send(url);
    const fresh = typed && told.open ? typed : arrive(told);
    delete fresh.dataset.done;
    show(fresh);
    if (from && id(from) && !("done" in from.dataset)) ready = Promise.resolve(from);
    else { ready = null; prepare(fresh); }
    letGo(spare, from);
  } catch (error) {
    toast(error.message, { tone: "red" });
  }
}

function back() {
  const key = seen.pop();
  if (key) open(key);
}

// The queue beside it

function lookAtQueue() {
  clearTimeout(queueing);
  queueing = setTimeout(async () => {
    try {
      const answer = await fetch(`${desk.dataset.queue}?id=${id(pane()) ?? ""}`, { headers: { "X-Requested-With": "live" } });
      if (!answer.ok || answer.redirected) return;
      const ticked = new Set([...desk.querySelectorAll("[name=id]:checked")].map((box) => box.value));
      const queue = desk.querySelector(".desk-queue");
      const [place, focused] = [queue.scrollTop, document.activeElement?.closest?.("[data-row]")?.dataset.row];
      queue.innerHTML = await answer.text();
      for (const box of queue.querySelectorAll("[name=id]")) box.checked = ticked.has(box.value);
      initTimes(queue);
      queue.scrollTop = place;
      if (focused) queue.querySelector(`[data-row="${focused}"] a`)?.focus({ preventScroll: true });
      countTicks();
      const waits = queue.querySelector("[data-row]");
      if (pane() && !id(pane()) && waits) advance(pane());
      await drawAgain(pane());
    } catch { /* away for a moment: the next look brings it */ }
  }, 150);
}

const isTyped = (each) => [...each.querySelectorAll("textarea, [name=amount]")].some((field) => field.value !== field.defaultValue);

// A PDF whose pages were not drawn yet is looked at anew, unless somebody works beside it, now or by the time it comes.
async function drawAgain(each) {
  const rests = () => each === pane() && !isTyped(each) && !each.contains(document.activeElement) && !("busy" in each.dataset || "done" in each.dataset);
  if (!each || !("drawing" in each.dataset) || !rests()) return;
  const told = await send(each.dataset.open);
  if (rests()) arrive(told);
}

function countTicks() {
  const ticked = desk.querySelectorAll("[name=id]:checked").length;
  const form = desk.querySelector("[data-bulk]");
  form.hidden = !ticked;
  form.dataset.ticked = ticked;
  form.querySelector("[data-ticked]").textContent = ticked;
}

// Amounts: what follows is said before the key

const AMOUNT = /^\d{1,10}([.,]\d{0,2})?$/; // as the server reads it, without spaces

function weigh(form) {
  const { expected: due, currency, above, first } = form.dataset;
  const expected = Number(due);
  const text = form.elements.amount.value.replace(/\s/g, "");
  const amount = text === "" ? expected : AMOUNT.test(text) ? Number(text.replace(",", ".")) : 0;
  const when = !amount ? "unclear" : amount === expected ? "exact" : amount > expected ? "over" : "under";
  const accepted = when === "under" && form.elements.accept_less?.checked ? "accepted" : when;
  const money = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency, currencyDisplay: "narrowSymbol", trailingZeroDisplay: "stripIfInteger" });
  for (const part of form.querySelectorAll("[data-when]")) {
    part.hidden = part.dataset.when !== (part.matches("p") ? accepted : when);
    if (part.matches("p")) part.textContent = fill(part.dataset.text, { difference: money.format(Math.abs(amount - expected)) });
  }
  const two = above && Math.max(amount, expected) > Number(above);
  const who = !two ? "" : !first ? "first" : amount === Number(first) ? "decides" : "differs";
  for (const part of form.querySelectorAll("[data-second]")) part.hidden = part.dataset.second !== who;
}

// Keys, clicks, leaving

function begin() {
  document.body.append(spoken);
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-decide]");
    if (!form) return;
    event.preventDefault();
    decide(form, event.submitter);
  });
  document.addEventListener("input", (event) => {
    const form = event.target.closest?.("form[data-decide=approve]");
    if (form) weigh(form);
    if (event.target.matches?.("[data-row] [name=id]")) countTicks();
  });
  // The second press of a double click falls on the next receipt, which nobody has looked at yet.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest?.("[data-decide] [type=submit]")) event.preventDefault();
  }, { capture: true });
  document.addEventListener("click", (event) => {
    if (event.target.matches("[name=amount]") && !event.detail) { event.target.focus(); event.target.select(); }
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const step = event.target.closest("[data-step]");
    if (step) { event.preventDefault(); if (step.dataset.step === "skip") skip(); else back(); return; }
    const row = event.target.closest("[data-row] a");
    if (row) { event.preventDefault(); seen.push(id(pane())); open(row.closest("[data-row]").dataset.row); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches?.("[name=amount]")) { event.target.blur(); return; }
    if (!isPageKey(event)) return;
    const key = letter(event);
    if (key === "s") { event.preventDefault(); skip(); }
    if (key === "u" && undoable.length && !event.repeat) { event.preventDefault(); takeBack(undoable.at(-1)); }
    if (key === "x") desk.querySelector(`[data-row="${id(pane())}"] [name=id]`)?.click();
  });
  setInterval(async () => {
    const mine = panes().filter((each) => id(each) && !("done" in each.dataset) && !("closed" in each.dataset)).map(id);
    if (!mine.length) return;
    try {
      const told = await send(desk.dataset.claims, { ids: mine.join(",") });
      if (id(pane()) && mine.includes(id(pane())) && !told.mine.includes(id(pane()))) toast(words.lost, { tone: "amber" });
    } catch { /* renewed the next time */ }
  }, RENEW_MS);
  setInterval(() => { if (!document.hidden) lookAtQueue(); }, LOOK_MS);
  addEventListener("pagehide", () => {
    const mine = panes().map(id).filter(Boolean);
    if (!mine.length) return;
    const form = new FormData();
    form.set("csrf_token", token());
    form.set("ids", mine.join(","));
    navigator.sendBeacon(desk.dataset.release, form);
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  start();
}

// The page came with a receipt that it does not hold yet: another reviewer may have been faster.
async function start() {
  const first = pane();
  const asked = new URLSearchParams(location.search).get("id");
  try {
    const told = asked ? await send(desk.dataset.index + `/${asked}/open`) : await send(desk.dataset.next, {});
    const fresh = told.id && told.id === id(first) && told.open ? first : arrive(told);
    if (fresh !== first) first?.remove();
    show(fresh);
    if (id(fresh)) prepare(fresh);
  } catch (error) {
    desk.removeAttribute("data-claiming");
    toast(error.message, { tone: "red" });
  }
  desk.dataset.ready = "";
}

if (desk) begin();
else initViewer(document);
