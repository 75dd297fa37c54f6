// The entry of every page: theme, shortcuts, dialogs, toasts, copying; the parts that a page has are loaded with it.
import { initBlocks } from "./blocks.js";
import { initConfirm } from "./confirm.js";
import { initForms } from "./forms.js";
import { initLists } from "./lists.js";
import { initPalette } from "./palette.js";
import { element, isPageKey, letter, say } from "./text.js";
import { followTasks } from "./tasks.js";
import { initTimes } from "./times.js";
import { initTips } from "./tips.js";
import { initToasts } from "./toasts.js";

// Brings to life what a page, or a piece of one that arrived later, contains.
export function enhance(root = document) {
  initTimes(root);
  initForms(root);
  followTasks(root);
}

function initTheme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const choice = root.dataset.themeChoice;
    const dark = choice === "dark" || (choice === "system" && system.matches);
    root.dataset.bsTheme = dark ? "dark" : "light";
    document.querySelector("[data-theme-button] use")?.setAttribute("href", `${say("icons")}#${dark ? "moon" : "sun"}`);
    for (const item of document.querySelectorAll("[data-theme-choose]")) {
      item.classList.toggle("active", item.dataset.themeChoose === choice);
      item.setAttribute("aria-pressed", String(item.dataset.themeChoose === choice));
    }
  };
  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-theme-choose]")?.dataset.themeChoose;
    if (!choice) return;
    root.dataset.themeChoice = choice;
    try { localStorage.setItem("theme", choice); } catch { /* storage is off: the cookie alone remembers */ }
    document.cookie = `theme=${choice}; path=/; max-age=31536000; samesite=lax`;
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

// "g" then a letter goes to a desk, "?" shows every shortcut, "/" goes to this page's search,
// and a lone letter presses the control that claims it with data-key.
function initShortcuts() {
  const help = document.querySelector("[data-keys]");
  let going = 0;
  document.addEventListener("click", (event) => event.target.closest("[data-keys-open]") && help?.showModal());
  document.addEventListener("keydown", (event) => {
    if (!isPageKey(event)) return;
    const key = letter(event);
    if (Date.now() - going < 1200) {
      going = 0;
      const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (key === "g") { going = Date.now(); return; }
    if (key === "?" && help) { event.preventDefault(); help.showModal(); return; }
    if (key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
      return;
    }
    // Enter belongs to what has the focus.
    if (key === "Enter" && event.target.closest("a, button, summary, [tabindex='0']")) return;
    const control = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find((node) => node.checkVisibility());
    if (!control) return;
    event.preventDefault();
    // A key that is held walks on, but decides once: what comes next has not been looked at.
    if (!event.repeat || !control.matches("[type=submit]")) control.click();
  });
}

// An open menu group stays open on the next page.
function initRemembered() {
  for (const group of document.querySelectorAll("details[data-remember]")) {
    const name = group.dataset.remember;
    const active = group.querySelector("[aria-current]");
    try {
      const kept = localStorage.getItem(name);
      if (kept !== null && !active) group.open = kept === "1";
      group.addEventListener("toggle", () => localStorage.setItem(name, group.open ? "1" : "0"));
    } catch { return; }
  }
  for (const here of document.querySelectorAll(".side-nav [aria-current], :is(.tabs, .filters) [aria-current]")) here.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function initCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    await copyText(button.dataset.copy);
    const use = button.querySelector("use");
    use.setAttribute("href", `${say("icons")}#check`);
    button.classList.add("done");
    document.querySelector("[data-toasts]").append(element("span", { class: "sr-only", role: "status" }, say("copied")));
    setTimeout(() => {
      use.setAttribute("href", `${say("icons")}#copy`);
      button.classList.remove("done");
      document.querySelector("[data-toasts] > .sr-only")?.remove();
    }, 1500);
  });
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // plain http on a local network has no clipboard
    const field = element("textarea", { class: "sr-only" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

initTheme();
initRemembered();
initToasts();
initTips();
initConfirm();
initPalette();
initShortcuts();
initCopy();
initLists(enhance);
initBlocks(enhance);
enhance();
document.querySelector("[data-back]")?.addEventListener("click", () => (history.length > 1 ? history.back() : location.assign("/")));
document.querySelector("[data-print]")?.addEventListener("click", () => print());
document.documentElement.dataset.ready = "";
