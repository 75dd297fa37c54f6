// The line: people are dragged by their grip, or picked up with Space and moved with the arrows.
import { hold, refresh } from "./live.js";
import { element, fill, say } from "./text.js";
import { toast } from "./toasts.js";

const spoken = element("p", { class: "sr-only", role: "status", "aria-live": "assertive", "data-spoken": true });
document.body.append(spoken);

const line = () => document.querySelector("[data-line]");
let picked = null; // { row, next, letGo }
let dragged = null;

function tell(word, row) {
  const rows = [...line().children];
  const values = { name: row.dataset.name, place: rows.indexOf(row) + 1, count: rows.length };
  spoken.textContent = fill(line().dataset[word], values);
}

async function send(row) {
  const form = new FormData();
  form.set("csrf_token", document.querySelector("[name=csrf_token]").value);
  // Below the last that is shown: before the first that is not.
  form.set("before", row.nextElementSibling?.dataset.entry ?? line().dataset.end);
  try {
    const answer = await fetch(row.dataset.move, { method: "POST", body: form, headers: { Accept: "application/json" } });
    if (!answer.ok) toast((await answer.json()).error ?? say("failed"), { tone: "red" });
  } catch {
    toast(say("failed"), { tone: "red" });
  }
}

async function drop(row, letGo) {
  await send(row);
  letGo();
  refresh();
}

function pick(row) {
  picked = { row, next: row.nextElementSibling, letGo: hold() };
  row.classList.add("picked");
  row.querySelector("[data-grip]").setAttribute("aria-pressed", "true");
  tell("picked", row);
}

function putDown(keep) {
  const { row, next, letGo } = picked;
  picked = null;
  row.classList.remove("picked");
  const grip = row.querySelector("[data-grip]");
  grip.removeAttribute("aria-pressed");
  if (!keep) line().insertBefore(row, next);
  grip.focus();
  tell(keep ? "dropped" : "left", row);
  if (keep && row.nextElementSibling !== next) drop(row, letGo);
  else letGo();
}

document.addEventListener("keydown", (event) => {
  const row = event.target.closest?.("[data-line] > li");
  const grip = row?.querySelector("[data-grip]");
  // Space also picks up the row that j and k came to.
  const comes = event.key === " " && event.target === row;
  if (!grip || (event.target !== grip && !comes)) return;
  if (comes) grip.focus();
  if (event.key === " " || event.key === "Enter") {
    event.preventDefault();
    if (picked) putDown(true);
    else pick(row);
    return;
  }
  if (!picked) return;
  if (event.key === "Escape") { event.preventDefault(); putDown(false); return; }
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  event.preventDefault();
  const up = event.key === "ArrowUp";
  const other = up ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return;
  if (up) other.before(row);
  else other.after(row);
  grip.focus(); // a row that moves loses it
  row.scrollIntoView({ block: "nearest" });
  tell("moved", row);
});

// Whoever walks away while somebody is picked up leaves them where they were.
document.addEventListener("focusout", (event) => {
  if (!event.target.matches?.("[data-grip]")) return;
  setTimeout(() => { if (picked && !picked.row.contains(document.activeElement)) putDown(false); });
});

function initDrag() {
  const list = line();
  if (!list || list.dataset.sortable !== undefined) return;
  list.dataset.sortable = "";
  window.Sortable.create(list, {
    handle: "[data-grip]",
    animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 120,
    onStart: (event) => { dragged = { letGo: hold(), next: event.item.nextElementSibling }; },
    onEnd: (event) => {
      const { letGo } = dragged;
      dragged = null;
      if (event.oldIndex === event.newIndex) { letGo(); return; }
      tell("dropped", event.item);
      drop(event.item, letGo);
    },
  });
}

initDrag();
document.addEventListener("live", initDrag);
