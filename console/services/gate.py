"""The gate before the bot: lets each message pass at its moment, the most urgent first.

One for each worker. What it knows of the others it asks of `pace`.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from console.services import pace
from console.services.pace import Granted, Late

#: Moments asked for at a time: so many that asking costs little, so few that the urgent need not wait long.
AHEAD = 10
#: Before the last of them is over, more are asked for.
LEAD_SECONDS = 0.2
#: Between two questions when nothing was given.
ASK_SECONDS = 0.05
#: A message waits here for its chat; for longer than this it waits in the outbox.
HOLD_SECONDS = 1.5
#: Later than this is late: the others have to know.
LATE_SECONDS = 0.004

Ask = Callable[[Sequence[int], Sequence[Late]], Awaitable[Granted]]


class NotNow(Exception):
    """The message cannot go out now: after so many seconds it may."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"after {seconds:g} s")


class Paused(NotNow):
    """The Bot API has asked for silence."""


class ChatBusy(NotNow):
    """Other messages to the same chat go first."""


@dataclass(eq=False)
class _Waiting:
    order: tuple[bool, int]
    chat_id: int
    turn: "asyncio.Future[float]"


@dataclass
class Gate:
    """`ask` reserves moments, as `pace.reserve` does. Close it in the end."""

    ask: Ask
    limited: bool
    _waiting: list[_Waiting] = field(default_factory=list)
    _late: list[Late] = field(default_factory=list)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    #: Somebody was late: the others must know before they take the moments a second later.
    _hurried: asyncio.Event = field(default_factory=asyncio.Event)
    _paused_until: float = 0.0
    _offset: float = 0.0
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _keeper: "asyncio.Task[None] | None" = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def paused_seconds(self) -> float:
        return max(0.0, self._paused_until - time.monotonic())

    async def turn(self, chat_id: int, *, can_wait: bool = False) -> Callable[[], None]:
        """Returns at the moment to send to this chat. Raises Paused or ChatBusy.

        Who `can_wait` goes after all who cannot. What it returns is to be called when the request has really
        gone out: a connection may take its time.
        """
        if self.paused_seconds:
            raise Paused(self.paused_seconds)
        if not self.limited:
            return _nothing
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        one = _Waiting((can_wait, next(self._numbers)), chat_id, future)
        self._waiting.append(one)
        self._woken.set()
        try:
            slot = await future
        finally:
            if one in self._waiting:
                self._waiting.remove(one)

        def gone() -> None:
            actual = time.monotonic() + self._offset
            if actual - slot > LATE_SECONDS:
                self._late.append(Late(chat_id, slot, actual))
                self._woken.set()
                self._hurried.set()

        return gone

    def pause(self, seconds: float) -> None:
        """Lets nobody pass for so long; whoever waits is told."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
        for one in self._waiting:
            _tell(one, Paused(self.paused_seconds))

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep(self) -> None:
        """Gives turns for as long as the gate is open; a failure is told to everybody who waits."""
        while True:
            await self._woken.wait()
            try:
                self._hurried.clear()
                seconds = await self._give()
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._hurried.wait()
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                for one in self._waiting:
                    _tell(one, error)
                self._waiting.clear()

    async def _give(self) -> float:
        """Gives the next turns; returns for how long nothing more need be asked, in seconds."""
        batch = self._next()
        late, self._late = self._late, []
        if not batch and not late:
            self._woken.clear()
            return 0.0
        granted = await self.ask([one.chat_id for one in batch], late)
        self._offset = granted.offset
        if granted.paused:
            self.pause(granted.paused)
            return 0.0
        last = None
        for one, slot, busy in zip(batch, granted.slots, granted.busy, strict=True):
            if slot is not None:
                last = max(slot, last or slot)
                if one in self._waiting:
                    self._waiting.remove(one)
                asyncio.get_running_loop().call_at(slot - granted.offset, _give_turn, one, slot)
            elif busy > HOLD_SECONDS:
                _tell(one, ChatBusy(busy))
        if not self._waiting:
            return 0.0
        if last is None:
            return ASK_SECONDS
        return max(0.0, last - granted.offset - time.monotonic() - LEAD_SECONDS)

    def _next(self) -> list[_Waiting]:
        """The most urgent, one for each chat; the third to the same chat and later ones wait elsewhere."""
        batch: list[_Waiting] = []
        before: Counter[int] = Counter()
        for one in sorted(self._waiting, key=lambda one: one.order):
            if one.turn.done():
                continue
            if not before[one.chat_id] and len(batch) < AHEAD:
                batch.append(one)
            elif before[one.chat_id] > 1:
                # A little early: it waits for its moment here.
                _tell(one, ChatBusy(max(0.1, before[one.chat_id] * pace.chat_seconds() - 0.8)))
            before[one.chat_id] += 1
        return batch


def _nothing() -> None:
    """Where there is no limit nobody is late."""


def _give_turn(one: _Waiting, slot: float) -> None:
    if not one.turn.done():
        one.turn.set_result(slot)


def _tell(one: _Waiting, error: Exception) -> None:
    if not one.turn.done():
        one.turn.set_exception(error)
