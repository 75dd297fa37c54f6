// data-confirm on a form or a button: a dialog that names the consequence, with the verb on its button:
// red, unless data-confirm-mild says that nothing is lost.
let confirmed = null;

export function ask({ title, text, verb, mild = false }) {
  const dialog = document.querySelector("[data-confirm-dialog]");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("p").textContent = text;
  const yes = dialog.querySelector("[value=yes]");
  yes.textContent = verb;
  yes.classList.toggle("btn-danger", !mild);
  yes.classList.toggle("btn-primary", mild);
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
    const { confirm: text, confirmVerb, confirmTitle: title } = owner.dataset;
    const verb = confirmVerb || button?.textContent.trim();
    const counted = form.dataset.ticked ? `${verb}: ${form.dataset.ticked}` : verb;
    if (!(await ask({ title: title || `${verb}?`, text, verb: counted, mild: "confirmMild" in owner.dataset }))) return;
    confirmed = form;
    form.requestSubmit(button);
  }, { capture: true });
}
