// "Confirm that it is you": what takes a fresh second factor asks for a code, once for all that wait for it.
import { say } from "./text.js";

const dialog = document.querySelector("[data-second-factor]");
let asking = null;

// Resolves once the code was taken; rejects when the person leaves it.
export function confirmIdentity(text) {
  asking ??= ask(text).finally(() => { asking = null; });
  return asking;
}

function ask(text) {
  const form = dialog.querySelector("form");
  const error = form.querySelector("[role=alert]");
  const left = new AbortController();
  let taken = false;
  form.reset();
  error.textContent = "";
  return new Promise((resolve, reject) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      const problem = await give(form);
      taken = problem === "";
      if (taken) { dialog.close(); return; }
      error.textContent = problem;
      form.elements.second_factor_code.select();
    }, { signal: left.signal });
    form.querySelector("[data-not-now]").addEventListener("click", () => dialog.close(), { signal: left.signal });
    dialog.addEventListener("close", () => {
      left.abort();
      if (taken) resolve();
      else reject(new Error(text));
    }, { once: true });
    dialog.showModal();
  });
}

// What is wrong with the code; nothing when it was taken.
async function give(form) {
  const sent = new FormData(form);
  sent.set("csrf_token", document.querySelector("[name=csrf_token]").value);
  try {
    const answer = await fetch(dialog.dataset.secondFactor, { method: "POST", body: sent, headers: { Accept: "application/json" } });
    const told = await answer.json();
    return answer.ok ? "" : told.error;
  } catch {
    return say("failed");
  }
}
