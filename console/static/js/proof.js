// A proof as it is looked at: zoom, turn, pages, by key, pointer and wheel. Each viewer keeps how it was left.
import { isPageKey, letter } from "./text.js";

const STEPS = [0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6];
const looks = new WeakMap();

const look = (viewer) => {
  if (!looks.has(viewer)) looks.set(viewer, { zoom: 1, turn: 0, page: 0 });
  return looks.get(viewer);
};
const pages = (viewer) => [...viewer.querySelectorAll("[data-page]")];

function draw(viewer) {
  const { zoom, turn, page } = look(viewer);
  const stage = viewer.querySelector("[data-stage]");
  pages(viewer).forEach((image, at) => { image.hidden = at !== page; });
  const image = pages(viewer)[page];
  const sideways = turn % 180 !== 0;
  const style = getComputedStyle(stage);
  const width = stage.clientWidth - parseFloat(style.paddingLeft) * 2;
  const height = stage.clientHeight - parseFloat(style.paddingTop) * 2;
  const own = { width: image.naturalWidth || width, height: image.naturalHeight || height };
  const [across, down] = sideways ? [own.height, own.width] : [own.width, own.height];
  const scale = Math.min(width / across, height / down, 1) * zoom;
  // The picture turns around its middle: what it takes up is set on the margins, so that the stage scrolls right.
  const shift = sideways ? (own.height - own.width) * scale / 2 : 0;
  Object.assign(image.style, {
    width: `${own.width * scale}px`, height: `${own.height * scale}px`, rotate: `${turn}deg`,
    marginInline: `${shift}px`, marginBlock: `${-shift}px`,
  });
  viewer.querySelector("[data-zoom-level]").textContent = `${Math.round(zoom * 100)} %`;
  const count = viewer.querySelector("[data-page-count]");
  if (count) count.textContent = `${page + 1} / ${pages(viewer).length}`;
  stage.classList.toggle("zoomed", zoom > 1);
}

function zoom(viewer, way) {
  const state = look(viewer);
  if (way === "fit") Object.assign(state, { zoom: 1, turn: 0 });
  else state.zoom = (way === "in" ? STEPS.find((step) => step > state.zoom) : STEPS.findLast((step) => step < state.zoom)) ?? state.zoom;
  draw(viewer);
}

function turn(viewer) {
  look(viewer).turn = (look(viewer).turn + 90) % 360;
  draw(viewer);
}

function step(viewer, by) {
  const state = look(viewer);
  const page = Math.min(Math.max(state.page + by, 0), pages(viewer).length - 1);
  if (page === state.page) return;
  state.page = page;
  viewer.querySelector("[data-stage]").scrollTo(0, 0);
  draw(viewer);
}

// Draws a viewer that came into sight; its pictures may come later.
export function initViewer(root) {
  for (const viewer of root.querySelectorAll("[data-viewer]")) {
    for (const image of pages(viewer)) {
      if (!image.dataset.watched) { image.dataset.watched = ""; image.addEventListener("load", () => draw(viewer)); }
    }
    draw(viewer);
  }
}

const shown = () => [...document.querySelectorAll("[data-viewer]")].find((viewer) => viewer.checkVisibility());

document.addEventListener("click", (event) => {
  const viewer = event.target.closest("[data-viewer]");
  const button = event.target.closest("button");
  if (!viewer || !button) return;
  if (button.dataset.zoom) zoom(viewer, button.dataset.zoom);
  if ("turn" in button.dataset) turn(viewer);
  if (button.dataset.pageStep) step(viewer, Number(button.dataset.pageStep));
});

document.addEventListener("keydown", (event) => {
  const viewer = isPageKey(event) && shown();
  if (!viewer) return;
  const key = event.key;
  if (key === "+" || key === "=") zoom(viewer, "in");
  else if (key === "-" || key === "−") zoom(viewer, "out");
  else if (key === "0") zoom(viewer, "fit");
  else if (letter(event) === "t") turn(viewer);
  else if (key === "ArrowRight" && pages(viewer).length > 1) step(viewer, 1);
  else if (key === "ArrowLeft" && pages(viewer).length > 1) step(viewer, -1);
  else return;
  event.preventDefault();
});

document.addEventListener("wheel", (event) => {
  const viewer = event.ctrlKey && event.target.closest?.("[data-stage]")?.closest("[data-viewer]");
  if (!viewer) return;
  event.preventDefault();
  zoom(viewer, event.deltaY < 0 ? "in" : "out");
}, { passive: false });

// A zoomed proof is pulled about with the pointer.
let pull = null;
document.addEventListener("pointerdown", (event) => {
  const stage = event.target.closest?.("[data-stage].zoomed");
  if (!stage || event.button !== 0 || event.pointerType !== "mouse") return;
  pull = { stage, x: event.clientX + stage.scrollLeft, y: event.clientY + stage.scrollTop };
  event.preventDefault();
});
document.addEventListener("pointermove", (event) => {
  if (pull) pull.stage.scrollTo(pull.x - event.clientX, pull.y - event.clientY);
});
document.addEventListener("pointerup", () => { pull = null; });
addEventListener("resize", () => { const viewer = shown(); if (viewer) draw(viewer); });
