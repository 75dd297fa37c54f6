"""Every setting: its name, unit and default. A wrong one stops the start with one line that names it."""

import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent.parent

#: Payment providers whose webhooks the console takes, as they stand in WEBHOOK_SECRET_<PROVIDER>.
PROVIDERS = ("yookassa", "cloudpayments", "stripe", "tbank")


class SettingError(Exception):
    """A setting is missing or malformed; the message is one line that names it."""


@dataclass(frozen=True)
class Settings:
    """What the environment says. Times are in the unit of their name."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    development: bool
    public_url: str = "http://127.0.0.1:5000"
    telegram_bot_token: str = field(default="", repr=False)
    telegram_api_base: str = "https://api.telegram.org"
    #: The name in the links that open a chat with the bot.
    telegram_bot_username: str = ""
    #: What the Bot API says with each update, so that nobody else can; without it nothing is heard.
    telegram_webhook_secret: str = field(default="", repr=False)
    #: Messages a second, all workers together, and seconds between two to one chat; 0 is no limit.
    telegram_per_second: int = 30
    telegram_chat_seconds: float = 1
    smtp_url: str = field(default="", repr=False)
    media_url: str = "file:var/media"
    webhook_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    booking_hold_minutes: float = 30
    waitlist_offer_minutes: float = 30
    review_hold_hours: float = 24
    proof_max_mb: float = 5
    proof_retention_days: int = 90
    #: Above this amount two people decide on a receipt, on noted money, on a refund; None: one is enough.
    second_review_above: Decimal | None = None
    locale: str = "ru"
    timezone: str = "Europe/Moscow"
    #: A session ends this long after its last request, and this long after its start whatever happens.
    session_idle_minutes: float = 60
    session_absolute_hours: float = 12
    #: Reverse proxies in front of the console: that many entries of X-Forwarded-For are believed.
    trusted_proxies: int = 0
    #: Between two looks of the jobs that run "every few seconds".
    tick_seconds: float = 15

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https:")


_source: Callable[[], Settings] | None = None


def use(source: Callable[[], Settings]) -> None:
    """Tells where the settings are: those of the application whose context is pushed."""
    global _source  # noqa: PLW0603 - the application says it once, at its start
    _source = source


def current() -> Settings:
    """The settings services go by. Raises RuntimeError before `use`, or without an application context."""
    if _source is None:
        raise RuntimeError("config.use comes first")
    return _source()


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings from `environ` (default: the process's, over `.env`, over `var/run.env`).

    Raises SettingError with one line that names the setting.
    """
    env = dict(_files_and_environment() if environ is None else environ)
    development = env.get("CREWDECK_ENV", "production") == "development"
    secret_key = env.get("SECRET_KEY", "")
    if not secret_key and (development or _is_command(env)):
        # Nothing a command signs outlives it; in development every start signs everybody out.
        secret_key = secrets.token_hex(32)
    if not secret_key:
        raise SettingError("SECRET_KEY is not set: give it 32 or more random characters")
    if not development and len(secret_key) < 16:
        raise SettingError("SECRET_KEY is too short: give it 32 or more random characters")
    locale = env.get("LOCALE") or "ru"
    if locale not in ("ru", "en"):
        raise SettingError(f"LOCALE is {locale!r}: choose ru or en")
    return Settings(
        database_url=_database_url(env),
        redis_url=_url(env, "REDIS_URL", ("redis", "rediss", "unix"), required=True),
        secret_key=secret_key,
        development=development,
        public_url=_url(env, "PUBLIC_URL", ("http", "https"), "http://127.0.0.1:5000").rstrip("/"),
        telegram_bot_token=env.get("TELEGRAM_BOT_TOKEN", ""),
        telegram_api_base=_url(
            env, "TELEGRAM_API_BASE", ("http", "https"), "https://api.telegram.org"
        ).rstrip("/"),
        telegram_bot_username=_bot_username(env),
        telegram_webhook_secret=_webhook_secret(env),
        telegram_per_second=int(_limit(env, "TELEGRAM_PER_SECOND", 30)),
        telegram_chat_seconds=_limit(env, "TELEGRAM_CHAT_SECONDS", 1),
        smtp_url=_url(env, "SMTP_URL", ("smtp", "smtps")),
        media_url=_media_url(env),
        webhook_secrets={
            provider: env[name]
            for provider in PROVIDERS
            if env.get(name := f"WEBHOOK_SECRET_{provider.upper()}")
        },
        booking_hold_minutes=_number(env, "BOOKING_HOLD_MINUTES", 30),
        waitlist_offer_minutes=_number(env, "WAITLIST_OFFER_MINUTES", 30),
        review_hold_hours=_number(env, "REVIEW_HOLD_HOURS", 24),
        proof_max_mb=_number(env, "PROOF_MAX_MB", 5),
        proof_retention_days=int(_number(env, "PROOF_RETENTION_DAYS", 90)),
        second_review_above=_amount(env, "SECOND_REVIEW_ABOVE"),
        locale=locale,
        timezone=_timezone(env),
        session_idle_minutes=_number(env, "SESSION_IDLE_MINUTES", 60),
        session_absolute_hours=_number(env, "SESSION_ABSOLUTE_HOURS", 12),
        trusted_proxies=_proxies(env),
        tick_seconds=_number(env, "TICK_SECONDS", 15),
    )


