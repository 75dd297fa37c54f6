// A message to participants: one text for all, or one in each language; a preview holds for what it was of only.
const form = document.getElementById("message");
const each = form.querySelector("[data-each]");

function show() {
  for (const field of form.querySelectorAll("[data-text]")) field.hidden = (field.dataset.text === "") === each.checked;
}

each.addEventListener("change", show);
form.addEventListener("input", () => {
  const send = form.querySelector("[data-send]");
  if (send) send.disabled = true;
});
show();
