"""What notices say, per category, occasion and language.

`<b>` marks what stands out. `{facts}` are filled in, escaped where they must be; a line with a fact that is
missing is left out. The occasion is the payload's `kind`; without one, or with one that is not here, the
category's own text serves.
"""

import re
from dataclasses import dataclass

#: A fact in a text.
FACT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Text:
    """A subject of one line, and a body of several."""

    subject: str
    body: str


#: A booking that goes to another event: confirmed there, or with a new deadline to pay.
MOVED = {
    "ru": Text(
        "Бронь перенесена: {title}",
        "<b>{title}</b>\nВаша бронь перенесена на это событие. Раньше: «{was}».\n"
        "Оплатите {money} до {until}.\nПрислать чек о переводе: {link}\n"
        "Начало: {starts}\nМесто встречи: {place}",
    ),
    "en": Text(
        "Your booking has moved: {title}",
        "<b>{title}</b>\nYour booking has moved here from “{was}”.\nPlease pay {money} before {until}.\n"
        "Send the proof of your transfer: {link}\n"
        "Start: {starts}\nPlace: {place}",
    ),
}

#: (category, kind) -> language -> text.
TEXTS: dict[tuple[str, str], dict[str, Text]] = {
    ("BOOKING_CONFIRMED", ""): {
        "ru": Text(
            "Место подтверждено: {title}",
            "<b>{title}</b>\nВаше место подтверждено.\nНачало: {starts}\nМесто встречи: {place}\n"
            "Оплачено: {money}",
        ),
        "en": Text(
            "Your seat is confirmed: {title}",
            "<b>{title}</b>\nYour seat is confirmed.\nStart: {starts}\nPlace: {place}\nPaid: {money}",
        ),
    },
    ("BOOKING_CONFIRMED", "moved"): MOVED,
    ("PAYMENT_STATUS", "moved"): MOVED,
    ("BOOKING_EXPIRED", ""): {
        "ru": Text(
            "Бронь истекла: {title}",
            "<b>{title}</b>\nВремя на оплату вышло, и место освободилось. Если вы ещё хотите участвовать, "
            "забронируйте снова.\nНачало: {starts}",
        ),
        "en": Text(
            "Your booking has expired: {title}",
            "<b>{title}</b>\nThe time to pay is over and the seat is free again. If you still want to come, "
            "please book anew.\nStart: {starts}",
        ),
    },
    ("BOOKING_CANCELLED", ""): {
        "ru": Text(
            "Бронь отменена: {title}",
            "<b>{title}</b>\nВаша бронь отменена.\nПричина: {reason}\nНачало: {starts}",
        ),
        "en": Text(
            "Your booking is cancelled: {title}",
            "<b>{title}</b>\nYour booking is cancelled.\nReason: {reason}\nStart: {starts}",
        ),
    },
    ("BOOKING_CANCELLED", "event"): {
        "ru": Text(
            "Событие отменено: {title}",
            "<b>{title}</b>\nСобытие отменено, ваша бронь тоже.\nПричина: {reason}\nДата: {starts}",
        ),
        "en": Text(
            "The event is cancelled: {title}",
            "<b>{title}</b>\nThe event is cancelled, and your booking with it.\nReason: {reason}\n"
            "Date: {starts}",
        ),
    },
    ("PAYMENT_STATUS", ""): {
        "ru": Text("Оплата: {title}", "<b>{title}</b>\nСостояние вашей оплаты изменилось.\nСумма: {money}"),
        "en": Text(
            "Payment: {title}", "<b>{title}</b>\nThe state of your payment has changed.\nAmount: {money}"
        ),
    },
    ("PAYMENT_STATUS", "paid"): {
        "ru": Text("Оплата получена: {title}", "<b>{title}</b>\nМы получили вашу оплату.\nСумма: {money}"),
        "en": Text(
            "Payment received: {title}", "<b>{title}</b>\nWe have received your payment.\nAmount: {money}"
        ),
    },
    ("PAYMENT_STATUS", "paid_without_seat"): {
        "ru": Text(
            "Оплата получена, но места нет: {title}",
            "<b>{title}</b>\n"
            "Мы получили вашу оплату, но брони к этому времени уже не было, и места по ней нет. Мы свяжемся "
            "с вами, чтобы договориться о месте, другой дате или возврате.\nСумма: {money}\n"
            "Не хватает: {rest}",
        ),
        "en": Text(
            "Payment received, but without a seat: {title}",
            "<b>{title}</b>\nWe have received your payment, but the booking had ended by then, and there is "
            "no seat for it. We will contact you about a seat, another date or a refund.\nAmount: {money}\n"
            "Missing: {rest}",
        ),
    },
    ("PAYMENT_STATUS", "waits_with_money"): {
        "ru": Text(
            "Вы первые в листе ожидания: {title}",
            "<b>{title}</b>\nВы первые в листе ожидания, ваша оплата сохранена.\n"
            "Когда место освободится, мы предложим его вам: платить снова не нужно.",
        ),
        "en": Text(
            "You are first in line: {title}",
            "<b>{title}</b>\nYou are first on the waitlist, and your payment is kept.\n"
            "When a seat becomes free we will offer it to you; there is nothing more to pay.",
        ),
    },
    ("PAYMENT_STATUS", "paid_in_part"): {
        "ru": Text(
            "Оплата получена не полностью: {title}",
            "<b>{title}</b>\nМы получили {money}, не хватает {rest}.\n"
            "Доплатите до {until}, и место останется за вами.\nПрислать чек о переводе: {link}",
        ),
        "en": Text(
            "Your payment came only in part: {title}",
            "<b>{title}</b>\nWe have received {money}; {rest} are missing.\n"
            "Please pay them before {until} to keep the seat.\nSend the proof of your transfer: {link}",
        ),
    },
    ("PAYMENT_STATUS", "rejected"): {
        "ru": Text(
            "Чек не принят: {title}",
            "<b>{title}</b>\nЧек не принят.\nПричина: {reason}\nПришлите другой до {until}.\n"
            "Прислать чек: {link}",
        ),
        "en": Text(
            "Your proof of payment was not accepted: {title}",
            "<b>{title}</b>\nYour proof of payment was not accepted.\nReason: {reason}\n"
            "Please send another one before {until}.\nSend it here: {link}",
        ),
    },
    ("PAYMENT_STATUS", "refunded"): {
        "ru": Text("Возврат оплаты: {title}", "<b>{title}</b>\nМы вернули вашу оплату.\nСумма: {money}"),
        "en": Text("Refund: {title}", "<b>{title}</b>\nWe have refunded your payment.\nAmount: {money}"),
    },
    ("PAYMENT_STATUS", "booked"): {
        "ru": Text(
            "Вас записали: {title}",
            "<b>{title}</b>\nВас записали, место держим за вами.\nОплатите {money} до {until}.\n"
            "Прислать чек о переводе: {link}\nНачало: {starts}\nМесто встречи: {place}",
        ),
        "en": Text(
            "You are booked: {title}",
            "<b>{title}</b>\nYou are booked, and a seat is held for you.\n"
            "Please pay {money} before {until}.\nSend the proof of your transfer: {link}\n"
            "Start: {starts}\nPlace: {place}",
        ),
    },
    ("PAYMENT_STATUS", "reinstated"): {
        "ru": Text(
            "Место снова за вами: {title}",
            "<b>{title}</b>\nМесто снова держим за вами.\nОплатите {money} до {until}.\n"
            "Прислать чек о переводе: {link}\nНачало: {starts}",
        ),
        "en": Text(
            "The seat is yours again: {title}",
            "<b>{title}</b>\nA seat is held for you again.\nPlease pay {money} before {until}.\n"
            "Send the proof of your transfer: {link}\nStart: {starts}",
        ),
    },
    ("EVENT_REMINDER", ""): {
        "ru": Text(
            "Скоро: {title}",
            "<b>{title}</b>\nДо начала {hours}.\nНачало: {starts}\nМесто встречи: {place}",
        ),
        "en": Text(
            "Coming soon: {title}",
            "<b>{title}</b>\nIt starts within {hours}.\nStart: {starts}\nPlace: {place}",
        ),
    },
    ("WAITLIST_AVAILABLE", ""): {
        "ru": Text(
            "Освободилось место: {title}",
            "<b>{title}</b>\nДля вас освободилось место.\nОно ждёт ответа до {until}.\n"
            "Времени на ответ: {minutes}.\n"
            "Начало: {starts}\nМесто встречи: {place}\nЦена: {price}\nЗанять место или отказаться: {link}",
        ),
        "en": Text(
            "A seat is free: {title}",
            "<b>{title}</b>\nA seat is free for you.\nIt waits for your answer until {until}.\n"
            "{minutes} left.\n"
            "Start: {starts}\nPlace: {place}\nPrice: {price}\nTake it or pass it on: {link}",
        ),
    },
    ("EVENT_NEWS", ""): {
        "ru": Text("Новости: {title}", "<b>{title}</b>\n{text}"),
        "en": Text("News: {title}", "<b>{title}</b>\n{text}"),
    },
    ("EVENT_NEWS", "place"): {
        "ru": Text(
            "Ваше место: {title}",
            "<b>{title}</b>\nВаше место: <b>{places}</b>\nНачало: {starts}\nМесто встречи: {place}",
        ),
        "en": Text(
            "Your place: {title}",
            "<b>{title}</b>\nYour place: <b>{places}</b>\nStart: {starts}\nMeeting point: {place}",
        ),
    },
    ("EVENT_NEWS", "event_cancelled"): {
        "ru": Text(
            "Событие отменено: {title}",
            "<b>{title}</b>\nСобытие, которого вы ждали, отменено. Лист ожидания закрыт.\nПричина: {reason}",
        ),
        "en": Text(
            "The event is cancelled: {title}",
            "<b>{title}</b>\nThe event you were waiting for is cancelled, and its waitlist is closed.\n"
            "Reason: {reason}",
        ),
    },
}

#: The buttons below an offer in a chat.
TAKE_SEAT = {"ru": "Занять место", "en": "Take the seat"}
PASS_SEAT_ON = {"ru": "Отказаться", "en": "Pass it on"}

#: And below a notice that asks for payment.
SEND_PROOF = {"ru": "Прислать чек", "en": "Send the proof"}

#: Counted nouns by language and plural form (CLDR's one, few, many, other).
COUNTED = {
    "hours": {
        "ru": {"one": "{n} час", "few": "{n} часа", "many": "{n} часов", "other": "{n} часа"},
        "en": {"one": "{n} hour", "other": "{n} hours"},
    },
    "minutes": {
        "ru": {"one": "{n} минута", "few": "{n} минуты", "many": "{n} минут", "other": "{n} минуты"},
        "en": {"one": "{n} minute", "other": "{n} minutes"},
    },
}

#: The day and time of an event; deadlines also say the time zone, people may be in another one.
DATE_FORMATS = {"ru": "d MMMM, EEEE, HH:mm", "en": "EEEE, d MMMM, HH:mm"}
DEADLINE_FORMATS = {"ru": "HH:mm (d MMMM, VVV)", "en": "HH:mm (d MMMM, VVV)"}
