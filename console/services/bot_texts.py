"""What the bot answers, in the languages of people. `{facts}` are filled in; all of it is plain text."""

# ruff: noqa: E501 - sentences

TEXTS: dict[str, dict[str, str]] = {
    "linked": {
        "ru": "Готово, {name}! Уведомления о ваших бронях будут приходить сюда.\n/status — что подключено, /stop — отключить.",
        "en": "Done, {name}! Notices about your bookings will come here.\n/status shows what is linked, /stop switches it off.",
    },
    "void": {
        "ru": "Эта ссылка не действует: она уже использована или её время вышло. Попросите организатора прислать новую.",
        "en": "This link does not work: it was used already, or its time is over. Ask the organizer for a new one.",
    },
    "taken": {
        "ru": "Этот чат уже подключён к другому человеку. Чтобы подключить его к вам, сначала отправьте /stop.",
        "en": "This chat is linked to another person already. To link it to you, send /stop first.",
    },
    "who_are_you": {
        "ru": "Здравствуйте! Я пока не знаю, кто вы. Откройте ссылку или QR-код, который дал организатор.",
        "en": "Hello! I do not know yet who you are. Open the link or the QR code the organizer gave you.",
    },
    "status": {
        "ru": "{name}, уведомления приходят в этот чат.\nБлижайшие события: {events}\n/stop — отключить.",
        "en": "{name}, your notices come to this chat.\nComing up: {events}\n/stop switches it off.",
    },
    "no_events": {"ru": "нет", "en": "none"},
    "stopped": {
        "ru": "Отключено: больше я сюда не пишу. Важное придёт на почту, если она известна.",
        "en": "Switched off: I write here no more. What matters comes by e-mail, if the address is known.",
    },
    "nothing_to_stop": {"ru": "Этот чат ни к кому не подключён.", "en": "This chat is linked to nobody."},
    "private_only": {
        "ru": "Я отвечаю только в личном чате: напишите мне туда.",
        "en": "I answer in a private chat only: write to me there.",
    },
    "help": {
        "ru": "Я присылаю уведомления о бронях. /status — что подключено, /stop — отключить.",
        "en": "I bring notices about bookings. /status shows what is linked, /stop switches it off.",
    },
    "taken_seat": {
        "ru": "Место за вами: {title}.",
        "en": "The seat is yours: {title}.",
    },
    "taken_seat_to_pay": {
        "ru": "Место за вами: {title}. Оплатите {money} до {until}.",
        "en": "The seat is yours: {title}. Please pay {money} before {until}.",
    },
    "passed_on": {
        "ru": "Вы отказались от места: {title}. Оно уйдёт следующему в очереди.",
        "en": "You have passed the seat on: {title}. It goes to the next in line.",
    },
    "offer_taken": {"ru": "Вы уже заняли это место.", "en": "You have taken this seat already."},
    "offer_declined": {
        "ru": "Вы уже отказались от этого места.",
        "en": "You have passed this seat on already.",
    },
    "offer_lapsed": {
        "ru": "Время ответа вышло, место ушло следующему.",
        "en": "The time to answer is over; the seat went to the next in line.",
    },
    "offer_withdrawn": {
        "ru": "Это предложение больше не действует.",
        "en": "This offer does not stand any more.",
    },
    "offer_refused": {
        "ru": "Не получилось занять место: запись на это событие закрыта.",
        "en": "The seat could not be taken: the event takes no more bookings.",
    },
    "not_yours": {
        "ru": "Это предложение сделано другому человеку.",
        "en": "This offer was made to somebody else.",
    },
}


def say(key: str, language: str, **facts: str) -> str:
    """A text in `ru` or `en`."""
    return TEXTS[key][language if language in ("ru", "en") else "en"].format(**facts)
