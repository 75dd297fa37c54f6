// What the modules of the board share: the data, the tab that is shown, and who asks to be told of changes.
import { Board } from "./model.js";

export const root = document.querySelector("[data-board]");
export const board = new Board(JSON.parse(document.getElementById("board-data").textContent));
export const urls = { ...root.dataset };

const TYPES = ["CREW", "TENT", "TABLE", "BUS"];
const asked = new URLSearchParams(location.search).get("type");
const used = TYPES.find((type) => board.crewsOf(type).length);

export const app = {
  type: TYPES.includes(asked) ? asked : (used ?? "CREW"),
  chosen: new Set(), // bookings picked for moving together
  about: null, // the booking whose concerns are shown
  carried: null, // bookings in the hand: {bookings, from}
  compare: null, // a proposal under review
};

const followers = [];
// `how` gets the crews that look different (null: all), after each change.
export function follow(how) {
  followers.push(how);
}

export function changed(crews = null) {
  for (const how of followers) how(crews);
}

export const here = (booking) => board.placeOf(app.type, booking);
export const person = (booking) => board.people.get(booking);
export const crewOf = (booking) => { const place = here(booking); return place && board.crews.get(place.crew); };
