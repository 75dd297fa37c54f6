// The entry of the seating board: draws it, and gives every control its work.
import { app, changed, root } from "./app.js";
import { drop, out, toggleLocks } from "./carry.js";
import { clear, setType } from "./choice.js";
import "./drag.js";
import "./dialogs.js";
import { acts, letGo } from "./keys.js";
import "./proposal.js";
import "./wishes.js";

const about = () => app.chosen.size ? [...app.chosen] : [app.about].filter(Boolean);

Object.assign(acts, {
  clear,
  "take-out": () => out(about()),
  lock: () => toggleLocks(about()),
});

root.addEventListener("click", (event) => {
  const tab = event.target.closest("[data-type]");
  if (tab) { letGo(); setType(tab.dataset.type); return; }
  const control = event.target.closest("[data-act]");
  if (control) { (acts[control.dataset.act])(about()); return; }
  const to = event.target.closest("[data-move-to]");
  if (to) { drop(about(), { crew: to.dataset.moveTo, seat: null }); return; }
  // Beside everything: nobody is chosen any more.
  if (event.target.matches("[data-crews], .crew-card, .crew-card header, .seats") && app.chosen.size) clear();
});

changed(null);
root.dataset.ready = "";
performance.mark("seating-ready");
