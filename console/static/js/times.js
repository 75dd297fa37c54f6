// Relative times stay true while the page is open; countdowns tick, amber in the last quarter, red at zero.
import { say } from "./text.js";

const locale = document.documentElement.lang;
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
const calendar = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" });
const SOON_WITHOUT_START_MS = 8 * 60_000; // a quarter of the usual half-hour hold

const STEPS = [["second", 45, 1], ["minute", 45 * 60, 60], ["hour", 22 * 3600, 3600], ["day", 26 * 86400, 86400]];

function ago(then, now = Date.now()) {
  const seconds = (then - now) / 1000;
  for (const [unit, below, size] of STEPS) {
    if (Math.abs(seconds) >= below) continue;
    if (unit === "second" && seconds <= 0) return say("just_now");
    return relative.format(unit === "second" ? 0 : Math.round(seconds / size), unit);
  }
  return written(new Date(then), new Date(now));
}

// In the order of the rest of the page, which the server writes: 21 Nov 2026.
function written(date, now) {
  const { day, month, year } = Object.fromEntries(calendar.formatToParts(date).map((part) => [part.type, part.value]));
  return date.getFullYear() === now.getFullYear() ? `${day} ${month}` : `${day} ${month} ${year}`;
}

export function left(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds >= 86400) return `${say("days", { n: Math.floor(seconds / 86400) })} ${say("hours", { n: Math.floor((seconds % 86400) / 3600) })}`;
  if (seconds >= 3600) return `${say("hours", { n: Math.floor(seconds / 3600) })} ${say("minutes", { n: Math.floor((seconds % 3600) / 60) })}`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function tick(clock, now) {
  const end = Date.parse(clock.dateTime);
  const whole = clock.dataset.start ? end - Date.parse(clock.dataset.start) : SOON_WITHOUT_START_MS * 4;
  const rest = end - now;
  clock.classList.toggle("soon", rest > 0 && rest <= whole / 4);
  clock.classList.toggle("over", rest <= 0);
  const text = rest > 0 ? left(rest) : say("time_up");
  if (clock.textContent !== text) clock.textContent = text;
}

// How long a queue's oldest entry has waited, against what was promised.
function weigh(note, now) {
  const minutes = Number(note.dataset.promise);
  const waited = (now - Date.parse(note.querySelector("time")?.dateTime)) / 60_000;
  note.classList.toggle("late", waited > minutes);
  note.classList.toggle("soon", waited > minutes * 0.75 && waited <= minutes);
  const bar = note.parentElement.querySelector("progress");
  if (bar) bar.value = Math.min(waited, minutes);
}

let running = false;

export function initTimes(root) {
  const now = Date.now();
  root.querySelectorAll("time[data-ago]").forEach((node) => { node.textContent = ago(Date.parse(node.dateTime), now); });
  root.querySelectorAll("[data-countdown]").forEach((clock) => tick(clock, now));
  root.querySelectorAll("[data-promise]").forEach((note) => weigh(note, now));
  if (running) return;
  running = true;
  setInterval(() => document.querySelectorAll("[data-countdown]").forEach((clock) => tick(clock, Date.now())), 1000);
  setInterval(() => initTimes(document), 30_000);
}
