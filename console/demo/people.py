"""Participants and staff of the demo data: names, contacts, and how each can be reached."""

from dataclasses import dataclass, field
from random import Random

from argon2.low_level import Type, hash_secret

from console.demo.rows import DAY, NULL, Sink, begin, field_text, stamp, uuid_hex
from console.services.passwords import HASHER

MEN = (
    "Александр Алексей Андрей Антон Артём Борис Вадим Валерий Василий Виктор Виталий Владимир Глеб Григорий "
    "Даниил Денис Дмитрий Евгений Егор Иван Игорь Илья Кирилл Константин Лев Максим Марат Матвей Михаил "
    "Никита Николай Олег Павел Пётр Ринат Роман Руслан Семён Сергей Станислав Степан Тимофей Тимур Фёдор Юрий Ярослав"
).split()
WOMEN = (
    "Александра Алина Алла Анастасия Анна Валентина Валерия Варвара Вера Вероника Виктория Галина Дарья Диана "
    "Евгения Екатерина Елена Елизавета Жанна Зоя Ирина Карина Кира Ксения Лариса Любовь Людмила Маргарита Марина "
    "Мария Надежда Наталья Нина Оксана Ольга Полина Раиса Светлана София Таисия Тамара Татьяна Ульяна Юлия Яна"
).split()
#: Masculine forms; the feminine one adds «а» or turns «ий» into «ая».
SURNAMES = (
    "Абрамов Авдеев Агапов Аксёнов Алиев Баранов Батыров Белов Беляев Бобров Богданов Быков Васильев Виноградов "
    "Власов Волков Воробьёв Гаврилов Голубев Горшков Громов Гусев Данилов Дементьев Дорофеев Егоров Ершов Ефимов "
    "Жданов Жуков Зайцев Захаров Зимин Зуев Игнатов Исаев Кабанов Казаков Калинин Карпов Киселёв Климов Ковалёв "
    "Козлов Комаров Котов Крылов Кудрявцев Кузнецов Кулаков Лаврентьев Лазарев Лебедев Логинов Лыткин Макаров "
    "Мальцев Мартынов Медведев Меньшиков Миронов Морозов Назаров Некрасов Нестеров Никитин Новиков Носков Одинцов "
    "Орлов Островский Павлов Панин Петров Платонов Поляков Пономарёв Попов Прохоров Рогов Романов Рубцов Рябов "
    "Савин Сафонов Сахаров Седов Сидоров Симонов Соболев Соколов Сорокин Степанов Субботин Суханов Тарасов Титов "
    "Тихомиров Третьяков Трофимов Туманов Уваров Ушаков Фадеев Филатов Фомин Харитонов Хохлов Цветков Чернов "
    "Чистяков Шаповалов Широков Шубин Щербаков Юдин Яковлев Вяземский Дубровский Заболоцкий Лесков Невский"
).split()
FOREIGN = (
    "Anna Lindqvist;Jonas Weber;Marie Dubois;Tom Hughes;Lucía Herrera;Emre Yılmaz;Ida Nygård;Pekka Salonen;"
    "Grace O'Neill;Noah Fischer;Chiara Romano;Piotr Zieliński;Elif Demir;Oskar Hansen;Sophie Laurent;Ben Carter;"
    "Aigerim Nurlanova;Mia Johansson;Rajesh Patel;Kenji Sato;Laura Müller;Marek Novák;Eva Horváth;Daniel Cohen"
).split(";")
LATIN = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh sch - y - e yu ya".replace("-", "").split(
            " "
        ),
        strict=True,
    )
)
DIETS = ("вегетарианец", "без глютена", "без лактозы", "аллергия на орехи", "халяль")
NOTES = (
    "первый раз на воде",
    "боится высоты",
    "опыт: две Катуни",
    "приедет на своей машине",
    "храпит, просит палатку с краю",
)

#: Role, username, password: what `make run` prints, and what the tests sign in with.
LOGINS = (
    ("ADMIN", "admin", "crewdeck-admin"),
    ("ORGANIZER", "olga", "crewdeck-olga"),
    ("ORGANIZER", "karina", "crewdeck-karina"),
    ("FINANCE", "fedor", "crewdeck-fedor"),
    ("FINANCE", "faina", "crewdeck-faina"),
)
#: Username, role, full name, organizers they are staff of. Those without a login have no password.
STAFF = (
    ("admin", "ADMIN", "Арсений Крылатов", ()),
    ("olga", "ORGANIZER", "Ольга Самойлова", ("altai-raft",)),
    ("karina", "ORGANIZER", "Карина Вяйнёнен", ("karelia-paddles",)),
    ("fedor", "FINANCE", "Фёдор Лапин", ()),
    ("faina", "FINANCE", "Фаина Орешкина", ("altai-raft",)),
    ("hanna", "ORGANIZER", "Hanna Berg", ("kayak-north",)),
    ("bair", "ORGANIZER", "Баир Дамбаев", ("baikal-trails",)),
    ("anton", "ORGANIZER", "Антон Резник", ("dom-u-zaliva",)),
    ("tatiana.former", "ORGANIZER", "Татьяна Мишина", ("altai-raft", "karelia-paddles")),
)
#: No chat of Telegram has a number this high, so that nobody real is ever written to.
FIRST_CHAT = 4_000_000_000_000_000


