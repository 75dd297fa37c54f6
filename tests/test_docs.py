"""The README and docs/ name only what there is."""

import re
from pathlib import Path

import click
import pytest
from flask import Flask

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)")
#: A path of the project in backticks: a folder's, or with the end of a file.
PATH = re.compile(r"`((?:console|bench|tests|tools|docs|migrations)/[\w./-]*|[\w/-]+\.(?:py|wasm|c|md))`")
PLACES = (ROOT, ROOT / "console", ROOT / "console" / "services" / "seating")
COMMAND = re.compile(r"`(?:flask (?:--app wsgi )?)?((?:staff|jobs|schema|seating|db) [a-z-]+|doctor|demo)\b")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_is_there(page: Path) -> None:
    for path in PATH.findall(page.read_text()):
        assert any((place / path).exists() for place in PLACES), path


def test_the_readme_leads_to_every_page() -> None:
    linked = {target for target, _ in LINK.findall(PAGES[0].read_text())}
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= linked


def test_every_command_exists(app: Flask) -> None:
    named = {name for page in PAGES for name in COMMAND.findall(page.read_text())}
    assert {"staff create", "jobs run", "db upgrade", "doctor"} <= named
    for name in named:
        command: click.Command | None = app.cli
        for part in name.split():
            assert isinstance(command, click.Group), name
            command = command.commands.get(part)
        assert command is not None, name
