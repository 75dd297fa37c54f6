"""Group commit: what many threads ask for at the same moment is done in one transaction, for all of them.

Who comes first begins at once. Those who come meanwhile wait in line, and then the first of them does it for
everybody there. Source: DeWitt et al., Implementation Techniques for Main Memory Database Systems, 1984.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Request = TypeVar("Request")
Answer = TypeVar("Answer")

#: So many at once: who comes first should not wait for a hundred others.
GROUP_MAX = 64


class _Waiting(Generic[Request, Answer]):
    """A request in line. Its thread sleeps until it is answered, or is to do the work."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.is_answered = False
        self.wakes = threading.Event()


class GroupCommit(Generic[Key, Request, Answer]):
    """Does `work(key, requests)` for those who `ask`, one group of a key at a time.

    `work` returns the answers in the order of the requests, in a transaction of its own.
    """

    def __init__(self, work: Callable[[Key, Sequence[Request]], Sequence[Answer]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        #: A key is here while somebody works for it.
        self._lines: dict[Key, deque[_Waiting[Request, Answer]]] = {}

    def ask(self, key: Key, request: Request) -> Answer:
        """The answer to the request. Raises what the work raised, for all of its group."""
        mine: _Waiting[Request, Answer] = _Waiting(request)
        with self._lock:
            line = self._lines.get(key)
            if line is None:
                self._lines[key] = deque([mine])
            else:
                line.append(mine)
        if line is not None:
            mine.wakes.wait()
        if not mine.is_answered:
            self._lead(key)
        if mine.error is not None:
            raise mine.error
        return mine.answer  # type: ignore[return-value]

    def _lead(self, key: Key) -> None:
        """Answers the line as it is now, and wakes the next who comes after."""
        with self._lock:
            line = self._lines[key]
            group = [line.popleft() for _ in range(min(len(line), GROUP_MAX))]
        try:
            answers = self._work(key, [each.request for each in group])
            for each, answer in zip(group, answers, strict=True):
                each.answer, each.is_answered = answer, True
        except Exception as error:  # noqa: BLE001 - raised by each whom it concerns
            for each in group:
                each.error, each.is_answered = error, True
        finally:
            self._hand_over(key, group)

    def _hand_over(self, key: Key, group: list[_Waiting[Request, Answer]]) -> None:
        with self._lock:
            line = self._lines[key]
            # The thread that did the work was ended in the middle: the others have lost nothing but time.
            line.extendleft(reversed([each for each in group[1:] if not each.is_answered]))
            if line:
                successor = line[0]
            else:
                successor = None
                del self._lines[key]
        for each in group[1:]:
            if each.is_answered:
                each.wakes.set()
        if successor is not None:
            successor.wakes.set()
