"""What holds the house together and a linter cannot see."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from flask import Flask

from console.db import Base
from tools.messages import KEYWORDS

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = ROOT / "console"
#: Below the views nothing knows the web; `db` is the one door to Flask-SQLAlchemy.
WEBLESS = ("services", "gateways", "models", "states.py", "errors.py", "policy.py", "config.py")
#: What each layer may import of the console, besides itself.
BELOW = {
    "services": {"services", "gateways", "models", "states", "errors", "db", "config", "policy"},
    "gateways": {"gateways", "config", "errors", "states"},
    "models": {"models", "db", "states"},
    "states.py": {"errors"},
    "errors.py": set(),
}


def sources(name: str) -> list[Path]:
    path = CONSOLE / name
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The dotted names a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module == "console":
                names |= {f"console.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("layer", WEBLESS)
def test_nothing_below_the_views_imports_flask(layer: str) -> None:
    paths = sources(layer)
    assert paths
    for path in paths:
        web = {name for name in imported(path) if re.match(r"(flask|werkzeug|wtforms)\b", name)}
        assert not web, f"{path} imports {web}"


@pytest.mark.parametrize("layer", BELOW)
def test_imports_point_downwards(layer: str) -> None:
    for path in sources(layer):
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("console.")}
        assert ours <= BELOW[layer], f"{path} imports {ours - BELOW[layer]}"


def test_only_the_application_imports_views() -> None:
    for path in CONSOLE.rglob("*.py"):
        if path.is_relative_to(CONSOLE / "views") or path == CONSOLE / "__init__.py":
            continue
        assert not any(name.startswith("console.views") for name in imported(path)), path


def test_services_never_commit() -> None:
    for path in sources("services"):
        assert not re.search(r"\.(commit|rollback)\(\)", path.read_text()), path


def test_there_is_one_migration_head() -> None:
    assert len(ScriptDirectory(str(ROOT / "migrations")).get_heads()) == 1


def test_every_table_has_a_page(app: Flask) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    for table in Base.metadata.tables.values():
        if table.schema != "ops":
            assert f"/{table.schema}/{table.name}/" in rules


def test_no_file_grows_past_four_hundred_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for folder in ("console", "bench", "tests", "tools")
        for path in [*(ROOT / folder).rglob("*.py"), ROOT / "worker.py"]
        if (count := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_no_style_sheet_grows_past_what_is_read_in_one_go() -> None:
    sheets = [*(CONSOLE / "static" / "css").glob("*.css")]
    assert sheets
    assert not {path.name: count for path in sheets if (count := len(path.read_text().splitlines())) > 450}


def test_the_russian_catalogue_is_complete_and_fresh() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools.messages", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]


def test_no_message_hides_in_an_f_string() -> None:
    # There the catalogue does not find it before Python 3.12, and it stays English without a word.
    hidden = [
        f"{path}: {ast.unparse(call)}"
        for path in sorted(CONSOLE.rglob("*.py"))
        for text in ast.walk(ast.parse(path.read_text()))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
        if isinstance(call.func, ast.Name) and call.func.id in KEYWORDS
    ]
    assert not hidden


def test_pages_load_nothing_from_elsewhere() -> None:
    ours = [*(CONSOLE / "static" / "js").rglob("*.js"), *(CONSOLE / "static" / "css").glob("*.css")]
    for path in [*CONSOLE.rglob("templates/**/*.html"), *ours]:
        outside = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//[^\"')\s]+", path.read_text())
        assert not outside, f"{path}: {outside}"


def test_templates_have_no_inline_handlers_or_styles() -> None:
    for path in CONSOLE.rglob("templates/**/*.html"):
        text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"<[^>]*\s(on[a-z]+|style)=[\"']", text), path


def test_templates_translate_only_what_stands_in_them() -> None:
    # Jinja takes what gettext returns for safe HTML: a value from elsewhere would run.
    for path in CONSOLE.rglob("templates/**/*.html"):
        text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"(?<![\w.])(_|gettext|ngettext)\((?!\s*[\"'])", text), path


def test_every_icon_that_is_named_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([^"]+)"', (CONSOLE / "static" / "icons.svg").read_text()))
    scripts = (CONSOLE / "static" / "js").rglob("*.js")
    named: set[str] = set()
    for path in [*CONSOLE.rglob("templates/**/*.html"), *scripts, *sources("views")]:
        named |= set(re.findall(r"""(?:\bicon\(|_icon = |"icon": )["']([a-z0-9-]+)["']""", path.read_text()))
    assert len(named) > 50
    assert named <= drawn, named - drawn


def test_vendored_packages_carry_their_licences() -> None:
    packages = [path for path in (CONSOLE / "static" / "vendor").iterdir() if path.is_dir()]
    assert packages
    for package in packages:
        assert any("licen" in path.name.lower() for path in package.rglob("*")), package


def test_no_test_empties_the_redis_of_another_worker() -> None:
    # One server serves every xdist worker, a database each: only the own one may be emptied.
    word = "flush" + "all"
    culprits = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if word in path.read_text().lower()
    ]
    assert culprits == []
