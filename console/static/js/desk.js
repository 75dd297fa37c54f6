// Desks: a reason as a template, a list filtered as one types, typed text kept.

// A template reason is a start, not the last word: it lands in the field, where it can still be changed.
function initReasons() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-reason]");
    if (!button) return;
    const field = button.closest("form").querySelector("textarea");
    field.value = button.dataset.reason;
    field.focus();
  });
}

// What unfolds takes the cursor along, so that a key opens the form and the next one types into it.
function initFolds() {
  document.addEventListener("toggle", (event) => {
    if (!event.target.matches?.("details.fold[open]")) return;
    const first = event.target.querySelector("[data-first]") ?? event.target.querySelector("textarea, input:not([type=hidden]), .fold-body button");
    first?.focus();
  }, { capture: true });
  document.addEventListener("keydown", (event) => {
    const fold = event.key === "Escape" && event.target.closest?.("details.fold[open]");
    if (!fold) return;
    event.stopPropagation();
    fold.open = false;
    fold.querySelector("summary").focus();
  }, { capture: true });
}

// What a step would do is said for the number that stands in its field, not only for the usual one.
function initLooks() {
  const timers = new WeakMap();
  const look = async (field) => {
    const asked = field.value;
    const place = field.closest(".fold-body").querySelector("[data-says-here]");
    const answer = await fetch(`${field.dataset.says}?${new URLSearchParams({ [field.name]: asked })}`, { headers: { Accept: "application/json" } });
    const { says } = await answer.json();
    if (field.value === asked) place.textContent = says ?? "";
  };
  const soon = (field, wait) => {
    clearTimeout(timers.get(field));
    timers.set(field, setTimeout(() => look(field).catch(() => {}), wait));
  };
  document.addEventListener("input", (event) => event.target.dataset.says && soon(event.target, 200));
  document.addEventListener("live", () => document.querySelectorAll("[data-says]").forEach((field) => field.value !== field.defaultValue && soon(field, 0)));
}

function initFilters() {
  for (const field of document.querySelectorAll("input[data-filter]")) {
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLocaleLowerCase();
      for (const row of document.querySelectorAll(field.dataset.filter)) row.hidden = !row.textContent.toLocaleLowerCase().includes(wanted);
    });
  }
}

// A step that was refused leads back to the same page: what was typed must still be there.
function initKept() {
  const key = `typed ${location.pathname}`;
  const names = "textarea[name], select[name], input[name]:not([type=hidden], [type=file], [type=radio], [type=checkbox], [type=search])";
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    const values = [...form.querySelectorAll(names)].map((field) => [field.name, field.value]);
    if (values.length) sessionStorage.setItem(key, JSON.stringify({ action: form.getAttribute("action"), values }));
  });
  const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
  sessionStorage.removeItem(key);
  if (!kept || !document.querySelector("[data-flash].tone-red")) return;
  const form = [...document.forms].find((each) => each.getAttribute("action") === kept.action);
  if (!form) return;
  form.closest("details")?.setAttribute("open", "");
  for (const [name, value] of kept.values) {
    const field = form.elements.namedItem(name);
    if (field) field.value = value;
  }
}

initReasons();
initFolds();
initLooks();
initFilters();
initKept();
