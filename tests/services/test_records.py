"""Plain records: what is written, what is audited, what is refused."""

import pytest
import sqlalchemy as sa

from console.errors import DuplicateValue, StillUsed, ValueRefused
from console.models import AuditLog, Favorite, Organizer, TeamMember, User
from console.services import integrity, records
from console.services.audit import MASK
from tests import make


@pytest.fixture
def actor(session):
    return make.staff()


def entries(session, target_type):
    query = sa.select(AuditLog).where(AuditLog.target_type == target_type).order_by(AuditLog.created_at)
    return session.scalars(query).all()


def test_a_new_record_is_audited_whole(session, actor):
    organizer = make.organizer()
    member = records.create_record(TeamMember, {"organizer_id": organizer.id, "name": "Guide"}, actor=actor)
    assert session.get(TeamMember, member.id).name == "Guide"
    entry = entries(session, "event.team_members")[0]
    assert (entry.action, entry.actor_user_id, entry.target_id) == ("create", actor.id, member.id)
    assert entry.payload["after"]["name"] == "Guide"
    assert entry.payload["after"]["organizer_id"] == str(organizer.id)
    assert "before" not in entry.payload


def test_only_what_changed_is_audited(session, actor):
    organizer = make.organizer(name="Old", slug="old", contacts={"a": 1})
    values = {"name": "New", "slug": "old", "contacts": {"a": 1}}
    assert records.update_record(organizer, values, actor=actor) == ["name"]
    entry = entries(session, "event.organizers")[0]
    assert entry.payload == {"before": {"name": "Old"}, "after": {"name": "New"}}


def test_nothing_changed_writes_nothing(session, actor):
    organizer = make.organizer(name="Same")
    assert records.update_record(organizer, {"name": "Same"}, actor=actor) == []
    assert entries(session, "event.organizers") == []


def test_secrets_are_masked_in_the_log(session, actor):
    account = make.user(password_hash="$argon2id$one")
    records.update_record(account, {"password_hash": "$argon2id$two"}, actor=actor)
    assert entries(session, "user.users")[0].payload == {
        "before": {"password_hash": MASK},
        "after": {"password_hash": MASK},
    }


def test_a_record_with_a_composite_key_is_named_by_it(session, actor):
    favorite = make.favorite()
    key = [str(favorite.user_id), str(favorite.event_id)]
    records.delete_record(favorite, actor=actor)
    entry = entries(session, "event.favorites")[0]
    assert entry.target_id is None
    assert entry.payload["key"] == key
    assert session.scalars(sa.select(Favorite)).all() == []


def test_the_system_is_no_actor(session):
    records.delete_record(make.faq_item(), actor=None)
    assert entries(session, "event.faq_items")[0].actor_user_id is None


def test_a_second_record_of_the_same_name_is_refused(session, actor):
    make.organizer(slug="taken")
    with pytest.raises(DuplicateValue) as refused, session.begin_nested():
        records.create_record(Organizer, {"slug": "taken", "name": "X"}, actor=actor)
    assert refused.value.facts == {"fields": ["slug"]}


def test_a_broken_rule_is_refused_with_its_sentence(session, actor):
    event = make.event()
    with pytest.raises(ValueRefused) as refused, session.begin_nested():
        records.update_record(event, {"price": -1}, actor=actor)
    assert str(refused.value) == "The database refuses this value: a price is 0 or more."


def test_what_others_need_is_not_deleted(session, actor):
    event = make.event()
    make.booking(event_id=event.id)
    organizer = session.get(Organizer, event.organizer_id)
    with pytest.raises(StillUsed) as refused:
        records.delete_record(event, actor=actor)
    assert refused.value.facts == {"tables": ["bookings"]}
    with pytest.raises(StillUsed):
        records.delete_record(organizer, actor=actor)
    assert entries(session, "event.events") == []


def test_dependents_are_counted_by_what_happens_to_them(session):
    event = make.event()
    make.crew(event_id=event.id)
    make.crew(event_id=event.id)
    make.booking(event_id=event.id)
    make.outbox_message(event_id=event.id)
    make.crew()
    found = {(d.table, d.count, d.effect) for d in records.dependents(event)}
    assert found == {("crews", 2, "CASCADE"), ("bookings", 1, "RESTRICT"), ("outbox", 1, "SET NULL")}


def test_dependents_take_one_statement_and_stop_counting(session, count_queries, monkeypatch):
    monkeypatch.setattr(records, "COUNT_MAX", 3)
    account = make.user()
    for _ in range(6):
        make.favorite(user_id=account.id)
    count_queries.clear()
    found = {d.table: d.count for d in records.dependents(account)}
    assert found == {"favorites": 4}
    assert len(count_queries) == 1


def test_deleting_a_person_takes_the_profile_along(session, actor):
    account = make.user()
    make.profile(user_id=account.id)
    person_id = account.id
    records.delete_record(account, actor=actor)
    session.expire_all()
    assert session.get(User, person_id) is None


def test_every_table_has_a_word_for_sentences():
    from console.db import Base

    referring = {
        table.name
        for table in Base.metadata.tables.values()
        if table.foreign_key_constraints and table.schema != "ops"
    }
    assert referring <= set(integrity.TABLES)
