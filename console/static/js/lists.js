// Lists: rows by j k Enter x and the letters that their buttons claim, ticks with ranges, the bulk bar, and the side panel that shows a row's details.
import { initInline } from "./inline.js";
import { element, icon, isPageKey, letter, say } from "./text.js";

const INTERACTIVE = "a, button, input, select, textarea, label, summary, .dropdown";

export function initLists(enhance) {
  const table = document.querySelector("[data-list]");
  initPanel(enhance);
  initWayBack();
  if (!table) return;
  const rows = rowsOf(table);
  document.addEventListener("live", () => rows.splice(0, rows.length, ...rowsOf(document.querySelector("[data-list]") ?? table)));
  initTicks(table, rows);
  initRows(table, rows);
  if (table.dataset.inline) initInline(table);
}

const rowsOf = (table) => [...(table.tBodies?.[0].rows ?? table.children)];

// Who comes back to a list finds it as they left it: filtered, sorted, on its page. In this tab, as long as it is open.
function initWayBack() {
  try {
    if (document.querySelector(".list-page")) sessionStorage.setItem(`list ${location.pathname}`, location.search);
    for (const link of document.querySelectorAll(".crumbs a, [data-to-list]")) link.search ||= sessionStorage.getItem(`list ${link.pathname}`) ?? "";
  } catch { /* storage is off: they lead to the beginning of the list */ }
}

// What the browser refuses must be in sight to be put right: its fold may be closed.
document.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);

// The menu of columns: the order of the rows is the order of the columns.
document.addEventListener("click", (event) => {
  const up = event.target.closest("[data-columns] [data-up]");
  const row = up?.closest("li");
  const above = row?.previousElementSibling;
  if (!above || above.querySelector("input[disabled]")) return;
  above.before(row);
  up.focus();
});

function initRows(table, rows) {
  let here = -1;
  // A row that others moved is still the one; one that is gone leaves nobody chosen.
  document.addEventListener("live", () => { here = rows.findIndex((row) => row.classList.contains("here")); });
  const go = (index) => {
    if (!rows.length) return;
    rows[here]?.classList.remove("here");
    here = Math.min(Math.max(index, 0), rows.length - 1);
    const row = rows[here];
    row.classList.add("here");
    row.tabIndex = -1;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
    if (panelIsOpen()) openRow(table, row);
  };
  table.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr[data-href]");
    if (!row) return;
    if (event.target.closest("td.tick")) return;
    const link = event.target.closest(INTERACTIVE);
    const details = row.querySelector("td.primary a")?.href === link?.href && link?.closest("td.primary");
    if ((link && !details) || getSelection().toString()) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey) { if (!link) window.open(row.dataset.href); return; }
    event.preventDefault();
    rows[here]?.classList.remove("here");
    here = rows.indexOf(row);
    row.classList.add("here");
    openRow(table, row);
  });
  table.addEventListener("auxclick", (event) => {
    const row = event.target.closest("tbody tr[data-href]");
    if (row && event.button === 1 && !event.target.closest(INTERACTIVE)) window.open(row.dataset.href);
  });
  document.addEventListener("keydown", (event) => {
    if (!isPageKey(event)) return;
    const key = letter(event);
    if (key === "j") { event.preventDefault(); go(here + 1); }
    if (key === "k") { event.preventDefault(); go(here < 0 ? 0 : here - 1); }
    if (key === "x") rows[here]?.querySelector("td.tick input")?.dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: event.shiftKey }));
    const claims = rows[here]?.querySelector(`[data-row-key="${CSS.escape(key)}"]`);
    if (claims) { event.preventDefault(); claims.click(); }
    if (event.key === "Enter" && rows[here] && (event.target === document.body || event.target === rows[here])) openRow(table, rows[here], { focus: true });
  });
}

