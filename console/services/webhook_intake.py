"""The intake of webhooks: authentic ones are stored, once, by one statement, and nothing else happens here.

Thousands may come in a second, and an acquirer repeats what is not answered soon.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from console import config, errors
from console.db import at_once, ring
from console.errors import N_
from console.gateways.providers import Notice, cloudpayments, malformed, stripe, tbank, yookassa

PROVIDERS: dict[str, Any] = {
    "yookassa": yookassa,
    "cloudpayments": cloudpayments,
    "stripe": stripe,
    "tbank": tbank,
}
MAX_BODY_BYTES = 256 * 1024
#: Room is left for what keeps another content of the same key apart.
MAX_KEY_CHARACTERS = 230

# What stands in `effect` of a repetition that is none; English, translated where it is shown.
OTHER_CONTENT = N_("The same key came before with another content: nothing was applied")
OTHER_WORDS = N_(
    "The same key came before and said the same of the money in other words: nothing was applied"
)
#: These have no effect ever.
FLAGGED = (OTHER_CONTENT, OTHER_WORDS)

#: `is_same` is NULL when it was stored just now, or by somebody who has not committed yet.
STORE = sa.text("""
WITH stored AS (
    INSERT INTO payment.webhook_events (idempotency_key, provider, raw_payload)
    VALUES (:key, :provider, CAST(:payload AS jsonb))
    ON CONFLICT (idempotency_key) DO NOTHING RETURNING idempotency_key
)
SELECT EXISTS (SELECT FROM stored) AS is_new, (
    SELECT raw_payload = CAST(:payload AS jsonb) FROM payment.webhook_events WHERE idempotency_key = :key
) AS is_same
""")

FLAG = sa.text("""
INSERT INTO payment.webhook_events (idempotency_key, provider, raw_payload, status, effect, processed_at)
VALUES (:key, :provider, CAST(:payload AS jsonb), 'IGNORED', :effect, now())
ON CONFLICT (idempotency_key) DO NOTHING
""")

KNOWN = sa.text("SELECT raw_payload FROM payment.webhook_events WHERE idempotency_key = :key")


def store(provider: str, *, headers: Mapping[str, str], body: bytes, address: str, kind: str = "") -> str:
    """Stores an authentic webhook once, committed at once, and returns the key of its row.

    The same key with another content is kept beside it, flagged and without effect. `kind`
    is the type of a notification that stands in the address. Raises NotFound, WebhookRefused, InvalidInput.
    """
    gateway = PROVIDERS.get(provider)
    if gateway is None:
        raise errors.NotFound()
    secret = config.current().webhook_secrets.get(provider)
    if not secret:
        raise errors.WebhookRefused(problem=N_("no secret is set for this provider."))
    if len(body) > MAX_BODY_BYTES:
        raise errors.InvalidInput(field=N_("Body"), problem=N_("it is too large."))
    gateway.authenticate({name.lower(): value for name, value in headers.items()}, body, address, secret)
    payload = gateway.read(body)
    told: Notice = gateway.notice(payload, kind)
    key = f"{provider}:{told.key}"
    if len(key) > MAX_KEY_CHARACTERS:
        raise malformed()
    row = {
        "key": key,
        "provider": provider,
        "payload": json.dumps(payload, ensure_ascii=False, sort_keys=True),
    }
    [(is_new, is_same)] = _said(STORE, row)
    if is_new:
        ring("process-webhooks")
        return row["key"]
    if is_same:
        return row["key"]
    return _keep_beside(row, told, gateway)


def _keep_beside(row: dict[str, str], told: Notice, gateway: Any) -> str:
    """Keeps a content that differs from the first one of its key, and returns the key it is kept by."""
    # The first one has been committed by now: the statement above waited for it.
    [(known,)] = _said(KNOWN, {"key": row["key"]})
    if known == json.loads(row["payload"]):
        return row["key"]
    same_words = gateway.notice(known, kind_of(row["key"])) == told
    digest = hashlib.sha256(row["payload"].encode()).hexdigest()[:16]
    flagged = {
        **row,
        "key": f"{row['key']}#{digest}",
        "effect": OTHER_WORDS if same_words else OTHER_CONTENT,
    }
    _said(FLAG, flagged)
    return flagged["key"]


def first_of(key: str) -> str:
    """The key under which the first content came, of one that was kept beside it."""
    return key.rpartition("#")[0]


def _said(statement: sa.TextClause, values: dict[str, str]) -> list[Any]:
    """The rows of a statement, which is committed. A connection that had died is replaced, once."""
    try:
        return _rows(statement, values)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        return _rows(statement, values)


def _rows(statement: sa.TextClause, values: dict[str, str]) -> list[Any]:
    with at_once() as connection:
        result = connection.execute(statement, values)
        return list(result) if result.returns_rows else []


def kind_of(key: str) -> str:
    """The type that stood in the address: the second part of the key of a CloudPayments event."""
    return key.split(":", 2)[1] if key.startswith("cloudpayments:") else ""