def _is_command(env: Mapping[str, str]) -> bool:
    """Whether this is a `flask` command other than the development server."""
    return env.get("FLASK_RUN_FROM_CLI") == "true" and "run" not in sys.argv[1:]


def _files_and_environment() -> dict[str, str]:
    """The process's environment over `.env` over, for commands, what `make run` wrote of its servers."""
    paths = [ROOT / ".env"] if os.environ.get("CREWDECK_ENV") != "production" else []
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        paths.insert(0, ROOT / "var" / "run.env")
    files: dict[str, str] = {}
    for path in paths:
        if path.is_file():
            files.update({k: v for k, v in dotenv_values(path).items() if v is not None})
    return {**files, **os.environ}


def _database_url(env: Mapping[str, str]) -> str:
    url = _url(env, "DATABASE_URL", ("postgresql", "postgres", "postgresql+psycopg"), required=True)
    return "postgresql+psycopg:" + url.split(":", 1)[1]


def _url(
    env: Mapping[str, str],
    name: str,
    schemes: tuple[str, ...],
    default: str = "",
    *,
    required: bool = False,
) -> str:
    value = env.get(name) or default
    if not value:
        if required:
            raise SettingError(f"{name} is not set: start `make run`, or give the address of a server")
        return ""
    try:
        scheme = urlsplit(value).scheme
    except ValueError:
        scheme = ""
    if scheme not in schemes:
        raise SettingError(
            f"{name} is not an address that begins with {' or '.join(s + ':' for s in schemes)}"
        )
    return value


def _media_url(env: Mapping[str, str]) -> str:
    url = _url(env, "MEDIA_URL", ("file", "s3"), "file:var/media")
    if not url.startswith("s3:"):
        return url
    address = urlsplit(url)
    options = parse_qs(address.query, keep_blank_values=True)
    unknown = sorted(options.keys() - {"endpoint", "region"})
    endpoint = options.get("endpoint", ["https://s3.amazonaws.com"])[0]
    if not address.netloc or "@" in address.netloc:
        # Keys in an address would end in logs: they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
        raise SettingError("MEDIA_URL names no bucket: write s3://bucket?endpoint=https://host")
    if unknown:
        raise SettingError(f"MEDIA_URL: {', '.join(unknown)} is no option, give endpoint and region")
    if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).netloc:
        raise SettingError("MEDIA_URL: the endpoint is an address that begins with https: or http:")
    return url


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    raw = env.get(name) or str(default)
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    # Ten years in any unit used here: a larger number is a typing error and overflows dates.
    if not 0 < value < 5_300_000:
        raise SettingError(f"{name} is {raw!r}: give a number above 0")
    return value


def _amount(env: Mapping[str, str], name: str) -> Decimal | None:
    raw = env.get(name, "").strip()
    if not raw:
        return None
    try:
        value = Decimal(raw)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value < 10**10:
        raise SettingError(f"{name} is {raw!r}: give an amount such as 20000, or leave it out")
    return value


def _limit(env: Mapping[str, str], name: str, default: float) -> float:
    """A limit of messages; 0 is none."""
    raw = env.get(name) or str(default)
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1000:
        raise SettingError(f"{name} is {raw!r}: give a number from 0, which is no limit, to 1000")
    return value


def _bot_username(env: Mapping[str, str]) -> str:
    name = (env.get("TELEGRAM_BOT_USERNAME") or "").removeprefix("@")
    if name and not re.fullmatch(r"[A-Za-z]\w{3,31}", name, re.ASCII):
        raise SettingError("TELEGRAM_BOT_USERNAME is not the name of a bot, such as crewdeck_bot")
    return name


def _webhook_secret(env: Mapping[str, str]) -> str:
    secret = env.get("TELEGRAM_WEBHOOK_SECRET") or ""
    if secret and not re.fullmatch(r"[A-Za-z0-9_-]{16,256}", secret):
        raise SettingError("TELEGRAM_WEBHOOK_SECRET is not 16 to 256 characters of A-Z, a-z, 0-9, _ and -")
    return secret


def _proxies(env: Mapping[str, str]) -> int:
    raw = env.get("TRUSTED_PROXIES") or "0"
    if not raw.isascii() or not raw.isdigit() or int(raw) > 9:
        raise SettingError(f"TRUSTED_PROXIES is {raw!r}: give the number of reverse proxies, 0 to 9")
    return int(raw)


def _timezone(env: Mapping[str, str]) -> str:
    name = env.get("TIMEZONE") or "Europe/Moscow"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingError(f"TIMEZONE is {name!r}: give an IANA name such as Europe/Moscow") from None
    return name
