// Forms: look-ups as you type, JSON, tags, a warning about unsaved changes, Ctrl-Enter saves.
import { element, say } from "./text.js";

export function initForms(root) {
  root.querySelectorAll("textarea[data-json]").forEach(initJson);
  const choosers = root.querySelectorAll("select[data-lookup], input[data-lookup], input[data-tags], select[data-choose]");
  if (choosers.length) loadTomSelect().then(() => choosers.forEach(initChooser));
  root.querySelectorAll("form[data-form]").forEach(initUnsaved);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  const form = event.target.closest("form[method=post]");
  if (form) { event.preventDefault(); form.requestSubmit(form.querySelector("[type=submit]")); }
});

// The second click of a double click is no second wish: what is on its way is not sent again. An answer that is a
// file leaves the page as it is; after a while the form may be sent anew.
const ON_ITS_WAY_MS = 5000;
let sent = new WeakMap();

addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  if (Date.now() - (sent.get(form) ?? 0) < ON_ITS_WAY_MS) event.preventDefault();
  else sent.set(form, Date.now());
});
addEventListener("pageshow", () => { sent = new WeakMap(); });

// A file that is too large is refused at once, and not after it was sent.
document.addEventListener("change", (event) => {
  const field = event.target.closest("input[type=file][data-max-mb]");
  if (!field) return;
  const isTooLarge = [...field.files].some((file) => file.size > Number(field.dataset.maxMb) * 2 ** 20);
  field.setCustomValidity(isTooLarge ? field.dataset.tooLarge : "");
  if (isTooLarge) field.reportValidity();
});

let loading = null;

function loadTomSelect() {
  loading ??= new Promise((resolve, reject) => {
    const nonce = document.querySelector("script[nonce]").nonce;
    const script = element("script", { src: say("tom_select") });
    script.nonce = nonce;
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(script);
  });
  return loading;
}

function optionHtml(item, escape) {
  return `<div>${escape(item.text)}${item.sub ? `<small>${escape(item.sub)}</small>` : ""}</div>`;
}

function waysToRemove(field, many) {
  const title = say("remove");
  if (many) return { remove_button: { title, label: "×" } };
  if (field.required) return {};
  return { clear_button: { title, html: () => `<button type="button" class="clear-button" aria-label="${title}">×</button>` } };
}

function initChooser(field) {
  if (field.tomselect) return;
  const many = field.multiple || "tags" in field.dataset || "many" in field.dataset;
  const url = field.dataset.lookup;
  const common = {
    valueField: "id", labelField: "text", searchField: ["text", "sub"], maxItems: many ? null : 1,
    placeholder: field.getAttribute("placeholder") || (url ? say("type_to_search") : ""),
    plugins: waysToRemove(field, many),
    render: {
      option: optionHtml,
      item: (item, escape) => `<div>${escape(item.text)}${item.sub && !many ? `<small>${escape(item.sub)}</small>` : ""}</div>`,
      no_results: () => `<div class="no-results">${say("nothing")}</div>`,
      option_create: (data, escape) => `<div class="create">${say("add", { text: escape(data.input) })}</div>`,
      loading: () => `<div class="spinner" aria-label="${say("loading")}"></div>`,
    },
  };
  if (url) {
    Object.assign(common, {
      preload: "focus", loadThrottle: 180, maxOptions: 20,
      score: () => () => 1, // the server has ranked them
      load(query, done) {
        const address = new URL(url, location.href);
        address.searchParams.set("q", query);
        address.searchParams.set("limit", "20");
        fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" })
          .then((answer) => (answer.ok ? answer.json() : { items: [] }))
          .then(({ items }) => { this.clearOptions((option) => this.items.includes(String(option.id))); done(items); })
          .catch(() => done());
      },
    });
  } else if ("tags" in field.dataset) {
    Object.assign(common, { create: true, persist: false, createOnBlur: true, delimiter: ",", valueField: "text", labelField: "text" });
  } else {
    Object.assign(common, { valueField: "value", searchField: ["text"] });
  }
  const chooser = new window.TomSelect(field, common);
  field.setAttribute("aria-hidden", "true"); // its label speaks for the chooser now
  const described = field.getAttribute("aria-describedby");
  if (described) chooser.control_input.setAttribute("aria-describedby", described);
  if (field.getAttribute("aria-invalid")) chooser.control_input.setAttribute("aria-invalid", "true");
}

function initJson(field) {
  if (field.dataset.live) return;
  field.dataset.live = "yes";
  const note = element("div", { class: "json-state" }, element("span", { role: "status" }));
  const tidy = element("button", { type: "button" }, say("format"));
  note.append(tidy);
  field.after(note);
  field.spellcheck = false;
  const check = () => {
    const text = field.value.trim();
    let problem = "";
    if (text) {
      try { JSON.parse(text); } catch (error) { problem = explain(text, error); }
    }
    note.classList.toggle("bad", Boolean(problem));
    note.firstChild.textContent = problem || (text ? say("json_good") : "");
    tidy.hidden = Boolean(problem) || !text;
    field.setCustomValidity(problem);
    return !problem;
  };
  const format = () => {
    if (field.value.trim() && check()) field.value = indentJson(field.value);
  };
  field.addEventListener("input", check);
  tidy.addEventListener("click", format);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && !event.shiftKey && field.selectionStart !== field.selectionEnd) { event.preventDefault(); field.setRangeText("  ", field.selectionStart, field.selectionStart, "end"); }
  });
  format();
  field.defaultValue = field.value; // formatting is not a change
  check();
}

// Moves only the white space of valid JSON: parsing and printing would shorten 1.10 and round long numbers.
function indentJson(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let out = "";
  let depth = 0;
  tokens.forEach((token, index) => {
    const line = () => `\n${"  ".repeat(depth)}`;
    const isEmpty = (open, close) => open === "{" ? close === "}" : open === "[" && close === "]";
    if (token === "{" || token === "[") {
      depth += 1;
      out += token + (isEmpty(token, tokens[index + 1]) ? "" : line());
    } else if (token === "}" || token === "]") {
      depth -= 1;
      out += (isEmpty(tokens[index - 1], token) ? "" : line()) + token;
    } else if (token === ",") out += token + line();
    else out += token === ":" ? ": " : token;
  });
  return out;
}

function explain(text, error) {
  const at = /position (\d+)/.exec(error.message);
  const reason = error.message.replace(/ (in JSON )?at position.*$/s, "").replace(/, ?"[\s\S]*$/, "");
  if (!at) return say("json_bad", { error: reason });
  return say("json_line", { line: text.slice(0, Number(at[1])).split("\n").length, error: reason });
}

function initUnsaved(form) {
  if (form.dataset.live) return;
  form.dataset.live = "yes";
  let changed = false;
  form.addEventListener("input", (event) => { if (event.isTrusted) changed = true; });
  form.addEventListener("change", (event) => { if (event.isTrusted || event.target.tomselect) changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
  form.querySelector(".conflict input, [aria-invalid=true]")?.focus();
}
