"""Boats, tents, tables and buses of the demo data, who sits where, and with whom they wish to sit."""

from random import Random

from console.demo.bookings import Teller
from console.demo.rows import HOUR, stamp, uuid_hex
from console.demo.trips import Trip

NAMES = {
    "CREW": ("Хариус", "Таймень", "Ленок", "Щука", "Нерпа", "Выдра", "Чайка", "Гагара", "Скопа", "Кулик"),
    "TENT": ("Кедр", "Пихта", "Берёза", "Рябина", "Можжевельник", "Багульник", "Морошка", "Вереск", "Брусника", "Клевер"),
    "TABLE": ("Стол 1", "Стол 2", "Стол 3", "Стол 4", "Стол 5", "Стол 6", "Стол 7", "Стол 8", "Стол 9", "Стол 10"),
    "BUS": ("Автобус 1", "Автобус 2", "Автобус 3"),
}  # fmt: skip
ENGLISH_NAMES = ("Puffin", "Beluga", "Guillemot", "Eider", "Seal", "Tern", "Gannet", "Orca")


def seat(teller: Teller, trip: Trip, bookings: list[tuple[str, int]], now: int) -> None:
    """Adds the event's crews, places the first of `bookings` (id, person) in them, and adds wishes.

    Nobody is placed beside somebody they avoid, and most wishes are met, as if staff had done it with care.
    """
    sink, rng, people = teller.sink, teller.rng, teller.people
    made = stamp(now - 70 * HOUR)
    neighbours: dict[int, list[int]] = {person: [] for _, person in bookings}
    for kind, count, capacity, share in trip.crews:
        names = ENGLISH_NAMES if trip.company == "kayak-north" and kind == "CREW" else NAMES[kind]
        crews = [uuid_hex(rng) for _ in range(count)]
        for number, crew in enumerate(crews):
            name = names[number % len(names)]
            sink.add("crew.crews", crew, trip.id, name, kind, capacity, made, made)
        placed = bookings[: min(int(len(bookings) * share), count * capacity)]
        for number, (booking, person) in enumerate(placed):
            first = number // capacity * capacity
            sink.add(
                "crew.crew_assignments",
                uuid_hex(rng),
                crews[number // capacity],
                people.ids[person],
                booking,
                number - first + 1,
                trip.staff,
                made,
                made,
            )
            if kind != "BUS":
                neighbours[person] += [who for _, who in placed[first : first + capacity] if who != person]
    for person, beside in neighbours.items():
        others = [who for who in neighbours if who != person and who not in beside]
        wishes, avoids = _wish(rng, list(dict.fromkeys(beside)), others)
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


def _wish(rng: Random, beside: list[int], others: list[int]) -> tuple[list[int], list[int]]:
    """With whom somebody wishes to sit and whom they avoid, who now sits `beside` some of them."""
    dice, wishes, avoids = rng.random(), [], []
    if dice < 0.42:
        pool = beside if beside and dice < 0.34 else others
        wishes = rng.sample(pool, min(len(pool), rng.choice((1, 1, 2))))
    if dice < 0.07 or 0.42 <= dice < 0.5:
        free = [who for who in others if who not in wishes]
        avoids = rng.sample(free, min(len(free), 1))
    return wishes, avoids
