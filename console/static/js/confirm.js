// data-confirm on a form or a button: a dialog that names the consequence, with the verb on its button.
let confirmed = null;

export function ask({ title, text, verb }) {
  const dialog = document.querySelector("[data-confirm-dialog]");
  dialog.querySelector("h2").textContent = title || `${verb}?`;
  dialog.querySelector("p").textContent = text;
  dialog.querySelector(".btn-danger").textContent = verb;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

export function initConfirm() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const button = event.submitter;
    const owner = button?.dataset.confirm ? button : form.dataset.confirm ? form : null;
    if (!owner || confirmed === form) { confirmed = null; return; }
    event.preventDefault();
    event.stopImmediatePropagation();
    const { confirm: text, confirmVerb: verb, confirmTitle: title } = owner.dataset;
    if (!(await ask({ title, text, verb: verb || button?.textContent.trim() }))) return;
    confirmed = form;
    form.requestSubmit(button);
  }, { capture: true });
}
