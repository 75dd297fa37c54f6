"""Many people at once, as an import brings them."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.models import Profile, User
from console.services import record_sets
from console.states import UserRole

#: As `accounts.create_person` does it: an account that cannot sign in, a profile, one audit row.
CREATE = sa.text(f"""
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given
        (id uuid, username text, full_name text, phone text, telegram text, email text)
), made AS (
    INSERT INTO "user".users (id, username, role, active)
    SELECT id, username, '{UserRole.USER}', true FROM given
), known AS (
    INSERT INTO "user".profiles (user_id, full_name, phone, telegram, email)
    SELECT id, full_name, phone, telegram, email FROM given
)
INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
SELECT CAST(:actor_id AS uuid), 'create', 'user.users', id,
    jsonb_build_object('after', to_jsonb(given) - 'id')
FROM given
""")  # noqa: S608 - constants only


def create_people(rows: Sequence[Mapping[str, Any]], *, actor: User) -> None:
    """Participants who cannot sign in, with profiles. `rows`: id, full_name, phone, telegram, email."""
    named = [{**row, "username": f"person-{secrets.token_hex(6)}"} for row in rows]
    for batch in record_sets.batches(named):
        db.session.execute(CREATE, {"rows": record_sets.as_json(batch), "actor_id": actor.id})


def change_people(changes: Mapping[UUID, Mapping[str, Any]], *, actor: User) -> None:
    """Changes columns of people's profiles; who has none yet gets one."""
    db.session.execute(
        sa.text(
            'INSERT INTO "user".profiles (user_id) SELECT unnest(CAST(:ids AS uuid[])) ON CONFLICT DO NOTHING'
        ),
        {"ids": list(changes)},
    )
    record_sets.change_records(Profile, changes, actor=actor)
