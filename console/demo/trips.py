"""The events of the demo data: those written by hand, and the pattern of thousands more."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

#: Name, address, latitude, longitude, time zone.
PLACES = {
    "chemal": ("Чемал", "Республика Алтай, Чемальский район", 51.4113, 86.0045, "Asia/Barnaul"),
    "aktash": ("Акташ", "Республика Алтай, Улаганский район", 50.3172, 87.6117, "Asia/Barnaul"),
    "chulyshman": ("Долина Чулышмана", "Республика Алтай, Балыкча", 51.2919, 87.7353, "Asia/Barnaul"),
    "shuya": (
        "Река Шуя, порог Большой Толли",
        "Карелия, Прионежский район",
        61.9136,
        33.9772,
        "Europe/Moscow",
    ),
    "ladoga": (
        "Ладожские шхеры, Лумиваара",
        "Карелия, Лахденпохский район",
        61.4156,
        30.1447,
        "Europe/Moscow",
    ),
    "onego": ("Онежское озеро, Бесов Нос", "Карелия, Пудожский район", 61.6697, 36.0489, "Europe/Moscow"),
    "kandalaksha": ("Kandalaksha Bay", "Murmansk Oblast, Luvenga", 67.1036, 32.6917, "Europe/Moscow"),
    "rybachy": (
        "Rybachy Peninsula",
        "Murmansk Oblast, Pechengsky District",
        69.7167,
        32.5667,
        "Europe/Moscow",
    ),
    "murmansk": ("Kayak North boathouse", "Murmansk, Portovy proezd 25", 68.9707, 33.0583, "Europe/Moscow"),
    "listvyanka": ("Листвянка", "Иркутская область, ул. Горького, 39", 51.8681, 104.8256, "Asia/Irkutsk"),
    "olkhon": (
        "Ольхон, бухта Сарма",
        "Иркутская область, Ольхонский район",
        53.1042,
        106.8267,
        "Asia/Irkutsk",
    ),
    "kultuk": ("Култук — Старая Ангасолка", "Иркутская область, КБЖД", 51.7219, 103.7083, "Asia/Irkutsk"),
    "kosa": (
        "Дом у залива, большой зал",
        "Калининградская область, Рыбачий",
        55.1531,
        20.8528,
        "Europe/Kaliningrad",
    ),
    "kosa_terrace": (
        "Дом у залива, терраса",
        "Калининградская область, Рыбачий",
        55.1531,
        20.8528,
        "Europe/Kaliningrad",
    ),
}

#: The next Saturday and Sunday, whatever the day.
SATURDAY, SUNDAY = 10_001, 10_002


@dataclass
class Trip:
    """An event to be. `day` counts from today, `hour` is local, `last_hours` its length.

    The numbers below `status` are bookings of each kind (see stories.py); they hold a seat down to `review`.
    """

    company: str
    type: str
    title: str
    place: str
    day: int
    hour: float
    last_hours: float
    price: int
    capacity: int
    status: str = "PUBLISHED"
    stays: int = 0
    no_show: int = 0
    pending: int = 0
    rejected: int = 0
    review: int = 0
    expired: int = 0
    cancelled: int = 0
    no_seat: int = 0
    waiting: int = 0
    offers: int = 0
    auto_offers: bool = True
    #: Crew type, how many, capacity of each, share of the people already placed.
    crews: tuple[tuple[str, int, int, float], ...] = ()
    #: Filled in when it is written; times in epoch seconds, ids of who works on it.
    id: str = ""
    start: int = 0
    end: int = 0
    opened: int = 0
    called_off: int = 0
    staff: str = ""
    finance: str = ""

    KINDS: ClassVar = ("stays", "no_show", "pending", "rejected", "review", "expired", "cancelled", "no_seat")

    @property
    def bookings(self) -> int:
        return sum(getattr(self, kind) for kind in self.KINDS)

    @property
    def held(self) -> int:
        """Seats held by bookings and by live offers."""
        if self.status == "CANCELLED":
            return 0
        return self.stays + self.no_show + self.pending + self.rejected + self.review + self.offers


def curated() -> list[Trip]:
    """The events that a newcomer sees first."""
    return [
        # Over.
        Trip("altai-raft", "camp", "Детский лагерь «Белая вода», третья смена", "chemal", -75, 11, 240, 42000, 36,
             stays=25, no_show=1, expired=2, cancelled=2, status="COMPLETED"),
        Trip("altai-raft", "rafting", "Сплав по Катуни: Аргутское кольцо", "chemal", -45, 9, 80, 28500, 18,
             stays=14, no_show=1, expired=2, cancelled=2, status="COMPLETED"),
        Trip("karelia-paddles", "kayak", "Шхеры Ладоги на каяках", "ladoga", -30, 10, 32, 9800, 16,
             stays=11, no_show=1, expired=3, cancelled=1, status="COMPLETED"),
        Trip("kayak-north", "kayak", "White Sea: belugas and silence", "kandalaksha", -12, 9, 56, 34000, 8,
             stays=7, expired=1, cancelled=1, status="COMPLETED"),
        Trip("baikal-trails", "hike", "Большая Байкальская тропа: Листвянка — Большие Коты", "listvyanka", -8, 8, 10, 0, 24,
             stays=14, no_show=3, cancelled=2, status="COMPLETED"),
        Trip("dom-u-zaliva", "banquet", "Ужин на берегу: неделя копчёного угря", "kosa_terrace", -3, 19, 4, 5400, 32,
             stays=18, no_show=2, expired=1, cancelled=1, status="COMPLETED"),
        Trip("karelia-paddles", "rafting", "Ночной сплав по Шуе", "shuya", 6, 20, 8, 6900, 14,
             status="CANCELLED", cancelled=8, expired=1),
        # Now.
        Trip("altai-raft", "rafting", "Катунь без спешки", "chemal", -1, 9, 58, 18500, 18,
             stays=18, expired=2, cancelled=1, waiting=3,
             crews=(("CREW", 3, 6, 1), ("TENT", 6, 3, 1), ("BUS", 1, 18, 1))),
        Trip("kayak-north", "kayak", "A day on the Kola inlet", "murmansk", 0, 9.5, 10, 4200, 10,
             stays=8, review=1, expired=1, crews=(("CREW", 5, 2, 0.8),)),
        Trip("dom-u-zaliva", "banquet", "Банкет клуба путешественников", "kosa", 0, 19, 5, 7200, 40,
             stays=23, review=1, cancelled=2, crews=(("TABLE", 5, 8, 0.75),)),
        # This weekend.
        Trip("karelia-paddles", "rafting", "Шуя за выходные: рафтинг для компаний", "shuya", SATURDAY, 10, 30, 7900, 20,
             stays=14, pending=2, review=2, rejected=1, expired=3, cancelled=1, no_seat=1, waiting=6, offers=1,
             crews=(("CREW", 4, 6, 0.6), ("TENT", 7, 3, 0.5), ("BUS", 1, 20, 0.9))),
        Trip("altai-raft", "rafting", "Семейный сплав: тихая вода", "chemal", SUNDAY, 10, 7, 3900, 14,
             stays=6, pending=1, review=1, expired=1, crews=(("CREW", 2, 7, 0),)),
        Trip("baikal-trails", "hike", "Прогулка на Камень Черского", "listvyanka", SATURDAY, 9, 6, 0, 20,
             stays=13, cancelled=2, crews=(("BUS", 1, 20, 0.7),)),
        # Soon.
        Trip("kayak-north", "kayak", "Open evening: how to dress for cold water", "murmansk", 4, 18.5, 2, 0, 12,
             stays=11, cancelled=1, waiting=4, offers=1),
        Trip("karelia-paddles", "camp", "Школа каяка: первая ступень", "ladoga", 12, 10, 56, 14900, 16,
             stays=8, pending=2, review=3, rejected=1, expired=2, cancelled=1, crews=(("CREW", 8, 2, 0.3), ("TENT", 5, 3, 0.2))),
        Trip("kayak-north", "kayak", "Barents Sea expedition: around Rybachy", "rybachy", 20, 8, 200, 89000, 8,
             stays=6, review=1, expired=1, waiting=4, auto_offers=False, crews=(("CREW", 8, 1, 0.5), ("TENT", 4, 2, 0.5))),
        Trip("baikal-trails", "camp", "Ольхон: лагерь у Сармы", "olkhon", 25, 12, 120, 21000, 30,
             stays=10, pending=1, review=1, expired=2, cancelled=1, crews=(("TENT", 8, 4, 0.3),)),
        Trip("dom-u-zaliva", "banquet", "Вечер сыра и вина", "kosa_terrace", 33, 18, 5, 6800, 48,
             stays=19, pending=1, review=1, cancelled=1, crews=(("TABLE", 6, 8, 0.4),)),
        Trip("altai-raft", "rafting", "Чуйская неделя: пороги Мажоя", "aktash", 60, 9, 150, 54000, 24,
             stays=8, review=2, rejected=1, expired=1, cancelled=1),
        Trip("altai-raft", "hike", "Чулышман: тропа к Учару", "chulyshman", 48, 8, 100, 31000, 12,
             stays=5, pending=1, expired=1),
        # Not yet open.
        Trip("altai-raft", "rafting", "Большая вода: майские на Катуни", "chemal", 160, 9, 100, 26500, 30, status="DRAFT"),
        Trip("karelia-paddles", "kayak", "Онего: петроглифы Бесова Носа", "onego", 95, 9, 80, 23900, 10, status="DRAFT"),
        Trip("kayak-north", "hike", "Winter coast walk with northern lights", "rybachy", 75, 15, 28, 17500, 9, status="DRAFT"),
    ]  # fmt: skip


#: Company, type, titles, places, price from and to (0: free), capacity from and to, hours.
PATTERNS = (
    ("altai-raft", "rafting", ("Катунь: от Усть-Коксы до Чемала", "Сплав выходного дня", "Чуя: первые пороги",
                               "Рафтинг для компаний", "Катунь на закате"), ("chemal", "aktash"), (3500, 29000), (12, 60), 30),
    ("altai-raft", "hike", ("Чулышман: тропа к Учару", "К Каракольским озёрам", "Пешком на Курайку"),
     ("chulyshman", "aktash"), (9000, 34000), (8, 24), 100),
    ("karelia-paddles", "kayak", ("Шхеры Ладоги на каяках", "Каяк на рассвете", "Два дня на Ладоге", "Кижские шхеры"),
     ("ladoga", "onego"), (2900, 16000), (8, 30), 30),
    ("karelia-paddles", "rafting", ("Шуя за выходные", "Рафтинг на Шуе", "Шуя: большая вода"), ("shuya",), (2500, 8900), (14, 70), 9),
    ("kayak-north", "kayak", ("Morning paddle with coffee", "White Sea weekend", "Paddle to the islands", "Rescue clinic"),
     ("kandalaksha", "murmansk"), (3900, 38000), (8, 16), 26),
    ("baikal-trails", "hike", ("Прогулка на Камень Черского", "Кругобайкалка пешком", "Листвянка — Большие Коты"),
     ("listvyanka", "kultuk"), (0, 0), (16, 60), 8),
    ("baikal-trails", "camp", ("Ольхон: лагерь у Сармы", "Волонтёрская неделя на тропе"), ("olkhon", "kultuk"), (9000, 26000), (20, 80), 130),
    ("dom-u-zaliva", "banquet", ("Ужин на берегу", "Вечер на террасе", "Рыбный рынок и ужин", "Летний банкет"),
     ("kosa", "kosa_terrace"), (2900, 9800), (24, 120), 5),
)  # fmt: skip


def pattern(rng: Random, bookings_left: int) -> Trip:
    """One more event, most likely over, with at most `bookings_left` bookings."""
    company, kind, titles, places, prices, sizes, hours = rng.choice(PATTERNS)
    day = rng.randrange(-1400, -4) if rng.random() < 0.88 else rng.randrange(3, 170)
    trip = Trip(
        company,
        kind,
        rng.choice(titles),
        rng.choice(places),
        day - hours // 24 if day < 0 else day,
        rng.choice((8, 9, 9.5, 10, 12)) if kind != "banquet" else rng.choice((17, 18, 19)),
        hours,
        rng.randrange(prices[0], prices[1] + 1, 100) if prices[1] else 0,
        rng.randrange(sizes[0], sizes[1] + 1, 2),
        status="COMPLETED" if day < 0 else "PUBLISHED",
    )
    fill = rng.choice((1, 1, 0.95, 0.9, 0.8, 0.7, 0.5))
    trip.stays = held = max(1, int(trip.capacity * fill))
    trip.cancelled, trip.expired = int(held * rng.uniform(0.03, 0.14)), int(held * rng.uniform(0.06, 0.2))
    if not trip.price:
        trip.expired = 0
    if rng.random() < 0.05:
        trip.status, trip.cancelled, trip.stays = "CANCELLED", trip.cancelled + held, 0
    elif day < 0:
        trip.no_show = int(held * rng.uniform(0, 0.09))
        trip.stays -= trip.no_show
    else:
        if trip.price:
            trip.pending = int(held * rng.uniform(0, 0.04))
            trip.stays -= trip.pending
        if fill == 1:
            trip.waiting = rng.randrange(0, 15)
    shrink(trip, bookings_left)
    return trip


def shrink(trip: Trip, most: int) -> None:
    """Takes bookings away until `most` are left; the seats become free, and nobody waits for free seats."""
    for kind in ("expired", "cancelled", "no_show", "pending", "stays", "no_seat", "rejected", "review"):
        excess = trip.bookings - most
        if excess <= 0:
            return
        count = getattr(trip, kind)
        setattr(trip, kind, count - min(count, excess))
        trip.waiting = trip.offers = 0
