"""The second factor: whose codes are taken, when, and how often; recovery codes; what a session lacks."""

import base64
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import extract_parameters

from console.db import db
from console.errors import CodeRefused, NoSecondFactor, NotFound, OwnAccount, SecondFactorNeeded
from console.models import AuditLog, RecoveryCode, RefreshSession, SecondFactor, User
from console.services import accounts, second_factor
from console.services.accounts import Lack
from console.states import UserRole
from tests import make
from tests.app_codes import code_of

#: In the middle of a step.
AT = datetime(2026, 11, 23, 3, 0, 15, tzinfo=UTC)
SEED = b"sixteen bytes :)"


class Person:
    """Somebody with a session and a second factor."""

    def __init__(self, **values: Any) -> None:
        self.user = make.staff(**values)
        self.session = make.refresh_session(user_id=self.user.id)
        self.factor = make.second_factor(user_id=self.user.id)

    def code(self, steps: int = 0) -> str:
        return code_of(self.factor, steps, at=AT)

    def give(self, code: str, at: datetime = AT) -> int | None:
        return second_factor.give(self.session.id, code, actor=self.user, at=at)

    def is_refused(self, code: str, at: datetime = AT) -> bool:
        try:
            self.give(code, at)
        except CodeRefused:
            return True
        return False


@pytest.fixture
def anna(session: Any) -> Person:
    return Person(username="anna")


def lacks(row: RefreshSession) -> Lack | str | None:
    """What a session lacks, or that it is over."""
    visit = accounts.session_user(row.jti)
    return "over" if visit is None else visit.lacks


def aged(row: RefreshSession, **columns: timedelta) -> None:
    values = {name: sa.func.now() - ago for name, ago in columns.items()}
    db.session.execute(sa.update(RefreshSession).where(RefreshSession.id == row.id).values(**values))


def audited(action: str) -> list[dict[str, Any]]:
    rows = db.session.scalars(sa.select(AuditLog).where(AuditLog.action == action))
    return [row.payload for row in rows]


def test_codes_are_those_of_the_standard() -> None:
    # RFC 6238, appendix B, without the first two of its eight digits.
    secret = base64.b32encode(b"12345678901234567890").decode()
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        step = second_factor._step_of(secret, code, datetime.fromtimestamp(seconds, UTC))
        assert step == seconds // 30


def test_a_secret_is_of_one_account_one_seed_and_one_key(session: Any, change_settings: Any) -> None:
    one, two = make.staff(), make.staff()
    secret = second_factor.secret_of(one.id, SEED)
    assert len(base64.b32decode(secret)) == 20
    assert secret == second_factor.secret_of(one.id, SEED)
    others = [second_factor.secret_of(two.id, SEED), second_factor.secret_of(one.id, SEED[::-1])]
    change_settings(secret_key="another key of many characters")
    assert secret not in [*others, second_factor.secret_of(one.id, SEED)]


