// One small tip for every [data-tip], on hover and on keyboard focus.
import { element } from "./text.js";

export function initTips() {
  let tip = null;
  let owner = null;
  const hide = () => { tip?.remove(); tip = owner = null; };
  const show = (target) => {
    if (target === owner) return;
    hide();
    owner = target;
    tip = element("div", { class: "tip", role: "tooltip" }, target.dataset.tip);
    (target.closest("dialog[open]") ?? document.body).append(tip);
    const at = target.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const above = at.top - box.height - 6;
    const left = Math.min(Math.max(6, at.left + at.width / 2 - box.width / 2), innerWidth - box.width - 6);
    tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(above > 6 ? above : at.bottom + 6)}px)`;
  };
  const find = (event) => event.target.closest?.("[data-tip]");
  document.addEventListener("pointerover", (event) => { const target = find(event); target ? show(target) : hide(); });
  document.addEventListener("focusin", (event) => { const target = find(event); if (target?.matches(":focus-visible")) show(target); });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  document.addEventListener("click", hide, { capture: true });
}
