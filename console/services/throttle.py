"""How often one may try to sign in, or send a proof: per account or link, per address, and all together.

Redis counts for the whole console. While it is away each process counts for itself, with stricter numbers:
several processes together then let through about as much as Redis did. Each process counts beside Redis all
the time, so a Redis that forgets hands nobody a fresh set of guesses.
"""

import hashlib
import ipaddress
import logging
import math
import threading
import time
from dataclasses import dataclass

from limits.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from console.errors import TooManyAttempts

log = logging.getLogger(__name__)

#: A Redis that did not answer is not asked again for this long: only one sign-in in that time waits for it.
PAUSE_SECONDS = 10
#: And that one waits no longer than this.
TIMEOUT_SECONDS = 0.5


@dataclass(frozen=True)
class Rule:
    """At most `attempts` in the `seconds` that begin with the first one."""

    name: str
    attempts: int
    #: In one process, while Redis is away.
    attempts_alone: int
    seconds: int


#: Ten guesses a quarter of an hour are a million in thirty years.
ACCOUNT = Rule("account", 10, 4, 15 * 60)
#: A browser that has signed in to this account before is counted apart from strangers: whoever fills
#: the account's count from elsewhere does not lock its owner out.
DEVICE = Rule("device", 10, 4, 15 * 60)
#: An office behind one address mistypes more often than one person.
ADDRESS = Rule("address", 30, 10, 15 * 60)
#: Each guess costs about 70 ms of a core.
OVERALL = Rule("overall", 300, 80, 5 * 60)


class Throttle:
    """The counts of one process and, through Redis, of all."""

    def __init__(self, redis_url: str) -> None:
        # The pool opens no connection before the first count.
        self._redis = RedisStorage(
            redis_url,
            key_prefix="crewdeck:sign-in",
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
        )
        self._own = Counts()
        self._away_until = 0.0

    def attempt(self, username: str, address: str, device: str | None = None) -> "Attempt":
        """Counts an attempt before it is made, so that many at once cannot slip through together.

        `device` names a browser known to belong to the account. Raises TooManyAttempts with the minutes to
        wait. Call `succeeded` on the result when it was no guess.
        """
        account = (DEVICE, device) if device else (ACCOUNT, username.casefold())
        # One address or account that is over its limit uses nothing up of what all share.
        counts = [(ADDRESS, _network(address)), account]
        if not device:
            counts.append((OVERALL, ""))
        keys = [(rule, _key(rule, name)) for rule, name in counts]
        for rule, key in keys:
            self._count(rule, key)
        return Attempt(self, keys)

    def count(self, rule: Rule, name: str) -> None:
        """Counts one of whatever `rule` is about. Raises TooManyAttempts with the minutes to wait."""
        self._count(rule, _key(rule, name))

    def count_address(self, rule: Rule, address: str) -> None:
        """The same by network address: IPv6 by its /64. Raises TooManyAttempts."""
        self.count(rule, _network(address))

    def _count(self, rule: Rule, key: str) -> None:
        own = self._own.add(key, rule.seconds)
        everywhere = self._ask(rule, key, 1)
        limit = rule.attempts_alone if everywhere is None else rule.attempts
        if max(own, everywhere or 0) > limit:
            log.warning("throttled by %s", rule.name)
            raise TooManyAttempts(minutes=self._minutes(rule, key))

    def _ask(self, rule: Rule, key: str, amount: int) -> int | None:
        """The count in Redis after adding `amount`, or None when Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return self._redis.incr(key, rule.seconds, amount)
        except RedisError as error:
            self._away_until = time.monotonic() + PAUSE_SECONDS
            log.warning("sign-ins are counted without Redis: %s", type(error).__name__)
            return None

    def _minutes(self, rule: Rule, key: str) -> int:
        seconds = self._own.seconds_left(key)
        if time.monotonic() >= self._away_until:
            try:
                seconds = max(seconds, self._redis.get_expiry(key) - time.time())
            except RedisError:
                self._away_until = time.monotonic() + PAUSE_SECONDS
        return min(max(1, math.ceil(seconds / 60)), rule.seconds // 60)

    def take_back(self, rule: Rule, key: str) -> None:
        """Undoes a count: all of an account's guesses, one attempt of what is shared."""
        if rule in (ACCOUNT, DEVICE):
            self._own.forget(key)
            amount = None
        else:
            self._own.add(key, rule.seconds, -1)
            amount = -1
        if time.monotonic() < self._away_until:
            return
        try:
            if amount is None:
                self._redis.clear(key)
            else:
                self._redis.incr(key, rule.seconds, amount)
        except RedisError:
            self._away_until = time.monotonic() + PAUSE_SECONDS


class Counts:
    """The counts of one process; each ends some time after it began. Threads may share it.

    limits' own storage in memory loses counts between threads.
    """

    #: From here on, counts that ended are dropped before a new one is made.
    MANY = 10_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}

    def add(self, key: str, seconds: float, amount: int = 1) -> int:
        """The count after adding `amount`; a new one ends in `seconds`."""
        now = time.monotonic()
        with self._lock:
            count, ends = self._counts.get(key, (0, 0.0))
            if ends <= now:
                count, ends = 0, now + seconds
                if len(self._counts) >= self.MANY:
                    self._counts = {k: v for k, v in self._counts.items() if v[1] > now}
            count = max(0, count + amount)
            self._counts[key] = (count, ends)
            return count

    def seconds_left(self, key: str) -> float:
        return max(0.0, self._counts.get(key, (0, 0.0))[1] - time.monotonic())

    def forget(self, key: str) -> None:
        with self._lock:
            self._counts.pop(key, None)


@dataclass(frozen=True)
class Attempt:
    """One attempt, already counted."""

    throttle: Throttle
    keys: list[tuple[Rule, str]]

    def succeeded(self) -> None:
        """Forgets the guesses on this account, and that its address tried."""
        for rule, key in self.keys:
            self.throttle.take_back(rule, key)


def _network(address: str) -> str:
    """An IPv6 address as its /64: whoever holds one address of it holds them all."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip.packed[:8] + bytes(8), 64)))


def _key(rule: Rule, name: str) -> str:
    """A key that tells nobody the name: people type their password into the wrong field."""
    return f"{rule.name}:{hashlib.sha256(name.encode()).hexdigest()[:32]}"
