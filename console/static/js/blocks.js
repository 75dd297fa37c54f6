// The blocks of a details page, in the page or in the side panel: the next rows of one replace those before.
import { say } from "./text.js";

export function initBlocks(enhance) {
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-block] .pager a");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      await turn(link, enhance);
    }
    // In the side panel the address stays that of the list.
    const jump = event.target.closest("[data-side-panel] [data-jump]");
    if (jump) {
      event.preventDefault();
      const heading = jump.closest("[data-panel-content]").querySelector(`${jump.hash} h2`);
      heading?.scrollIntoView();
      heading?.focus({ preventScroll: true });
    }
  });
}

async function turn(link, enhance) {
  const block = link.closest("[data-block]");
  block.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href, { headers: { "X-Requested-With": "live" }, credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector(`[data-block="${block.dataset.block}"]`);
    if (!answer.ok || !fresh) { location.href = link.href; return; }
    const rel = link.rel;
    const shown = document.importNode(fresh, true);
    block.replaceWith(shown);
    enhance(shown);
    (shown.querySelector(`.pager a[rel="${rel}"]`) ?? shown.querySelector("h2")).focus({ preventScroll: true });
  } catch {
    block.removeAttribute("aria-busy");
    block.querySelector(".pager").append(say("failed"));
  }
}
