// Toasts: what the server flashed leaves by itself unless it is an error; scripts add their own with toast().
import { element, icon, say } from "./text.js";

const STAY_MS = 7000; // long enough to read two lines and to reach "Undo"
const ICONS = { red: "alert-circle", amber: "alert-triangle", green: "circle-check", blue: "info-circle" };

function leaveLater(flash) {
  if (flash.classList.contains("tone-red")) return;
  let timer = setTimeout(() => flash.remove(), STAY_MS);
  flash.addEventListener("pointerenter", () => clearTimeout(timer));
  flash.addEventListener("focusin", () => clearTimeout(timer));
  flash.addEventListener("pointerleave", () => { timer = setTimeout(() => flash.remove(), STAY_MS); });
}

// One that stays is closed by a person, or removed by whoever made it.
export function toast(text, { tone = "green", undo = null, stays = false } = {}) {
  const close = element("button", { class: "btn btn-quiet btn-icon btn-sm", type: "button", "data-close": "", "aria-label": say("close") }, icon("x"));
  const flash = element("div", { class: `flash tone-${tone}`, role: tone === "red" ? "alert" : "status", "data-flash": "" }, icon(ICONS[tone]), element("p", {}, text));
  if (undo) {
    const button = element("button", { class: "btn btn-sm", type: "button" }, say("undo"));
    button.addEventListener("click", () => { flash.remove(); undo(); });
    flash.append(button);
  }
  flash.append(close);
  document.querySelector("[data-toasts]").append(flash);
  if (!stays) leaveLater(flash);
  return flash;
}

export function initToasts() {
  document.querySelectorAll("[data-flash]").forEach(leaveLater);
  document.addEventListener("click", (event) => event.target.closest("[data-flash] [data-close]")?.closest("[data-flash]").remove());
}
