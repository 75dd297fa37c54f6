// Steps go to the server one after the other, each with the versions it saw; answers bring what changed.
import { say } from "../text.js";
import { toast } from "../toasts.js";
import { app, board, changed, person, urls } from "./app.js";
import { lookWith } from "../live.js";
import { speak, word } from "./words.js";

const token = document.querySelector("meta[name=csrf]").content;
let line = Promise.resolve();
let wholeAt = Date.now();
let answers = 0; // taken over so far: what was asked before the last of them is old
const WHOLE_AFTER_MS = 3_600_000; // removals are kept for a day; a page that slept reads anew

export async function post(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": token },
    body: JSON.stringify({ ...body(), since: board.version }),
  });
  return { ok: answer.ok, status: answer.status, ...(await answer.json()) };
}

// Sends a step; `body` is made when its turn comes, because the one before may have changed what was seen.
// Resolves to whether it was done. `shown` is what the page shows of it already.
export function step(url, body, shown = null) {
  line = line.then(async () => {
    const started = performance.now();
    let answer = null;
    try {
      answer = await post(url, body);
    } catch { /* answered below */ }
    performance.measure("seating-step", { start: started }); // how long the server took to answer
    const touched = shown ? board.settle(shown) : new Set();
    if (answer?.board) {
      answers += 1;
      for (const id of board.apply(answer.board)) touched.add(id);
    }
    changed(touched);
    if (answer?.ok) return answer;
    const text = answer?.error ?? say("failed");
    toast(text, { tone: "red" });
    speak(text);
    if (!answer?.board) look();
    return null;
  });
  return line;
}

// Takes over what an answer brought besides the line of steps.
export function takeOver(fresh) {
  answers += 1;
  changed(board.apply(fresh));
}

// Moves people at once on the page, and then on the server. moves: [{booking, crew, seat}], crew null is out.
export function move(moves, type = app.type) {
  const shown = board.try(type, moves);
  changed(shown.touched);
  return step(urls.moves, () => ({ type, moves: moves.map(({ booking, crew, seat }) => ({ booking, crew, seat, seen: board.seen(type, booking) })) }), shown);
}

export const undo = () => step(urls.undo, () => ({})).then((done) => done && speak(word("undone")));
export const redo = () => step(urls.redo, () => ({})).then((done) => done && speak(word("redone")));

// Reads what changed; everything when bookings did, or after a long sleep.
async function look(tables = new Set(["*"])) {
  const asked = answers;
  const whole = tables.has("bookings") || tables.has("*") || Date.now() - wholeAt > WHOLE_AFTER_MS;
  const answer = await fetch(whole ? urls.state : `${urls.state}?since=${board.version}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) return answer.status;
  const fresh = await answer.json();
  await line; // a step under way has news of its own
  if (asked !== answers) return look(tables);
  if (whole) wholeAt = Date.now();
  const touched = board.apply(fresh);
  changed(whole ? null : touched);
  tell(fresh.news);
  return answer.status;
}

let toldOf = new Set();
function tell(news) {
  const fresh = news.filter(([id, , , state]) => !toldOf.has(`${id} ${state}`));
  toldOf = new Set(news.map(([id, , , state]) => `${id} ${state}`));
  if (!fresh.length) return;
  const [, who, kind, state, count, people] = fresh[0];
  const name = people.length && person(people[0][0])?.name;
  const after = people.length && (state === "UNDONE" ? people[0][1] : people[0][2]);
  const crew = after && board.crews.get(after[0])?.name;
  const text = fresh.length > 1 || count > 2 || !name ? word(count > 2 ? "news_many" : "news_crews", { who, n: count })
    : kind === "lock" || kind === "unlock" ? word(`news_${kind}`, { who, name })
      : crew ? word("news_move", { who, name, crew, seat: after[1] }) : word("news_out", { who, name });
  const place = document.querySelector("[data-board-news]");
  place.textContent = text;
  place.classList.remove("fresh");
  void place.offsetWidth; // starts the animation again
  place.classList.add("fresh");
  for (const [booking] of people) document.querySelector(`.seat[data-who="${booking}"]`)?.classList.add("others-move");
}

lookWith(look);