function initTicks(table, rows) {
  const bar = document.querySelector("[data-bulk-bar]");
  const every = table.querySelector("[data-tick-all]");
  const boxes = rows.map((row) => row.querySelector("td.tick input")).filter(Boolean);
  let last = null;
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    boxes.forEach((box) => box.closest("tr").classList.toggle("ticked", box.checked));
    if (every) { every.checked = ticked > 0 && ticked === boxes.length; every.indeterminate = ticked > 0 && ticked < boxes.length; }
    if (!bar) return;
    bar.hidden = ticked === 0;
    bar.dataset.ticked = ticked;
    bar.querySelector("[data-bulk-count]").textContent = say("selected", { n: ticked });
  };
  table.addEventListener("click", (event) => {
    const box = event.target.closest("td.tick input");
    if (!box) return;
    if (event.shiftKey && last) { // a range from the last tick to this one
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      boxes.slice(from, to + 1).forEach((each) => { each.checked = box.checked; });
    }
    last = box;
    show();
  });
  every?.addEventListener("change", () => { boxes.forEach((box) => { box.checked = every.checked; }); show(); });
  // What matches on other pages too is asked about on a page of its own, not in a dialog.
  bar?.querySelector("[data-bulk-matching]")?.addEventListener("change", (event) => {
    const [from, to] = event.target.checked ? ["confirm", "confirmLater"] : ["confirmLater", "confirm"];
    for (const { dataset } of bar.querySelectorAll("button[name=action]")) {
      if (from in dataset) { dataset[to] = dataset[from]; delete dataset[from]; }
    }
  });
  // The bar stands behind all the rows: Tab would take a while.
  document.addEventListener("keydown", (event) => {
    if (!isPageKey(event) || letter(event) !== "b" || !bar || bar.hidden) return;
    event.preventDefault();
    bar.querySelector("input:not([type=hidden]), button").focus();
  });
  const clear = () => {
    boxes.forEach((box) => { box.checked = false; });
    if (bar?.contains(document.activeElement)) (table.querySelector("tr.here") ?? every)?.focus({ preventScroll: true });
    show();
  };
  bar?.querySelector("[data-bulk-clear]").addEventListener("click", clear);
  document.addEventListener("keydown", (event) => event.key === "Escape" && isPageKey(event) && !panelIsOpen() && clear());
  show(); // the browser restores ticks when one comes back to the page
}

const panel = document.querySelector("[data-side-panel]");
let opener = null;

function panelIsOpen() {
  return Boolean(panel && !panel.hidden);
}

function openRow(table, row, { focus = false } = {}) {
  const url = row.dataset.href;
  if (!url) return;
  if (!("panel" in table.dataset) || !panel || innerWidth < 768) { location.href = url; return; }
  opener = row;
  row.tabIndex = -1; // so that the focus can come back to it
  panel.dispatchEvent(new CustomEvent("show", { detail: url }));
  // Whoever works by keyboard goes on in the panel; with the mouse the list keeps the focus, for j and k.
  (focus ? panel : row).focus({ preventScroll: true });
}

function initPanel(enhance) {
  if (!panel) return;
  const body = panel.querySelector(".panel-body");
  const title = panel.querySelector("h2");
  let wanted = "";
  const close = () => { panel.hidden = true; wanted = ""; opener?.focus({ preventScroll: true }); };
  panel.addEventListener("show", async (event) => {
    wanted = event.detail;
    const url = wanted;
    if (panel.hidden) { title.textContent = say("loading"); body.replaceChildren(); }
    panel.hidden = false;
    body.setAttribute("aria-busy", "true");
    panel.querySelector("[data-panel-full]").href = url;
    try {
      const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
      if (url !== wanted) return; // another row was chosen meanwhile
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const content = page.querySelector("[data-panel-content]");
      if (!answer.ok || !content) { location.href = url; return; }
      title.textContent = page.querySelector("h1")?.textContent ?? "";
      body.replaceChildren(document.importNode(content, true));
      body.scrollTop = 0;
      enhance(body);
    } catch {
      if (url !== wanted) return;
      title.textContent = "";
      body.replaceChildren(element("p", { class: "error", role: "alert" }, icon("alert-circle"), say("failed")));
    } finally {
      if (url === wanted) body.removeAttribute("aria-busy");
    }
  });
  panel.querySelector("[data-panel-close]").addEventListener("click", close);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !panelIsOpen() || !isPageKey(event)) return;
    event.preventDefault(); // one Escape closes one thing: the ticks stay
    close();
  });
}
