"""A first seating in one pass: friends follow friends into the crew that has room and nobody they avoid."""

from console.services.seating.problem import NOWHERE, Problem

#: More than any person's wishes together.
AVOIDANCE = 1000


def greedy(problem: Problem) -> list[int]:
    """A seating that keeps pins and capacities and seats everybody it can; for each person the crew's index.

    Who has a current crew stays there while it has room.
    """
    ties = problem.ties()
    seating = [NOWHERE] * len(problem.people)
    room = list(problem.capacities)

    def seat(person: int, crew: int) -> None:
        seating[person] = crew
        room[crew] -= 1

    for person, crew in sorted(problem.pins.items()):
        seat(person, crew)
    for person, crew in sorted(problem.current.items()):
        if seating[person] == NOWHERE and room[crew] > 0:
            seat(person, crew)
    for person in _friends_first(ties):
        if seating[person] != NOWHERE:
            continue
        gains: dict[int, int] = {}
        for other, weight, _, _ in ties[person]:
            gains[seating[other]] = gains.get(seating[other], 0) + weight
        for other in problem.avoided[person]:
            gains[seating[other]] = gains.get(seating[other], 0) - AVOIDANCE
        open_crews = [crew for crew, seats in enumerate(room) if seats > 0]
        if open_crews:
            # The emptiest of the best: a group that begins there has room to grow.
            seat(person, max(open_crews, key=lambda crew: (gains.get(crew, 0), room[crew], -crew)))
    return seating


def _friends_first(ties: list[list[tuple[int, int, bool, bool]]]) -> list[int]:
    """Everybody, each group of friends in one piece, those with the most ties first."""
    order: list[int] = []
    seen = [False] * len(ties)
    for start in sorted(range(len(ties)), key=lambda person: (-len(ties[person]), person)):
        queue = [] if seen[start] else [start]
        seen[start] = True
        for person in queue:
            order.append(person)
            for other, _, _, _ in sorted(ties[person], key=lambda tie: (-tie[1], tie[0])):
                if not seen[other]:
                    seen[other] = True
                    queue.append(other)
    return order
