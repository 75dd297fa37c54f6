"""`flask staff`."""

import pytest
import sqlalchemy as sa

from console.db import db
from console.models import AuditLog, RefreshSession, User
from console.services import accounts
from console.states import UserRole
from tests import make

PASSWORD = "correct horse battery"


@pytest.fixture
def run(app, session):
    """Runs `flask staff …` on the test's own session; what stands in `typed` comes from standard input."""
    runner = app.test_cli_runner()

    def run(*words, typed=""):
        return runner.invoke(args=["staff", *words], input=typed)

    return run


def user(name):
    return db.session.scalar(sa.select(User).where(User.username == name))


def test_staff_is_made_from_standard_input(run):
    make.organizer(slug="ural")
    done = run(
        "create",
        "maria",
        "--role",
        "organizer",
        "--organizer",
        "ural",
        "--password-stdin",
        typed=PASSWORD + "\n",
    )
    assert (done.exit_code, done.output) == (0, "maria can sign in as ORGANIZER of ural.\n")
    assert accounts.sign_in("maria", PASSWORD)
    created = db.session.scalars(sa.select(AuditLog).where(AuditLog.action == "create")).one()
    assert (created.target_id, created.actor_user_id) == (user("maria").id, None)


def test_password_is_asked_for_twice_and_not_shown(run):
    done = run("create", "maria", "--role", "ADMIN", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    assert PASSWORD not in done.output
    assert accounts.sign_in("maria", PASSWORD)


@pytest.mark.parametrize(
    ("words", "typed", "text"),
    [
        (("--role", "ADMIN"), "short\n", "Password: use at least 12 characters."),
        (("--role", "ADMIN"), "", "Password: use at least 12 characters."),
        (("--role", "USER"), PASSWORD, "Invalid value for '--role'"),
        (("--role", "ORGANIZER", "--organizer", "nobodys"), PASSWORD, "Organizer: nobodys"),
        ((), PASSWORD, "Missing option '--role'"),
    ],
)
def test_unfit_staff_is_one_line_and_a_failure(run, words, typed, text):
    done = run("create", "maria", *words, "--password-stdin", typed=typed)
    assert done.exit_code != 0
    assert text in done.output
    assert "Traceback" not in done.output
    assert user("maria") is None


def test_organizer_without_organizers_is_told(run):
    done = run("create", "maria", "--role", "ORGANIZER", "--password-stdin", typed=PASSWORD)
    assert "sees nothing until an organizer is given" in done.output


def test_new_password_signs_everybody_out(run):
    maria = make.staff(username="maria")
    row = make.refresh_session(user_id=maria.id)
    assert run("password", "maria", "--password-stdin", typed=PASSWORD).exit_code == 0
    assert db.session.get(RefreshSession, row.id, populate_existing=True).revoked_at
    assert accounts.sign_in("maria", PASSWORD)


def test_role_and_sessions_are_taken_away(run):
    maria = make.staff(username="maria")
    make.refresh_session(user_id=maria.id)
    db.session.commit()
    assert run("role", "maria", "USER").exit_code == 1, "the last administrator"
    make.staff()
    assert run("sign-out", "maria").output == "1 sessions of maria ended.\n"
    assert run("role", "maria", "user").exit_code == 0
    db.session.refresh(maria)
    assert maria.role is UserRole.USER


def test_list_names_staff_only(run):
    make.user(username="participant")
    make.staff(username="maria", active=False)
    assert run("list").output.split() == ["maria", "ADMIN", "inactive"]


def test_unknown_name_is_one_line(run):
    done = run("sign-out", "nobody")
    assert (done.exit_code, done.output) == (1, "Error: There is no such record. It may have been removed.\n")


def test_a_lost_second_factor_is_forgotten(run):
    maria = make.staff(username="maria")
    row = make.refresh_session(user_id=maria.id)
    make.second_factor(user_id=maria.id)
    assert "second factor" in run("list").output
    done = run("reset-second-factor", "maria")
    assert done.exit_code == 0
    assert "signs in with the password alone" in done.output
    assert db.session.get(RefreshSession, row.id, populate_existing=True).revoked_at
    assert run("list").output.split() == ["maria", "ADMIN"]
    assert "maria has no second factor." in run("reset-second-factor", "maria").output
    assert run("reset-second-factor", "nobody").exit_code == 1
