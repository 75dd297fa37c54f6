// A page that follows: when others change its event it fetches itself and takes over what is new, around what
// the reader is doing. Without a stream (too many, or a proxy that cuts them) it looks every few seconds.
import { element, say } from "./text.js";
import { initTimes } from "./times.js";
import { toast } from "./toasts.js";

const POLL_MS = 5_000; // and a little more or less: those who were turned away together do not come back together
const GATHER_MS = 150; // a step changes several tables: one look for all of them
const body = document.body;
const source = body.dataset.live;
const everyMs = 1000 * Number(body.dataset.liveEvery ?? 0); // a page that nobody tells: it looks so often
const words = JSON.parse(body.dataset.liveWords ?? "{}");
const news = element("p", { class: "sr-only", role: "status", "data-news": true });

let changed = new Set();
let gathering = 0;
let looking = false;
let leaving = false;
let holds = 0;
let misses = 0; // looks in a row that the server did not answer
let why = null;

// While somebody drags, the page stays as it is: call the answer when it is over.
export function hold() {
  holds += 1;
  let over = false;
  return () => {
    if (over) return;
    over = true;
    holds -= 1;
    if (changed.size) gather();
  };
}

// Another way to look than fetching the page: a function of the changed tables that resolves to a status.
let lookOtherwise = null;
export function lookWith(how) {
  lookOtherwise = how;
}

// Looks now, whether or not anything was told.
export function refresh() {
  gather();
}

function gather(tables = []) {
  tables.forEach((table) => changed.add(table));
  clearTimeout(gathering);
  gathering = setTimeout(look, GATHER_MS);
}

async function look() {
  if (leaving || holds || looking || document.hidden) return;
  if (!lookOtherwise && document.querySelector("dialog[open]:not([data-keys])")) return;
  const tables = changed;
  changed = new Set();
  looking = true;
  try {
    const status = await (lookOtherwise ?? lookAtPage)(tables);
    if (status === 0 || status === 401) {
      stop();
      sayWhy("signed_out").append(" ", linkToSignIn());
    } else if (status === 404) stop();
    else if (status >= 500) fallBehind(tables);
    else catchUp();
  } catch {
    fallBehind(tables);
  } finally {
    looking = false;
    if (changed.size && !holds) gather();
  }
}

async function lookAtPage(tables) {
  const answer = await fetch(body.dataset.liveHere ?? location.href, { headers: { "X-Requested-With": "live" }, redirect: "manual" });
  if (leaving || !answer.ok) return answer.status;
  const text = await answer.text();
  if (leaving) return answer.status;
  if (holds) tables.forEach((table) => changed.add(table));
  else takeOver(new DOMParser().parseFromString(text, "text/html"), tables);
  return answer.status;
}

// Why the page does not follow: said once, for as long as it is so. Returns the place of the words.
function sayWhy(name) {
  why?.remove();
  why = toast(say(name), { tone: "amber", stays: true });
  return why.querySelector("p");
}

function linkToSignIn() {
  const here = location.pathname + location.search;
  return element("a", { href: `/login?next=${encodeURIComponent(here)}` }, say("sign_in"));
}

// One miss may be a server that starts anew, or this page being left.
function fallBehind(tables) {
  misses += 1;
  if (misses === 2 && !leaving) sayWhy("behind");
  setTimeout(() => gather(tables), POLL_MS);
}

function catchUp() {
  misses = 0;
  why?.remove();
}

const seen = (node) => node.textContent.replace(/\s+/g, " ");

function takeOver(page, tables) {
  const here = document.getElementById("content");
  const there = page.getElementById("content");
  if (!there) return;
  // Relative times and countdowns are the script's own, and no news.
  const without = (root) => { const copy = root.cloneNode(true); copy.querySelectorAll("time, script").forEach((node) => node.remove()); return seen(copy); };
  const before = without(here);
  const focused = document.activeElement;
  const place = [scrollX, scrollY];
  window.Idiomorph.morph(here, there.innerHTML, { morphStyle: "innerHTML", ignoreActiveValue: true, restoreFocus: true, callbacks: { beforeNodeMorphed: keepsWorkedOn, beforeAttributeUpdated: keepsState, beforeNodeRemoved: keepsOpen } });
  if (focused?.isConnected && document.activeElement !== focused && focused !== document.body) focused.focus({ preventScroll: true });
  scrollTo(...place);
  initTimes(here);
  if (before !== without(here)) news.textContent = [...tables].map((table) => words[table]).filter(Boolean).join(" ");
  document.dispatchEvent(new CustomEvent("live"));
}

// What somebody is typing, has chosen or has open stays theirs, unless the place now belongs to somebody else:
// rows carry ids, so that this is rare.
function keepsWorkedOn(old, fresh) {
  if (!(old instanceof Element)) return true;
  if (old.matches("form") && old.getAttribute("action") !== fresh.getAttribute("action")) old.reset();
  if (old.matches("input[type=radio], input[type=checkbox]") && old.value !== fresh.value) return true;
  if (old.matches("input:not([type=hidden]), textarea, select")) return !(old === document.activeElement || isTouched(old));
  if (old.matches(".dropdown-menu.show, [data-bs-toggle][aria-expanded=true], .ts-wrapper")) return false;
  return true;
}

function isTouched(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.tagName === "SELECT") return [...field.options].some((option) => option.selected !== option.defaultSelected);
  return field.value !== field.defaultValue;
}

function keepsState(name, node) {
  if (name === "open" && node.matches("details")) return false;
  if (name === "data-sortable") return false;
  if (name === "class" && node.matches(".here")) return false;
  if (name === "hidden" && node.matches("li, tr")) return false; // filtered away by what was typed
  return !(name === "tabindex" && node.matches("tr, li"));
}

// A form that is being filled in does not vanish under the hands, unless its row is gone as well.
function keepsOpen(node) {
  return !(node instanceof Element && node.matches("details.fold[open]") && [...node.querySelectorAll("textarea, input:not([type=hidden])")].some(isTouched));
}

let stream = null;
let missed = false;
let polling = 0;

function listen() {
  stream?.close();
  if (!source) {
    polling = setTimeout(() => { gather(); listen(); }, everyMs);
    return;
  }
  stream = new EventSource(source);
  stream.addEventListener("message", (event) => gather(event.data.split(" ")));
  stream.addEventListener("open", () => {
    clearTimeout(polling);
    polling = 0;
    body.dataset.following = "stream";
    gather(missed ? ["*"] : []); // what changed since the page was made, or while the stream was away
    missed = false;
  });
  stream.addEventListener("error", () => {
    body.dataset.following = "";
    if (missed) fallBehind(["*"]);
    missed = true;
    if (stream.readyState !== EventSource.CLOSED || polling) return;
    polling = setTimeout(() => { polling = 0; gather(); listen(); }, POLL_MS * (0.75 + Math.random() / 2));
  });
}

function stop() {
  stream?.close();
  clearTimeout(polling);
  polling = 0;
  body.dataset.following = "";
}

if (source || everyMs) {
  body.append(news);
  document.addEventListener("submit", (event) => { setTimeout(() => { if (!event.defaultPrevented) leaving = true; }); });
  addEventListener("pagehide", () => { leaving = true; stop(); });
  addEventListener("pageshow", (event) => { if (event.persisted) { leaving = false; listen(); gather(); } });
  document.addEventListener("close", () => gather(), { capture: true }); // a dialog that held it up
  // A page that nobody sees holds no stream; seen again, it looks at once.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stop();
    else { listen(); gather(["*"]); }
  });
  if (!document.hidden) listen();
}
