// The board as data: crews, places, people and wishes of one event, and what follows from them. Knows no page.
const collator = new Intl.Collator(document.documentElement.lang, { numeric: true, sensitivity: "base" });

export class Board {
  constructor(whole) {
    this.crews = new Map();
    this.places = new Map();
    this.people = new Map(); // by booking
    this.wishes = new Map(); // by user
    this.others = {};
    this.pending = []; // moves that the server has not answered yet
    this.apply(whole);
  }

  // Takes over the whole (it has people) or what changed; returns the crews whose cards look different now.
  apply(fresh) {
    const touched = new Set();
    const isWhole = "people" in fresh;
    if (isWhole) {
      for (const id of this.crews.keys()) touched.add(id);
      this.crews.clear();
      this.places.clear();
      this.wishes.clear();
      this.people = new Map(fresh.people.map(([booking, user, name, status, active]) => [booking, { booking, user, name, status, active }]));
      this.others = fresh.others;
    }
    for (const id of fresh.gone ?? []) {
      const place = this.places.get(id);
      if (place) { touched.add(place.crew); this.places.delete(id); }
      if (!this.crews.delete(id)) continue;
      touched.add(id);
      for (const [key, each] of this.places) if (each.crew === id) this.places.delete(key);
    }
    for (const [id, type, name, capacity, locked, version] of fresh.crews) {
      this.crews.set(id, { id, type, name, capacity, locked, version });
      touched.add(id);
    }
    for (const [id, booking, crew, seat, locked, version] of fresh.places) {
      const before = this.places.get(id);
      if (before) touched.add(before.crew);
      this.places.set(id, { id, booking, crew, seat, locked, version });
      touched.add(crew);
    }
    for (const [user, wishes, avoids, version] of fresh.wishes) this.wishes.set(user, { wishes, avoids, version });
    this.version = fresh.version;
    this.undo = fresh.undo;
    this.redo = fresh.redo;
    this.index();
    if (isWhole || fresh.wishes.length) {
      this.relate();
      for (const id of this.crews.keys()) touched.add(id);
    }
    return touched;
  }

  index() {
    this.seats = new Map([...this.crews.keys()].map((id) => [id, new Map()]));
    this.placed = new Map(); // "TYPE booking" -> place, as it is shown
    for (const place of this.places.values()) {
      const crew = this.crews.get(place.crew);
      if (!crew) continue;
      this.seats.get(crew.id).set(place.seat, place);
      this.placed.set(`${crew.type} ${place.booking}`, place);
    }
    this.known = new Map(this.placed);
    for (const step of this.pending) this.overlay(step);
  }

  overlay({ type, moves }) {
    const before = moves.map(({ booking }) => this.placeOf(type, booking));
    for (const place of before) if (place) this.seats.get(place.crew)?.delete(place.seat);
    moves.forEach(({ booking, crew, seat }, at) => {
      const key = `${type} ${booking}`;
      if (!crew || !this.crews.has(crew)) { this.placed.delete(key); return; }
      const place = { id: null, version: null, locked: false, ...before[at], booking, crew, seat };
      this.placed.set(key, place);
      this.seats.get(crew).set(seat, place);
    });
  }

  // Wishes name users; only who has an active booking counts.
  relate() {
    this.related = true; // for whoever draws wishes
    this.ofUser = new Map();
    for (const person of this.people.values()) if (person.active) this.ofUser.set(person.user, person);
    for (const person of this.people.values()) Object.assign(person, { wishes: [], avoids: [], wishedBy: [], avoidedBy: [] });
    for (const [user, named] of this.wishes) {
      const person = this.ofUser.get(user);
      if (!person) continue;
      person.wishes = named.wishes.map((id) => this.ofUser.get(id)).filter(Boolean);
      person.avoids = named.avoids.map((id) => this.ofUser.get(id)).filter(Boolean);
      for (const each of person.wishes) each.wishedBy.push(person);
      for (const each of person.avoids) each.avoidedBy.push(person);
    }
  }

  crewsOf(type) {
    return [...this.crews.values()].filter((crew) => crew.type === type).sort((a, b) => collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1));
  }

  placeOf(type, booking) {
    return this.placed.get(`${type} ${booking}`);
  }

  unplaced(type) {
    return [...this.people.values()].filter((person) => person.active && !this.placeOf(type, person.booking)).sort((a, b) => collator.compare(a.name, b.name));
  }

  nameOf(user) {
    return this.ofUser.get(user)?.name ?? this.others[user];
  }

  free(crew) {
    const seats = this.seats.get(crew.id);
    const free = [];
    for (let seat = 1; seat <= crew.capacity; seat += 1) if (!seats.has(seat)) free.push(seat);
    return free;
  }

  // How somebody fares in a crew (or would): wishes met and not, and whom of those there they should not sit with.
  fares(person, crew) {
    const isIn = (other) => crew && other !== person && this.placeOf(crew.type, other.booking)?.crew === crew.id;
    const met = person.wishes.filter(isIn);
    const broken = [...new Set([...person.avoids, ...person.avoidedBy])].filter(isIn);
    return { met, unmet: person.wishes.filter((other) => !met.includes(other)), broken, wishedBy: person.wishedBy.filter(isIn) };
  }

  // A wish for somebody who avoids one: it cannot be met.
  contradicts(person, other) {
    return (person.wishes.includes(other) && other.avoids.includes(person)) || (other.wishes.includes(person) && person.avoids.includes(other));
  }

  // Everybody who wishes for a person that avoids them, or avoids a person that wishes for them: [who, whom].
  contradictions() {
    const found = [];
    for (const one of this.people.values()) for (const other of one.wishes) if (other.avoids.includes(one)) found.push([one, other]);
    return found;
  }

  score(type) {
    const score = { placed: 0, people: 0, wishers: 0, met: 0, broken: 0 };
    for (const person of this.people.values()) {
      const place = this.placeOf(type, person.booking);
      if (person.active) score.people += 1;
      if (person.active && place) score.placed += 1;
      if (person.active && person.wishes.length) score.wishers += 1;
      if (!place) continue;
      const crew = this.crews.get(place.crew);
      const { met, broken } = this.fares(person, crew);
      if (met.length) score.met += 1;
      score.broken += broken.length;
    }
    score.broken /= 2; // each pair was seen from both sides
    return score;
  }

  // Shows moves before the server has answered; `settle` ends it. Both return the crews that look different.
  try(type, moves) {
    const step = { type, moves, touched: new Set(moves.map(({ crew }) => crew).filter(Boolean)) };
    for (const { booking } of moves) { const place = this.placeOf(type, booking); if (place) step.touched.add(place.crew); }
    this.pending.push(step);
    this.index();
    return step;
  }

  settle(step) {
    this.pending = this.pending.filter((each) => each !== step);
    this.index();
    return step.touched;
  }

  // The version of somebody's place as the server told it; null is no place.
  seen(type, booking) {
    return this.known.get(`${type} ${booking}`)?.version ?? null;
  }

  // Seats for people in a crew: the wanted one first, then the lowest that are free. Null when there are too few.
  seatsFor(crew, bookings, from = null) {
    const moving = new Set(bookings);
    const taken = new Set();
    for (const [seat, place] of this.seats.get(crew.id)) if (!moving.has(place.booking)) taken.add(seat);
    const free = [];
    for (let seat = 1; seat <= crew.capacity; seat += 1) if (!taken.has(seat)) free.push(seat);
    if (from !== null) free.sort((a, b) => (a < from) - (b < from) || a - b);
    return free.length < bookings.length ? null : bookings.map((booking, at) => ({ booking, crew: crew.id, seat: free[at] }));
  }
}
