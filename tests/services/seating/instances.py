"""Small seating problems by chance: people with friends and foes, crews, pins, present places."""

import random
from typing import Any

from console.services.seating.problem import Problem, make


def document(
    people: int, crews: int, seed: int, *, free: int = 3, pinned: float = 0.0, seated: float = 0.0
) -> dict[str, Any]:
    """A problem as a file has it, with `free` seats more than people."""
    chance = random.Random(seed)
    names = [f"p{number}" for number in range(people)]
    seats = [(people + free) // crews + (number < (people + free) % crews) for number in range(crews)]
    boats = [f"c{number}" for number in range(crews)]
    places = [boat for boat, room in zip(boats, seats, strict=True) for _ in range(room)]
    chance.shuffle(places)
    now = dict(zip(names, places, strict=False))
    return {
        "people": names,
        "crews": [
            {"id": boat, "type": "CREW", "capacity": room} for boat, room in zip(boats, seats, strict=True)
        ],
        "prefers": {name: chance.sample(names, 3) for name in names if chance.random() < 0.8},
        "avoids": {name: chance.sample(names, 1) for name in names if chance.random() < 0.2},
        "pins": {name: crew for name, crew in now.items() if chance.random() < pinned},
        "current": {name: crew for name, crew in now.items() if chance.random() < seated},
    }


def problem(people: int, crews: int, seed: int, **facts: Any) -> Problem:
    most_moves = facts.pop("most_moves", None)
    file = document(people, crews, seed, **facts)
    return make(
        file["people"],
        [(crew["id"], crew["capacity"]) for crew in file["crews"]],
        prefers=file["prefers"],
        avoids=file["avoids"],
        pins=file["pins"],
        current=file["pins"] | file["current"],
        most_moves=most_moves,
    )
