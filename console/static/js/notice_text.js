// The editor of a notice's text: what it would say, soon after each key.
const PAUSE_MS = 300;
const form = document.getElementById("text");
const shown = document.querySelector("[data-shown]");
let waiting = 0;
let asked = 0;

async function preview() {
  const number = ++asked;
  try {
    const answer = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form), redirect: "manual" });
    const text = await answer.text();
    // An answer that was overtaken by a later one is of an older text.
    if (answer.ok && number === asked) shown.innerHTML = text;
  } catch { /* away for a moment */ }
}

for (const field of form.elements) {
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(preview, PAUSE_MS);
  });
}
preview();
