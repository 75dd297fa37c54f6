"""Delivery of the outbox: leased notices go out side by side, and each result is written as it comes.

Telegram first, e-mail when there is no chat that can be written to. What happens outside has a deadline and
holds no transaction open; the lease is renewed meanwhile. Whoever is slow takes one place of many: the others
pass by. Results that come while one is being written are written together after it, each by the token of its
own lease; a place is free again when its result is committed.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from console.db import transaction
from console.errors import N_
from console.gateways import email, telegram
from console.services import addressing, bot_calls, leases, notices, pace, sent_texts
from console.services.addressing import Plan
from console.services.bot_calls import Call
from console.services.gate import Gate, NotNow, Paused
from console.services.leases import Lease, Result
from console.services.notices import Notice
from console.services.results import Outcome, Results, surely
from console.services.sent_texts import Sent
from console.states import Channel, OutboxStatus

log = logging.getLogger(__name__)

#: Sent by Telegram at the same time.
SLOTS = 100
#: Beside those on their way, so many are ready, so that no place is empty while the next are looked for.
READY = 100
#: Ready for the bot when it has a limit: the fewer, the sooner it is the turn of what is urgent.
READY_FOR_BOT = 30
#: Ready for the mail server.
READY_FOR_MAIL = 60
#: While notices are on their way, more are looked for this often, or when there are places.
LOOK_SECONDS = 0.5
#: Looked at when the mail server has enough to do: the next one may go by Telegram.
GLIMPSE = 20
#: Put off at a time while a channel is silent.
POSTPONED = 2000
#: What waits no longer than this is waited for.
LINGER_SECONDS = 5.0
#: Renewed this many times while a lease lasts, so that a hiccup loses none.
RENEWALS = 4
#: Calls of the bot that are taken at a time.
CALLS = 20

T = TypeVar("T")
#: Leases at most so many notices, only what may be sent beside others unless `alone`.
Look = Callable[[int, bool], list[Lease]]

BLOCKED = N_("The chat with the bot cannot be written to, and there is no e-mail address")
TURN = N_("Other messages to the same chat go first")
FLOOD = N_("Telegram asks to wait")
MAIL_AWAY = N_("The mail server does not answer")


def deliver(taken: list[Lease]) -> Counter[str]:
    """Sends leased notices and settles each; returns how many ended in which state, "lost" being lost leases.

    Opens transactions of its own: call it outside of one.
    """
    return asyncio.run(_Delivery(lambda *_: [], _over=True).run(taken))


def drain(until: float, stop: Callable[[], bool] = lambda: False) -> Counter[str]:
    """Leases and sends what is due until nothing is, taking nothing new when it is `until` (monotonic).

    It also ends early when `stop` says so. Counts as `deliver` does, with "left" for ending early. Opens
    transactions of its own: call it outside of one.
    """

    def look(limit: int, alone: bool) -> list[Lease]:
        if time.monotonic() >= until or stop():
            raise _Over
        return leases.lease(limit, alone=alone)

    return asyncio.run(_Delivery(look).run([]))


def warm_up() -> None:
    """Does once, for no notice at all, what a delivery does first; what it writes is to be rolled back."""
    leases.lease(0)
    addressing.look_up([])
    notices.warm_up()
    leases.settle_all([])
    pace.reserve([])
    pace.paused_seconds()
    bot_calls.take(0)


class _Over(Exception):
    """No time is left to take more."""


@dataclass
class _Delivery:
    """One run of a worker: what is on its way, when to look for more. Times are on the monotonic clock."""

    look: Look
    ended: Counter[str] = field(default_factory=Counter)
    #: What is on its way, with its lease; a call of the bot has none.
    _sends: dict["asyncio.Task[None]", Lease | None] = field(default_factory=dict)
    #: Until when the lease of a notice surely holds.
    _good_until: dict[UUID, float] = field(default_factory=dict)
    _mails: int = 0
    _mail_away_until: float = 0.0
    #: Something that was put off is due soon: the run does not end before.
    _linger_until: float = 0.0
    _over: bool = False
    #: The last look brought as much as it might: there is more.
    _full: bool = True

    async def run(self, taken: list[Lease]) -> Counter[str]:
        self._lane = asyncio.Lock()
        self._slots = asyncio.Semaphore(SLOTS)
        self._results = Results(self._database)
        self.gate = Gate(self._reserve, pace.limited())
        try:
            async with telegram.bot() as self.bot, email.post() as self.post:
                self._start(await self._database(lambda: _planned(taken)))
                return await self._loop()
        finally:
            await self.gate.close()

    async def _loop(self) -> Counter[str]:
        looked = renewed = 0.0
        while True:
            now = time.monotonic()
            if self._sends and now - renewed >= leases.LEASE_SECONDS / RENEWALS:
                renewed = now
                await self._renew()
            if not self._over and self._may_look(now - looked):
                looked = now
                await self._take()
            if not self._sends:
                if self._over or (not self._full and time.monotonic() >= self._linger_until):
                    return self.ended
                await asyncio.sleep(0 if self._full else 0.05)
                continue
            await asyncio.wait(self._sends, timeout=LOOK_SECONDS / 5, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in self._sends if task.done()]:
                lease = self._sends.pop(task)
                if lease is not None:
                    self._good_until.pop(lease.id, None)
                task.result()

    # Taking

    def _room(self) -> int:
        room = SLOTS + READY - len(self._sends)
        if self.gate.limited:
            room = min(room, READY_FOR_BOT - self.gate.waiting)
        return max(0, room)

    def _may_look(self, seconds: float) -> bool:
        if any(lease and lease.is_suspect for lease in self._sends.values()):
            return False
        if seconds >= LOOK_SECONDS or (not self._sends and seconds >= 0.05):
            return True
        busy = self._mails >= READY_FOR_MAIL or self.gate.paused_seconds
        return self._full and not busy and self._room() >= (READY_FOR_BOT if self.gate.limited else READY) / 2

    async def _take(self) -> None:
        room, alone = self._room(), not self._sends
        if self._mails >= READY_FOR_MAIL:
            room = min(room, GLIMPSE)
        silent = self._silent()
        looked_at = time.monotonic()

        def take() -> tuple[list[Lease], list[Call], float]:
            with transaction():
                for by_telegram, seconds, reason in silent:
                    leases.postpone(seconds, by_telegram=by_telegram, reason=reason, limit=POSTPONED)
                taken = self.look(room, alone) if room else []
                return taken, bot_calls.take(CALLS), pace.paused_seconds()

        try:
            taken, calls, paused = await self._database(take)
        except _Over:
            self._over = True
            self.ended["left"] += 1
            return
        plans = await self._database(lambda: _planned(taken))
        if paused > self.gate.paused_seconds:
            self.gate.pause(paused)
        self._full = bool(room) and len(taken) >= room
        self._start(plans, looked_at)
        for call in calls:
            self._sends[asyncio.create_task(self._answer(call))] = None

    def _silent(self) -> list[tuple[bool, float, str]]:
        """The channels nothing can go by for now: by Telegram or not, for how long, and why."""
        found = []
        if self.gate.paused_seconds > 0.5:
            found.append((True, self.gate.paused_seconds, FLOOD))
        if (away := self._mail_away_until - time.monotonic()) > 0.5:
            found.append((False, away, MAIL_AWAY))
        return found

    def _start(self, plans: Sequence[Plan], since: float | None = None) -> None:
        good_until = (since or time.monotonic()) + leases.LEASE_SECONDS
        for plan in plans:
            self._good_until[plan.lease.id] = good_until
            self._sends[asyncio.create_task(self._finish(plan))] = plan.lease

    async def _renew(self) -> None:
        held = [lease for lease in self._sends.values() if lease is not None]
        since = time.monotonic()
        if held:
            await self._database(lambda: _renewed(held))
        for lease in held:
            # Whose lease was lost meanwhile learns it when it settles.
            if self._good_until.get(lease.id, 0.0) > since:
                self._good_until[lease.id] = since + leases.LEASE_SECONDS

    async def _reserve(self, chats: Sequence[int], late: Sequence[pace.Late]) -> pace.Granted:
        def reserve() -> pace.Granted:
            with transaction():
                return pace.reserve(chats, late)

        return await self._database(reserve)

    # Sending

    async def _finish(self, plan: Plan) -> None:
        """One notice on its way, until what became of it is written."""
        if plan.ended:
            outcome = Outcome(plan.ended)
        else:
            try:
                outcome = await self._try_channels(plan)
            except _LeaseOver:
                self.ended["lost"] += 1
                return
            except (DBAPIError, asyncio.CancelledError):
                raise
            except Exception as error:
                log.exception("notice %s", plan.lease.id)
                outcome = Outcome(leases.again(plan.lease, reason=type(error).__name__))
        if outcome.pause_seconds:
            self.gate.pause(outcome.pause_seconds)
        kept = await self._results.write(outcome)
        result = outcome.result
        is_put_off = result.reason in (TURN, FLOOD) or outcome.pause_seconds
        if is_put_off and result.wait_seconds <= LINGER_SECONDS:
            self._linger_until = max(self._linger_until, time.monotonic() + result.wait_seconds + 0.2)
        self.ended[result.status.lower() if kept else "lost"] += 1

    async def _try_channels(self, plan: Plan) -> Outcome:
        lease = plan.lease
        if plan.chat_id is None:
            assert plan.mail_text is not None
            return await self._send_mail(plan, plan.mail_text)
        try:
            said = await self._send_to_chat(plan, plan.chat_id)
            return Outcome(Result(lease, OutboxStatus.SENT, Channel.TELEGRAM, text=said))
        except telegram.Unreachable:
            return await self._fall_back(plan)
        except (telegram.TelegramError, NotNow) as error:
            return _not_sent(lease, error)

    async def _send_to_chat(self, plan: Plan, chat_id: int) -> Sent:
        notice, keyboard = plan.chat_text, plan.keyboard
        assert notice is not None
        try:
            await self._through_the_gate(plan, chat_id, notice.html, html=True, keyboard=keyboard)
        except telegram.CannotParse:
            keyboard = ()
            await self._through_the_gate(plan, chat_id, notice.text, html=False, keyboard=keyboard)
        return sent_texts.sent(str(chat_id), notice, keyboard)

    async def _through_the_gate(
        self, plan: Plan, chat_id: int, text: str, *, html: bool, keyboard: telegram.Keyboard
    ) -> None:
        gone = await self.gate.turn(chat_id, can_wait=plan.lease.can_wait)
        async with self._slots:
            self._check_lease(plan.lease)
            if self.gate.paused_seconds:
                raise Paused(self.gate.paused_seconds)
            await self.bot.send(chat_id, text, html=html, keyboard=keyboard, written=gone)

    async def _fall_back(self, plan: Plan) -> Outcome:
        """By e-mail, because the chat is out of reach."""
        if plan.address is None:
            skipped = Result(plan.lease, OutboxStatus.SKIPPED, reason=BLOCKED)
            return Outcome(skipped, lost_chat_id=plan.chat_id)
        try:
            text = await self._database(lambda: _mail_text(plan))
        except DBAPIError:
            raise
        except Exception as error:
            log.exception("text of notice %s", plan.lease.id)
            return Outcome(addressing.unwritable(plan.lease, error), lost_chat_id=plan.chat_id)
        return replace(await self._send_mail(plan, text), lost_chat_id=plan.chat_id)

    async def _send_mail(self, plan: Plan, notice: Notice) -> Outcome:
        assert plan.address is not None
        lease, away = plan.lease, self._mail_away_until - time.monotonic()
        if away > 0 or self._mails >= READY_FOR_MAIL:
            return Outcome(leases.again(lease, reason=MAIL_AWAY, after_seconds=max(away, LINGER_SECONDS)))
        self._mails += 1
        try:
            await self.post.send(
                plan.address,
                subject=notice.subject,
                text=notice.text,
                html=notice.html,
                message_id=str(lease.id),
                check=lambda: self._check_lease(lease),
            )
        except email.Away as error:
            # The others would only wait for it as long.
            self._mail_away_until = time.monotonic() + email.AWAY_SECONDS
            return Outcome(leases.again(lease, reason=str(error)))
        except email.Unavailable as error:
            return Outcome(leases.again(lease, reason=str(error)))
        except email.EmailError as error:
            return Outcome(Result(lease, OutboxStatus.FAILED, Channel.EMAIL, str(error)))
        finally:
            self._mails -= 1
        said = sent_texts.sent(plan.address, notice)
        return Outcome(Result(lease, OutboxStatus.SENT, Channel.EMAIL, text=said))

    def _check_lease(self, lease: Lease) -> None:
        """Raises _LeaseOver for what another worker may have by now: nothing is begun that may be double."""
        if time.monotonic() >= self._good_until.get(lease.id, 0.0):
            raise _LeaseOver

    async def _answer(self, call: Call) -> None:
        """Makes a call of the bot; one that got no answer is found again by whoever looks."""
        try:
            gone = await self.gate.turn(call.chat_id) if call.chat_id is not None else None
            await self.bot.call(call.method, call.parameters, written=gone)
        except (NotNow, telegram.Unavailable) as error:
            log.info("call %s of the bot: %s", call.method, error)
            return
        except telegram.Flood as error:
            seconds = error.retry_after
            self.gate.pause(seconds)
            await self._database(lambda: _paused(seconds))
            return
        except telegram.TelegramError as error:
            log.info("call %s of the bot refused: %s", call.method, error)
        await self._database(lambda: _call_ended(call))

    async def _database(self, work: Callable[[], T]) -> T:
        """What `work` returns; one at a time, because the session is one, and beside the event loop."""
        async with self._lane:
            return await asyncio.to_thread(surely, work)


class _LeaseOver(Exception):
    """Another worker may have the row by now."""


def _not_sent(lease: Lease, error: Exception) -> Outcome:
    """What becomes of a message that Telegram, or the gate before it, did not take."""
    if isinstance(error, telegram.Flood):
        again = leases.again(lease, reason=str(error), after_seconds=error.retry_after)
        return Outcome(again, pause_seconds=error.retry_after)
    if isinstance(error, NotNow):
        reason = FLOOD if isinstance(error, Paused) else TURN
        return Outcome(leases.again(lease, reason=reason, after_seconds=error.seconds))
    if isinstance(error, telegram.Unavailable):
        return Outcome(leases.again(lease, reason=str(error)))
    return Outcome(Result(lease, OutboxStatus.FAILED, Channel.TELEGRAM, str(error)))


def _planned(taken: list[Lease]) -> list[Plan]:
    with transaction():
        return addressing.plan_all(taken)


def _mail_text(plan: Plan) -> Notice:
    with transaction():
        return addressing.mail_text(plan)


def _renewed(held: Collection[Lease]) -> None:
    with transaction():
        leases.renew(held)


def _call_ended(call: Call) -> None:
    with transaction():
        bot_calls.end(call.id)


def _paused(seconds: float) -> None:
    with transaction():
        pace.pause(seconds)
