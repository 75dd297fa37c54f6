"""Boats, tents, tables and buses of the demo data, who sits where, and with whom they wish to sit."""

from random import Random

from console.demo.people import People
from console.demo.rows import HOUR, Sink, stamp, uuid_hex
from console.demo.trips import Trip

NAMES = {
    "CREW": ("Хариус", "Таймень", "Ленок", "Щука", "Нерпа", "Выдра", "Чайка", "Гагара", "Скопа", "Кулик"),
    "TENT": ("Кедр", "Пихта", "Берёза", "Рябина", "Можжевельник", "Багульник", "Морошка", "Вереск", "Брусника", "Клевер"),
    "TABLE": ("Стол 1", "Стол 2", "Стол 3", "Стол 4", "Стол 5", "Стол 6", "Стол 7", "Стол 8", "Стол 9", "Стол 10"),
    "BUS": ("Автобус 1", "Автобус 2", "Автобус 3"),
}  # fmt: skip
ENGLISH_NAMES = ("Puffin", "Beluga", "Guillemot", "Eider", "Seal", "Tern", "Gannet", "Orca")


def seat(
    sink: Sink, rng: Random, people: People, trip: Trip, bookings: list[tuple[str, int]], now: int
) -> None:
    """Adds the event's crews, places the first of `bookings` (id, person) in them, and adds wishes.

    Nobody is placed beside somebody they avoid, and most wishes are met, as if staff had done it with care.
    """
    made = stamp(now - 70 * HOUR)
    neighbours: dict[int, list[int]] = {}
    for kind, count, capacity, share in trip.crews:
        names = ENGLISH_NAMES if trip.company == "kayak-north" and kind == "CREW" else NAMES[kind]
        crews = [uuid_hex(rng) for _ in range(count)]
        for number, crew in enumerate(crews):
            name = names[number % len(names)]
            sink.add("crew.crews", crew, trip.id, name, kind, capacity, made, made)
        placed = min(int(len(bookings) * share), count * capacity)
        for number, (booking, person) in enumerate(bookings[:placed]):
            sink.add(
                "crew.crew_assignments",
                uuid_hex(rng),
                crews[number // capacity],
                people.ids[person],
                booking,
                number % capacity + 1,
                trip.staff,
                made,
                made,
            )
            if kind != "BUS":
                first = number // capacity * capacity
                beside = [who for _, who in bookings[first : min(first + capacity, placed)]]
                neighbours.setdefault(person, []).extend(beside)
    everybody = [person for _, person in bookings]
    if len(everybody) > 3:
        for person in everybody:
            _wish(sink, rng, people, trip, person, everybody, neighbours.get(person, []), made)


def _wish(
    sink: Sink,
    rng: Random,
    people: People,
    trip: Trip,
    person: int,
    everybody: list[int],
    neighbours: list[int],
    made: str,
) -> None:
    dice = rng.random()
    if dice > 0.5:
        return
    beside = [who for who in dict.fromkeys(neighbours) if who != person]
    others = [who for who in everybody if who != person and who not in beside]
    wishes: list[int] = []
    avoids: list[int] = []
    if dice < 0.42:
        pool = beside if beside and dice < 0.34 else others
        wishes = rng.sample(pool, min(len(pool), rng.choice((1, 1, 2))))
    if dice < 0.07 or dice >= 0.42:
        pool = [who for who in others if who not in wishes]
        avoids = rng.sample(pool, min(len(pool), 1))
    if wishes or avoids:
        sink.add(
            "crew.team_preferences",
            people.ids[person],
            trip.id,
            [people.ids[who] for who in wishes],
            [people.ids[who] for who in avoids],
            made,
            made,
        )