@pytest.mark.parametrize(("steps", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_good_for_its_step_and_the_one_beside_it(anna: Person, steps: int, is_taken: bool) -> None:
    assert anna.is_refused(anna.code(steps)) is not is_taken


def test_a_code_is_taken_once_and_then_none_before_it(anna: Person) -> None:
    anna.give(anna.code())
    assert [anna.is_refused(anna.code(steps)) for steps in (0, -1)] == [True, True]
    assert anna.give(anna.code(1), AT + timedelta(seconds=30)) is None


@pytest.mark.parametrize(
    "junk", ["", " ", "12345", "abcdef", "1234567", "１２３４５６", "1" * 17, "\x00", "-" * 6]
)
def test_what_is_no_code_is_refused(anna: Person, junk: str) -> None:
    assert anna.is_refused(junk)


def test_a_code_of_somebody_else_is_refused(anna: Person) -> None:
    assert anna.is_refused(Person().code())


def test_without_a_second_factor_there_is_nothing_to_give(session: Any) -> None:
    row = make.refresh_session()
    with pytest.raises(NotFound):
        second_factor.give(row.id, "123456", actor=row.user)


def test_setting_up_takes_the_first_code_of_the_app_and_ends_other_sessions(
    session: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = make.staff()
    here, elsewhere = make.refresh_session(user_id=user.id), make.refresh_session(user_id=user.id)
    code = code_of(SecondFactor(user_id=user.id, seed=SEED), at=AT)
    with pytest.raises(CodeRefused):
        second_factor.set_up(here.id, SEED, "000000" if code != "000000" else "000001", actor=user, at=AT)
    assert second_factor.factor_of(user.id) is None
    codes = second_factor.set_up(here.id, SEED, code, actor=user, at=AT)
    assert (lacks(here), lacks(elsewhere)) == (None, "over")
    # The code that set it up is used.
    with pytest.raises(CodeRefused):
        second_factor.give(here.id, code, actor=user, at=AT)

    hashes = db.session.scalars(sa.select(RecoveryCode.code_hash)).all()
    assert len(codes) == len(set(codes)) == len(set(hashes)) == 10
    parameters = extract_parameters(hashes[0])
    assert (parameters.type.name, parameters.memory_cost >= 19 * 1024, parameters.time_cost >= 2) == (
        "ID",
        True,
        True,
    )
    written = f"{audited('second_factor.set_up')} {hashes} {caplog.text}"
    for secret in (SEED.hex(), second_factor.secret_of(user.id, SEED), *codes):
        assert secret not in written
    assert len(audited("second_factor.set_up")) == 1


def test_another_phone_takes_the_place_of_the_first(anna: Person) -> None:
    old = anna.code(1)
    codes = second_factor.set_up(
        anna.session.id,
        SEED,
        code_of(SecondFactor(user_id=anna.user.id, seed=SEED), at=AT),
        actor=anna.user,
        at=AT,
    )
    assert anna.is_refused(old, AT + timedelta(seconds=30))
    more = second_factor.new_codes(actor=anna.user)
    assert (anna.is_refused(codes[0]), anna.give(more[0])) == (True, 9)


def test_a_recovery_code_is_taken_once_as_it_is_typed(anna: Person) -> None:
    codes = second_factor.new_codes(actor=anna.user)
    typed = f" {codes[3][:4]}-{codes[3][4:8]} {codes[3][8:]}\n"
    assert anna.give(typed) == 9
    assert anna.is_refused(typed)
    assert anna.is_refused(second_factor.new_codes(actor=Person().user)[0])
    assert audited("second_factor.give")[-1]["recovery_codes_left"] == 9


def test_a_recovery_code_ends_with_its_year(anna: Person) -> None:
    code = second_factor.new_codes(actor=anna.user)[0]
    db.session.execute(sa.update(RecoveryCode).values(expires_at=sa.func.now()))
    assert (anna.is_refused(code), second_factor.codes_left(anna.user.id)) == (True, 0)


def test_recovery_codes_outlive_the_key_and_app_codes_do_not(anna: Person, change_settings: Any) -> None:
    codes, app_code = second_factor.new_codes(actor=anna.user), anna.code()
    change_settings(secret_key="another key of many characters")
    assert anna.is_refused(app_code)
    assert anna.give(codes[0]) == 9


def test_who_lost_it_is_helped_by_another_administrator(anna: Person) -> None:
    admin = make.staff()
    second_factor.new_codes(actor=anna.user)
    with pytest.raises(OwnAccount):
        second_factor.reset(anna.user.id, actor=anna.user)
    second_factor.reset(anna.user.id, actor=admin)
    assert (second_factor.factor_of(anna.user.id), lacks(anna.session)) == (None, "over")
    assert db.session.scalar(sa.select(sa.func.count()).select_from(RecoveryCode)) == 0
    assert len(audited("second_factor.switch_off")) == 1
    with pytest.raises(NoSecondFactor):
        second_factor.reset(anna.user.id, actor=admin)


def test_one_switches_ones_own_off_where_the_role_allows_it(anna: Person, change_settings: Any) -> None:
    other = make.refresh_session(user_id=anna.user.id, second_factor_at=make.soon())
    organizer = Person(role=UserRole.ORGANIZER)
    change_settings(development=False)
    with pytest.raises(SecondFactorNeeded):
        second_factor.switch_off(anna.session.id, actor=anna.user)
    second_factor.switch_off(organizer.session.id, actor=organizer.user)
    change_settings(development=True)
    second_factor.switch_off(anna.session.id, actor=anna.user)
    assert (lacks(organizer.session), lacks(anna.session), lacks(other)) == (None, None, "over")


@pytest.mark.parametrize("development", [True, False])
@pytest.mark.parametrize("role", [UserRole.ADMIN, UserRole.FINANCE, UserRole.ORGANIZER])
def test_a_session_lacks_what_its_role_needs(
    session: Any, change_settings: Any, role: UserRole, development: bool
) -> None:
    change_settings(development=development)
    without = make.refresh_session(user_id=make.staff(role).id)
    must = role is not UserRole.ORGANIZER and not development
    assert lacks(without) is (Lack.SET_UP if must else None)
    person = Person(role=role)
    assert lacks(person.session) is Lack.CODE
    person.give(person.code())
    assert lacks(person.session) is None


def test_the_password_waits_ten_minutes_for_the_code(anna: Person) -> None:
    aged(anna.session, issued_at=timedelta(minutes=9), last_seen_at=timedelta(0))
    assert lacks(anna.session) is Lack.CODE
    aged(anna.session, issued_at=timedelta(minutes=11))
    assert lacks(anna.session) == "over"
    aged(anna.session, second_factor_at=timedelta(minutes=11))
    assert lacks(anna.session) is None


def test_a_second_factor_is_fresh_for_ten_minutes(anna: Person) -> None:
    for minutes, is_fresh in ((0, True), (9, True), (11, False)):
        aged(anna.session, second_factor_at=timedelta(minutes=minutes))
        visit = accounts.session_user(anna.session.jti)
        assert visit is not None
        assert visit.is_fresh is is_fresh


def test_a_second_factor_goes_with_its_account(anna: Person) -> None:
    db.session.execute(sa.delete(RefreshSession))
    db.session.execute(sa.delete(User).where(User.id == anna.user.id))
    assert second_factor.owners() == set()
