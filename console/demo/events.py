"""Organizers and events of the demo data, and who books, waits and sits on each."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from console.demo import stories, trips
from console.demo.bookings import Teller
from console.demo.crews import seat
from console.demo.organizers import COMPANIES
from console.demo.people import STAFF, People
from console.demo.pictures import Pictures
from console.demo.rows import DAY, HOUR, MINUTE, Sink, begin, stamp, uuid_hex
from console.demo.stories import ENDINGS, QUICK_WAYS, WAYS, Story
from console.demo.trips import Trip

#: Proofs waiting for a review are this old, in minutes.
WAITING_MINUTES = (4, 13, 26, 48, 85, 140, 230, 330, 465, 640, 905, 1190, 1500, 1800)
#: Ways to a confirmed booking that take less than two hours.
QUICK_ENOUGH = (*QUICK_WAYS, "free")
#: The share of the bookings of coming events that were made within the last day.
FRESH = 0.05
FACE_COLORS = ("#0f766e", "#1d4ed8", "#7c3aed", "#b45309", "#be123c", "#475569")
#: Beyond this many events of the pattern, none whose proofs would still be kept takes transfers: a file each.
TRIPS_WITH_FILES = 12


def write_organizers(sink: Sink, rng: Random, pictures: Pictures, base: int) -> dict[str, str]:
    """Adds the organizers with their team, questions and staff; returns their ids by slug."""
    ids, staff = {}, pictures.people.staff
    for company in COMPANIES:
        organizer = ids[company.slug] = uuid_hex(rng)
        made = stamp(base - rng.randrange(1450, 1500) * DAY)
        logo = pictures.portrait("ORGANIZER", organizer, company.name, company.color, made)
        sink.add(
            "event.organizers",
            organizer,
            company.slug,
            company.name,
            logo,
            company.description,
            company.contacts,
            company.color,
            made,
            made,
        )
        for name, role, bio in company.team:
            member = uuid_hex(rng)
            photo = pictures.portrait("TEAM_MEMBER", member, name, rng.choice(FACE_COLORS), made)
            sink.add("event.team_members", member, organizer, name, role, photo, bio, made, made)
        for question, answer in company.faq:
            sink.add("event.faq_items", uuid_hex(rng), organizer, question, answer, made, made)
        for username, _, _, slugs in STAFF:
            if company.slug in slugs:
                sink.add("user.organizer_staff", staff[username], organizer, made)
    return ids


def plan(rng: Random, bookings: int, base: int) -> list[Trip]:
    """Events with `bookings` bookings altogether, those written by hand first."""
    chosen = trips.curated()
    written = sum(trip.bookings for trip in chosen)
    for trip in chosen:
        # Of few bookings, each event has its share.
        trips.shrink(trip, trip.bookings * min(bookings, written) // written)
    left = bookings - sum(trip.bookings for trip in chosen)
    more = []
    while left > 0:
        trip = trips.pattern(rng, left)
        more.append(trip)
        left -= trip.bookings
    for trip in (*chosen, *more):
        _date(trip, rng, base)
    # In the order of time, as a real table grew.
    more.sort(key=lambda trip: trip.start)
    return [*chosen, *more]


def _date(trip: Trip, rng: Random, base: int) -> None:
    """Sets the event's times: `day` from today and `hour` on the clock of the place."""
    zone = ZoneInfo(trips.PLACES[trip.place][4])
    today = datetime.fromtimestamp(base + 12 * HOUR, UTC).date()
    day = trip.day
    if day in (trips.SATURDAY, trips.SUNDAY):
        # A weekend that has begun is not the next one.
        to_saturday = (5 - today.weekday()) % 7 or 7
        day = to_saturday + (day - trips.SATURDAY)
    midnight = datetime.combine(today + timedelta(days=day), datetime.min.time(), zone)
    trip.start = int(midnight.timestamp()) + int(trip.hour * HOUR)
    trip.end = trip.start + int(trip.last_hours * HOUR)
    trip.opened = min(trip.start, base) - rng.randrange(30, 80) * DAY
    if trip.status == "CANCELLED":
        trip.called_off = min(trip.start, base) - rng.randrange(4, 9) * DAY


