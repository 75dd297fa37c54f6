"""Seating problems like those of real trips, the same for the same size: groups of friends, wishes in and
across them, avoidances that bite. Five profiles, each hard in its own way."""

import random
from typing import Any

SIZES = {40: 6, 200: 30, 500: 60, 1000: 120}
#: Boats of one size; tents, tables and buses; hardly a free seat; many avoidances; most sit already.
PROFILES = ("boats", "mixed", "tight", "hostile", "reseat")
#: What tuning never saw.
FIRST_SEED = 201
GROUP_SIZES = (1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 8, 10)


def document(size: int, profile: str) -> dict[str, Any]:
    """The problem of a size and a profile, as `flask seating solve` reads it."""
    chance = random.Random(FIRST_SEED * 10_000 + size * 10 + PROFILES.index(profile))
    people = [f"p{number:04}" for number in range(size)]
    crews = _crews(chance, size, SIZES[size], profile)
    groups = _groups(chance, people)
    prefers: dict[str, set[str]] = {person: set() for person in people}
    for group in groups:
        for person in group:
            others = [other for other in group if other != person]
            if others and chance.random() < 0.88:
                for other in chance.sample(others, min(len(others), chance.randint(1, 3))):
                    prefers[person].add(other)
                    if chance.random() < 0.45:
                        prefers[other].add(person)
    _across(chance, people, prefers)
    avoids = _avoids(chance, people, groups, prefers, often=0.55 if profile == "hostile" else 0.08)
    current = _present(chance, groups, crews, 0.85 if profile == "reseat" else 0.0)
    pins = {person: crew for person, crew in current.items() if chance.random() < 0.25}
    if not current:
        pins = _present(chance, groups, crews, 0.05)
    return {
        "people": sorted(people, key=lambda _: chance.random()),
        "crews": crews,
        "prefers": {person: sorted(others) for person, others in prefers.items() if others},
        "avoids": {person: sorted(others) for person, others in avoids.items() if others},
        "pins": pins,
        "current": current,
    }


def _crews(chance: random.Random, size: int, count: int, profile: str) -> list[dict[str, Any]]:
    total = size + (size // 100 if profile == "tight" else size // 10)
    if profile == "mixed":
        seats = [chance.choice((4, 6, 8, 8, 10)) for _ in range(count)]
        while sum(seats) < total:
            seats[chance.randrange(count)] += 2
        kinds = ["TENT" if seat <= 4 else "TABLE" if seat >= 10 else "CREW" for seat in seats]
    else:
        seats = [total // count + (number < total % count) for number in range(count)]
        kinds = ["CREW"] * count
    return [
        {"id": f"c{number:03}", "type": kind, "capacity": seat}
        for number, (kind, seat) in enumerate(zip(kinds, seats, strict=True))
    ]


def _groups(chance: random.Random, people: list[str]) -> list[list[str]]:
    rest, groups = list(people), []
    while rest:
        take = chance.choice(GROUP_SIZES)
        groups.append(rest[:take])
        rest = rest[take:]
    return groups


def _across(chance: random.Random, people: list[str], prefers: dict[str, set[str]]) -> None:
    """Wishes that leave the own group, and people whom many wish for."""
    for person in people:
        if chance.random() < 0.25:
            other = chance.choice(people)
            prefers[person].add(other)
            if chance.random() < 0.4:
                prefers[other].add(person)
    for star in chance.sample(people, max(1, len(people) // 100)):
        for fan in chance.sample(people, 8):
            prefers[fan].add(star)
    for person, others in prefers.items():
        others.discard(person)


def _avoids(
    chance: random.Random,
    people: list[str],
    groups: list[list[str]],
    prefers: dict[str, set[str]],
    *,
    often: float,
) -> dict[str, set[str]]:
    """Every third avoids the friend of a friend, which is where it hurts."""
    avoids: dict[str, set[str]] = {person: set() for person in people}
    for _ in range(round(len(people) * often)):
        person = chance.choice(people)
        friends = sorted(prefers[person])
        near = sorted(prefers[chance.choice(friends)]) if friends and chance.random() < 0.33 else []
        other = chance.choice(near or people)
        if other != person:
            avoids[person].add(other)
    for group in groups:
        if len(group) > 4 and chance.random() < 0.3:
            avoids[group[0]].add(group[-1])
    return avoids


def _present(
    chance: random.Random, groups: list[list[str]], crews: list[dict[str, Any]], share: float
) -> dict[str, str]:
    """Who sits where already: groups more or less together, one seat of each crew left free."""
    room = {crew["id"]: crew["capacity"] - 1 for crew in crews}
    places: dict[str, str] = {}
    here = crews[0]["id"]
    for group in sorted(groups, key=lambda _: chance.random()):
        for person in group:
            if chance.random() >= share:
                continue
            if chance.random() < 0.2 or not room[here]:
                open_crews = [name for name, seats in room.items() if seats]
                if not open_crews:
                    return places
                here = chance.choice(open_crews)
            places[person] = here
            room[here] -= 1
    return places
