"""Settings: what is wrong is named in one line, and the two places that list them say what the code says."""

import re
from pathlib import Path

import pytest

from console.config import PROVIDERS, ROOT, SettingError, Settings, load_settings

NEEDED = {
    "DATABASE_URL": "postgresql://console@127.0.0.1/crewdeck",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "SECRET_KEY": "a key that only this test knows",
}
EXAMPLE = ROOT / ".env.example"
#: The table of docs/operations.md: names in its first column, as many defaults in the second.
ROW = re.compile(r"^\| (`[A-Z].*?) \| (.*?) \|", re.MULTILINE)


def settings(**environ: str) -> Settings:
    return load_settings({**NEEDED, **environ})


def read_by_the_code() -> set[str]:
    """The names of the variables that `console/config.py` asks for."""
    source = Path(load_settings.__code__.co_filename).read_text()
    names = set(re.findall(r'(?:env, |env\.get\()"([A-Z_]+)"', source))
    return names - {"FLASK_RUN_FROM_CLI"} | {f"WEBHOOK_SECRET_{name.upper()}" for name in PROVIDERS}


def documented() -> dict[str, str]:
    """The settings in the documentation, with their defaults; "" where there is none."""
    table = (ROOT / "docs" / "operations.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    found: dict[str, str] = {}
    for names, defaults in ROW.findall(table):
        keys, values = re.findall(r"`(\w+)`", names), re.findall(r"`([^`]+)`", defaults)
        found |= dict(zip(keys, values or [""] * len(keys), strict=True))
    return found


def in_the_example() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in re.findall(r"^#?([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE):
        found.setdefault(name, value)
    return found


def test_the_documentation_and_the_example_name_every_setting() -> None:
    assert documented().keys() == read_by_the_code()
    assert in_the_example().keys() == read_by_the_code()


def test_the_defaults_that_are_written_down_are_the_defaults() -> None:
    written = {name: value for name, value in documented().items() if value}
    assert settings(**written) == settings()
    shown = {name: value for name, value in in_the_example().items() if name in written}
    assert settings(**{**shown, "CREWDECK_ENV": "production"}) == settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "mysql://somewhere"),
        ("REDIS_URL", "http://somewhere"),
        ("REDIS_URL", "redis://[half"),
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("PUBLIC_URL", "console.example.org"),
        ("TELEGRAM_BOT_USERNAME", "no bot"),
        ("TELEGRAM_WEBHOOK_SECRET", "short"),
        ("TELEGRAM_PER_SECOND", "-1"),
        ("TELEGRAM_CHAT_SECONDS", "soon"),
        ("SMTP_URL", "mail.example.org:25"),
        ("MEDIA_URL", "ftp://somewhere"),
        ("MEDIA_URL", "s3://key:secret@bucket"),
        ("BOOKING_HOLD_MINUTES", "0"),
        ("WAITLIST_OFFER_MINUTES", "nan"),
        ("PROOF_RETENTION_DAYS", "1e9"),
        ("SECOND_REVIEW_ABOVE", "a lot"),
        ("LOCALE", "fr"),
        ("TIMEZONE", "Mars/Olympus"),
        ("TRUSTED_PROXIES", "-1"),
        ("TICK_SECONDS", "often"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingError) as refused:
        settings(**{name: value})
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_development_makes_up_its_key_and_production_does_not() -> None:
    made_up = load_settings({**NEEDED, "SECRET_KEY": "", "CREWDECK_ENV": "development"})
    assert made_up.development
    assert len(made_up.secret_key) == 64
    assert not settings(CREWDECK_ENV="anything else").development


def test_secrets_are_not_in_what_is_printed_of_the_settings() -> None:
    secrets = {
        "DATABASE_URL": "postgresql://console:sesame@127.0.0.1/crewdeck",
        "REDIS_URL": "redis://:sesame@127.0.0.1:6379/0",
        "SECRET_KEY": "sesame-of-cookies",
        "TELEGRAM_BOT_TOKEN": "123:sesame",
        "TELEGRAM_WEBHOOK_SECRET": "sesame-of-telegram",
        "SMTP_URL": "smtp://user:sesame@mail.example.org",
        "WEBHOOK_SECRET_STRIPE": "sesame-of-stripe",
    }
    assert "sesame" not in repr(settings(**secrets))
