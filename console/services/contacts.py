"""How to reach a person, as the database keeps it: None for what is empty, InvalidInput for what is wrong."""

import re

import phonenumbers

from console.errors import N_, InvalidInput

#: Where a number without a country code is from.
HOME_REGION = "RU"

_TELEGRAM = re.compile(r"[A-Za-z][A-Za-z0-9_]{3,31}")
_EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,}")


def clean_name(text: str) -> str:
    """A full name on one line, at most 200 characters."""
    name = " ".join(text.split())
    if not name or len(name) > 200 or not name.isprintable():
        raise InvalidInput(field=N_("Full name"), problem=N_("give a name of at most 200 characters."))
    return name


def clean_phone(text: str | None) -> str | None:
    """A phone number in E.164, such as +79161234567."""
    if not text or not text.strip():
        return None
    try:
        number = phonenumbers.parse(text, HOME_REGION)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise InvalidInput(field=N_("Phone"), problem=N_("this is not a phone number."))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def bare_telegram(text: str) -> str:
    """What is left of a Telegram name without its @, or of a link to it."""
    link_or_sign = r"^(https?://)?(www\.)?(t|telegram)\.me/|^@"
    return re.sub(link_or_sign, "", text.strip(), flags=re.IGNORECASE).rstrip("/")


def clean_telegram(text: str | None) -> str | None:
    """A Telegram username without the @, also from a t.me link."""
    if not text or not text.strip():
        return None
    name = bare_telegram(text)
    if not _TELEGRAM.fullmatch(name):
        raise InvalidInput(field=N_("Telegram"), problem=N_("this is not a Telegram username."))
    return name


def clean_email(text: str | None) -> str | None:
    """An e-mail address, its domain in lower case."""
    if not text or not text.strip():
        return None
    address = text.strip()
    if len(address) > 254 or not _EMAIL.fullmatch(address):
        raise InvalidInput(field=N_("E-mail"), problem=N_("this is not an e-mail address."))
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"