def write_events(
    sink: Sink, rng: Random, people: People, organizers: dict[str, str], plan: list[Trip]
) -> None:
    """Adds the events; the free seats are what their bookings and offers leave."""
    staff_of = {
        slug: people.staff[username]
        for username, role, _, slugs in STAFF
        for slug in slugs
        if role == "ORGANIZER" and not username.endswith(".former")
    }
    for number, trip in enumerate(plan):
        trip.id, trip.staff = uuid_hex(rng, begin(number, len(plan))), staff_of[trip.company]
        trip.finance = people.staff["faina" if trip.company == "altai-raft" else "fedor"]
        name, address, lat, lon, zone = trips.PLACES[trip.place]
        changed = trip.end + 20 * MINUTE if trip.status == "COMPLETED" else trip.called_off or trip.opened
        sink.add(
            "event.events",
            trip.id,
            organizers[trip.company],
            trip.type,
            trip.title,
            stamp(trip.start),
            stamp(trip.end),
            {"name": name, "address": address, "lat": lat, "lon": lon},
            trip.price,
            trip.capacity,
            trip.capacity - trip.held,
            trip.status,
            zone,
            trip.auto_offers,
            stamp(trip.opened),
            stamp(changed),
        )
        sink.flush_if_large()


def write_bookings(teller: Teller, plan: list[Trip], now: int) -> Iterator[int]:
    """Adds the bookings, waitlists and crews of every event; yields how many bookings there are so far."""
    rng, handmade = teller.rng, len(trips.curated())
    clock = Clock(teller.base, now, rng, cycle(WAITING_MINUTES))
    # Each event's choices are its own: what depends on the hour changes nothing for the others.
    seeds = [rng.getrandbits(64) for _ in plan]
    for number, trip in enumerate(plan):
        rng.seed(seeds[number])
        count = trip.bookings + trip.waiting + trip.offers
        crowd = _crowd(teller.people, rng, trip.opened, count)
        files = trip.end < teller.base - 95 * DAY or number < handmade + TRIPS_WITH_FILES
        ways = list(WAYS) if files else list(QUICK_WAYS)
        weights = [WAYS[way][1] for way in ways]
        seated = []
        for kind in Trip.KINDS:
            for _ in range(getattr(trip, kind)):
                fresh = rng.random() < FRESH and kind == "stays" and trip.start > now
                way = rng.choices(ways, weights)[0] if not fresh else rng.choice(QUICK_WAYS[:2])
                story, made = clock.begin(trip, kind, way if trip.price else "free", fresh)
                person = next(crowd)
                booking = teller.tell(trip, person, story, made)
                if (
                    trip.start - DAY < now
                    and trip.end > teller.base - 20 * DAY
                    and kind in ("stays", "no_show")
                ):
                    teller.remind(trip, person, booking, made)
                if story.status in ("PENDING", "CONFIRMED"):
                    seated.append((booking, person))
        _queue(teller, trip, crowd, now)
        if trip.crews:
            seat(teller, trip, seated, now)
        if number % 50 == 49:
            teller.sink.flush_if_large()
            yield teller.told
    rng.seed(sum(seeds))
    yield teller.told


