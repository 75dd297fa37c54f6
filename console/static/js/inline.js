// One value of a list, edited where it stands. Which columns can be edited, the heads of the table say; the
// field is fetched when somebody wants it. Arrows go from cell to cell, Enter or F2 edits, Esc leaves,
// Tab saves and goes on to the next.
import { element, icon, isPageKey, say } from "./text.js";
import { toast } from "./toasts.js";

export function initInline(table) {
  const columns = [...table.tHead.rows[0].cells].map((head) => head.dataset.edit ?? "");
  const places = columns.flatMap((name, place) => (name ? [place] : []));
  if (!places.length) return;
  const hint = element("span", { class: "sr-only", id: "inline-hint" }, say("inline_hint"));
  const spoken = element("span", { class: "sr-only", role: "status" });
  const pencil = element("button", { type: "button", class: "edit-here", tabindex: "-1", "aria-label": say("edit"), "data-tip": say("edit") }, icon("pencil"));
  table.after(hint, spoken);

  const cells = () => [...table.tBodies[0].rows].flatMap((row) => places.map((place) => row.cells[place]).filter((cell) => cell?.checkVisibility()));
  const isCell = (cell) => cell && places.includes(cell.cellIndex) && cell.closest("tbody");
  let tabbable = null;
  const own = (cell) => { // one stop of the Tab key for the whole table
    tabbable?.removeAttribute("tabindex");
    tabbable = cell;
    if (!cell) return;
    cell.tabIndex = 0;
    cell.setAttribute("aria-describedby", hint.id);
  };
  own(cells()[0]);
  document.addEventListener("live", () => own(cells()[0]));
  const focusCell = (cell) => { if (cell) { own(cell); cell.focus({ preventScroll: true }); cell.scrollIntoView({ block: "nearest", inline: "nearest" }); } };

  // A finger does not hover: each value keeps a pencil of its own.
  const hovers = matchMedia("(hover: hover)").matches;
  if (hovers) {
    table.addEventListener("mouseover", (event) => {
      const cell = event.target.closest("td");
      if (isCell(cell) && !cell.classList.contains("editing") && pencil.parentElement !== cell) cell.append(pencil);
    });
    table.addEventListener("mouseleave", () => pencil.remove());
  } else cells().forEach((cell) => cell.append(pencil.cloneNode(true)));
  table.addEventListener("click", (event) => {
    if (event.target.closest("td.editing")) { event.stopPropagation(); return; }
    const button = event.target.closest(".edit-here");
    if (button) { event.stopPropagation(); edit(button.closest("td")); }
  }, { capture: true });

  document.addEventListener("keydown", (event) => {
    const row = event.target.closest?.("tbody tr");
    if (row === event.target && row.closest("table") === table && isPageKey(event)) { // a row, after j or k
      const first = places.map((place) => row.cells[place]).find((cell) => cell.checkVisibility());
      if (event.key === "F2") { event.preventDefault(); edit(first); }
      if (event.key === "ArrowRight") { event.preventDefault(); focusCell(first); }
      return;
    }
    const cell = event.target;
    if (!isCell(cell) || cell.closest("table") !== table || !isPageKey(event)) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: places.length, ArrowUp: -places.length }[event.key];
    if (step) {
      const all = cells();
      const perRow = all.filter((each) => each.parentElement === cell.parentElement).length;
      event.preventDefault();
      focusCell(all[all.indexOf(cell) + (Math.abs(step) === 1 ? step : Math.sign(step) * perRow)]);
    } else if (event.key === "Enter" || event.key === "F2") {
      event.preventDefault();
      event.stopPropagation();
      edit(cell);
    }
  }, { capture: true });

  const address = (cell) => {
    const id = new URL(cell.parentElement.dataset.href, location.href).searchParams.get("id");
    return `${table.dataset.inline}?${new URLSearchParams({ id, column: columns[cell.cellIndex] })}`;
  };

  // What an error page says: that the row was removed, that one is signed out.
  const reason = (text) => new DOMParser().parseFromString(text, "text/html").querySelector("h1 + p")?.textContent || say("failed");

  async function edit(cell) {
    if (!cell || cell.classList.contains("editing")) return;
    table.querySelectorAll("td.editing").forEach((other) => leave(other));
    pencil.remove();
    cell.kept = [...cell.childNodes];
    cell.classList.add("editing");
    cell.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address(cell), { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
      const text = await answer.text();
      if (answer.ok) show(cell, text);
      else { leave(cell); fail(cell, reason(text)); }
    } catch {
      leave(cell);
      fail(cell, say("failed"));
    }
  }

  function show(cell, text) {
    cell.removeAttribute("aria-busy");
    if (!cell.classList.contains("editing")) return; // left meanwhile
    const form = new DOMParser().parseFromString(text, "text/html").querySelector("form");
    cell.replaceChildren(document.importNode(form, true));
    const field = cell.querySelector("form .field :is(input, select, textarea)");
    field.addEventListener("input", () => field.removeAttribute("aria-invalid"));
    field.focus({ preventScroll: true });
    cell.querySelector("form").scrollIntoView({ block: "nearest", inline: "nearest" });
    if (field.select && field.type !== "checkbox") field.select();
  }

  function leave(cell, { focus = false } = {}) {
    cell.classList.remove("editing");
    cell.removeAttribute("aria-busy");
    cell.replaceChildren(...cell.kept);
    if (focus) focusCell(cell);
  }

  function fail(cell, text) {
    const form = cell.querySelector("form");
    const note = element("p", { class: "error", role: "alert" }, icon("alert-circle"), text);
    if (form) { form.querySelector(".error[role=alert]")?.remove(); form.append(note); return; }
    toast(text, { tone: "red" });
  }

  async function save(cell, form, submitter) {
    const sent = new FormData(form, submitter);
    cell.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address(cell), { method: "POST", body: sent, headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
      const text = await answer.text();
      if (answer.status === 409 || answer.status === 422) { show(cell, text); return false; }
      if (!answer.ok) { fail(cell, reason(text)); return false; }
      cell.kept = [...new DOMParser().parseFromString(text, "text/html").body.childNodes].map((node) => document.importNode(node, true));
      if (!hovers) cell.kept.push(pencil.cloneNode(true));
      leave(cell);
      spoken.textContent = say("saved");
      return true;
    } catch {
      fail(cell, say("failed"));
      return false;
    } finally {
      cell.removeAttribute("aria-busy");
    }
  }

  table.addEventListener("submit", async (event) => {
    const cell = event.target.closest("td.editing");
    if (!cell) return;
    event.preventDefault();
    if (await save(cell, event.target, event.submitter)) focusCell(cell);
  });
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-inline-cancel]")?.closest("td.editing");
    if (cell) leave(cell, { focus: true });
  }, { capture: true });
  table.addEventListener("keydown", async (event) => {
    const cell = event.target.closest("td.editing");
    if (!cell || event.isComposing) return;
    event.stopPropagation();
    const form = cell.querySelector("form");
    if (event.key === "Escape") { event.preventDefault(); leave(cell, { focus: true }); return; }
    const isField = event.target.matches(".field :is(input, select, textarea)");
    if (event.key === "Enter" && isField && (!event.target.matches("textarea") || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (await save(cell, form)) focusCell(cell);
    }
    // With a question on the table Tab goes to its buttons.
    if (event.key === "Tab" && isField && form && !form.querySelector(".inline-conflict")) {
      const all = cells();
      const next = all[all.indexOf(cell) + (event.shiftKey ? -1 : 1)];
      event.preventDefault();
      if (await save(cell, form)) { if (next) edit(next); else focusCell(cell); }
    }
  });
}