@dataclass
class People:
    """Everybody by number, oldest account first; `created` in epoch seconds."""

    ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    created: list[int] = field(default_factory=list)
    #: TELEGRAM, EMAIL, or None for whoever cannot be reached.
    channels: list[str | None] = field(default_factory=list)
    #: Who has chosen what they want to hear.
    choosy: set[int] = field(default_factory=set)
    staff: dict[str, str] = field(default_factory=dict)


def write_people(sink: Sink, rng: Random, count: int, base: int) -> People:
    """Adds the staff and `count` participants, whose accounts are up to four years older than `base`."""
    people = People()
    _write_staff(sink, rng, people, base)
    users, profiles = sink.lines["user.users"], sink.lines["user.profiles"]
    chats = sink.lines["notification.telegram_subscriptions"]
    prefs = sink.lines["notification.notification_prefs"]
    step = 1500 * DAY / max(count, 1)
    for number in range(count):
        user = uuid_hex(rng, begin(number, count))
        name, login = _name(rng)
        username = f"{login}.{number + 1}"
        created_at = base - DAY - int((count - number) * step)
        created = stamp(created_at)
        dice = rng.random()
        handle = f"{login.replace('.', '_')}_{number + 1}" if dice < 0.86 else None
        verified = dice < 0.74
        email = f"{username}@mail.example" if dice > 0.07 else None
        foreign = name[0] < "А"
        role = "GUEST" if dice > 0.97 else "USER"
        users.append(f"{user}\t{username}\t\\N\t{role}\tt\t{created}\t{created}")
        profiles.append(
            f"{user}\t+79{rng.randrange(10**9):09}\t{handle or NULL}"
            f"\t{'t' if verified else 'f'}\t{_extra(rng, name)}\t{name}\t{email or NULL}"
            f"\t{'en' if foreign else 'ru'}\t{created}\t{created}"
        )
        channel = "EMAIL" if email else None
        if verified:
            blocked = created if dice < 0.012 else NULL
            channel = "TELEGRAM" if dice >= 0.012 else channel
            chats.append(
                f"{user}\t{handle}\t{FIRST_CHAT + number}\t{created}\t{blocked}\t{created}\t{created}"
            )
        if 0.2 < dice < 0.26:
            people.choosy.add(number)
            category = "EVENT_NEWS" if dice < 0.245 else "WAITLIST_AVAILABLE"
            for on in ("TELEGRAM", "EMAIL"):
                prefs.append(f"{user}\t{category}\t{on}\tf\t{created}\t{created}")
        people.ids.append(user)
        people.names.append(name)
        people.created.append(created_at)
        people.channels.append(channel)
        sink.flush_if_large()
    return people


def _write_staff(sink: Sink, rng: Random, people: People, base: int) -> None:
    passwords = {username: password for _, username, password in LOGINS}
    for username, role, name, _ in STAFF:
        user = people.staff[username] = uuid_hex(rng)
        created = stamp(base - rng.randrange(600, 1400) * DAY)
        former = username.endswith(".former")
        sink.add(
            "user.users",
            user,
            username,
            _hash(passwords[username], username) if username in passwords else None,
            role,
            not former,
            created,
            created,
        )
        email = f"{username}@crewdeck.example"
        phone = f"+79{rng.randrange(10**9):09}"
        sink.add("user.profiles", user, phone, None, False, {}, name, email, None, created, created)


def _hash(password: str, username: str) -> str:
    """argon2id; the salt from the username, so that the same demo is the same to the byte."""
    salt = f"crewdeck-demo-{username}".encode()[: HASHER.salt_len].ljust(HASHER.salt_len, b".")
    return hash_secret(
        password.encode(),
        salt,
        HASHER.time_cost,
        HASHER.memory_cost,
        HASHER.parallelism,
        HASHER.hash_len,
        Type.ID,
    ).decode()


def _name(rng: Random) -> tuple[str, str]:
    """A full name and a login made of it."""
    dice = rng.random()
    if dice < 0.06:
        name = rng.choice(FOREIGN)
        plain = "".join(
            c for c in name.lower().replace(" ", ".") if c.isascii() and (c.isalpha() or c == ".")
        )
        return name, plain
    surname = rng.choice(SURNAMES)
    if dice < 0.5:
        first = rng.choice(MEN)
    else:
        first = rng.choice(WOMEN)
        surname = surname[:-2] + "ая" if surname.endswith("ий") else surname + "а"
    return f"{first} {surname}", f"{latin(first)}.{latin(surname)}"


def latin(word: str) -> str:
    return "".join(LATIN.get(letter, letter) for letter in word.lower())


def _extra(rng: Random, name: str) -> str:
    """`profiles.extra`: an emergency contact for most, a diet or a note for some."""
    dice = rng.random()
    if dice > 0.85:
        return "{}"
    surname = name.split(" ", 1)[-1]
    contact = f"{rng.choice(WOMEN if dice < 0.5 else MEN)} {surname}"
    extra = (
        f'"emergency_contact": {{"name": "{contact}", "phone": "+79{rng.randrange(10**9):09}"}}, '
        f'"birth_year": {rng.randrange(1958, 2012)}'
    )
    if dice < 0.12:
        extra += f', "diet": "{rng.choice(DIETS)}"'
    elif dice < 0.2:
        extra += f', "note": "{rng.choice(NOTES)}"'
    return field_text(f"{{{extra}}}")