def _crowd(people: People, rng: Random, opened: int, count: int) -> Iterator[int]:
    """So many different people who had an account when the event opened, most of them not for long."""
    ready = min(len(people.ids), max(bisect_left(people.created, opened), 2 * count))
    newest = max(3 * count, len(people.ids) // 6)
    return iter(rng.sample(range(max(0, ready - newest), ready), count))


@dataclass
class Clock:
    """Decides what becomes of a booking, and when it began: its steps are over by now, its hold, if any, is not."""

    base: int
    now: int
    rng: Random
    #: How long ago, in minutes, the next proof in review was sent.
    ages: Iterator[int]

    def begin(self, trip: Trip, kind: str, way: str, fresh: bool) -> tuple[Story, int]:
        """The story of a booking of this kind, and its first moment. `fresh`: made within the last day."""
        rng = self.rng
        if kind == "review":
            age = next(self.ages)
            story = stories.IN_REVIEW if age < 24 * 60 else stories.IN_LONG_REVIEW
            return story, self.now - age * MINUTE - stories.SENT_AFTER
        if kind == "rejected":
            return stories.REFUSED, self.now - rng.randrange(29, 44) * MINUTE
        if kind == "pending":
            story = rng.choice((stories.HELD, stories.HELD_CARD, stories.HELD_LONGER))
            minutes_ago = rng.randrange(1, 18) if story is not stories.HELD_LONGER else rng.randrange(20, 600)
            return story, self.now - minutes_ago * MINUTE
        if kind == "no_seat":
            return stories.NO_SEAT, self.base - rng.randrange(2, 140) * HOUR
        story = self._ending(trip, kind, way)
        if fresh:
            return story, self.now - rng.randrange(20, 20 * 60) * MINUTE
        limit = trip.called_off or min(trip.start, self.base)
        # The slowest story of a booking that stays takes two days, of one that leaves nearly five.
        if kind == "cancelled" and not trip.called_off:
            limit -= 5 * DAY
        else:
            limit -= 2 * HOUR if way in QUICK_ENOUGH else 2 * DAY
        return story, trip.opened + int((limit - trip.opened) * rng.random() ** 0.7)

    def _ending(self, trip: Trip, kind: str, way: str) -> Story:
        endings, dice = ENDINGS[way], self.rng.random()
        # What was paid for an event that is over has been given back.
        if kind == "expired":
            return (stories.LAPSED, stories.LAPSED_CARD, stories.DECLINED)[int(dice * 2.5)]
        if kind == "stays" and trip.status == "COMPLETED":
            kind = "completed"
        elif kind == "cancelled" and trip.called_off:
            kind = "called_off_owed" if dice < 0.3 and trip.end > self.base else "called_off"
        elif kind == "cancelled":
            if way != "free" and dice < 0.4:
                return stories.UNPAID
            kind = "owed" if dice > 0.85 and trip.start > self.base else "refunded"
        return endings[kind]


def _queue(teller: Teller, trip: Trip, crowd: Iterator[int], now: int) -> None:
    """Adds the waitlist: the first have a live offer of a seat, the others wait."""
    sink, rng, people = teller.sink, teller.rng, teller.people
    for place in range(trip.offers + trip.waiting):
        person, entry = next(crowd), uuid_hex(rng)
        user, priority = people.ids[person], (place + 1) * 10
        joined = stamp(now - (30 - place) * 7 * HOUR // 2)
        offered, lapses = None, None
        if place < trip.offers:
            at = now - rng.randrange(3, 9) * MINUTE
            offered, lapses = stamp(at), stamp(at + 30 * MINUTE)
            facts = {"event_id": trip.id, "user_id": user, "priority": priority, "expires_at": lapses}
            sink.add(
                "user.audit_log",
                uuid_hex(rng),
                None,
                "waitlist.offer",
                "event.waitlist",
                entry,
                facts,
                offered,
            )
            teller.notice(
                person,
                "WAITLIST_AVAILABLE",
                trip,
                facts={"entry_id": str(UUID(entry)), "expires_at": f"{lapses}+00:00"},
                at=at,
            )
        elif place == trip.offers + 1 and trip.offers and person not in people.choosy:
            # Whom automatic offers pass over.
            people.choosy.add(person)
            for channel in ("TELEGRAM", "EMAIL"):
                sink.add(
                    "notification.notification_prefs",
                    user,
                    "WAITLIST_AVAILABLE",
                    channel,
                    False,
                    joined,
                    joined,
                )
        sink.add("event.waitlist", entry, trip.id, user, priority, offered, lapses, joined, offered or joined)
