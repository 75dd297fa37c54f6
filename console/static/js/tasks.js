// Cards of long work: each fetches itself until its work has ended, and then says so.
import { initTimes } from "./times.js";

const LOOK_MS = 1000;

// What moves while the work goes on; the rest of the card, its button above all, stays where it is.
function takeOver(card, fresh) {
  const bar = card.querySelector("progress");
  const told = fresh.querySelector("progress");
  for (const name of ["max", "value"]) {
    if (told.hasAttribute(name)) bar.setAttribute(name, told.getAttribute(name));
  }
  card.querySelector("header").replaceWith(fresh.querySelector("header"));
  card.querySelector(".task-facts").replaceWith(fresh.querySelector(".task-facts"));
  if (!fresh.querySelector("form")) card.querySelector("form")?.remove();
}

async function look(card) {
  if (!card.isConnected) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(card.dataset.task, { headers: { "X-Requested-With": "tasks" }, redirect: "manual" });
      if (answer.status === 0 || answer.status === 401 || answer.status === 404) return;
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".task");
        if (!fresh.dataset.task) {
          card.replaceWith(fresh);
          initTimes(fresh);
          fresh.dispatchEvent(new CustomEvent("task:ended", { bubbles: true }));
          return;
        }
        takeOver(card, fresh);
      }
    } catch { /* away for a moment */ }
  }
  setTimeout(look, LOOK_MS, card);
}

// Follows every card below `root` that is not yet followed.
export function followTasks(root = document) {
  root.querySelectorAll("[data-task]:not([data-followed])").forEach((card) => {
    card.dataset.followed = "";
    setTimeout(look, LOOK_MS, card);
  });
}
