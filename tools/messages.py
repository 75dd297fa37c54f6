"""The Russian catalogue: `python -m tools.messages` brings it up to date with the source and compiles it.

`--check` changes nothing and exits 1 with one line for each message that is missing, empty, fuzzy or stale.
The labels of states and the sentences of errors are read from their classes: they are plain strings there.
"""

import argparse
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from console import errors, states

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "console" / "translations" / "ru" / "LC_MESSAGES" / "messages.po"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {
    "_": None,
    "_l": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "lazy_ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "lazy_pgettext": ((1, "c"), 2),
    "N_": None,
}


def source() -> Catalog:
    """Every message of the console, as an empty catalogue."""
    catalog = Catalog(locale="ru", project="Crewdeck", charset="utf-8", fuzzy=False)
    found = extract_from_dir(
        str(ROOT / "console"),
        METHODS,
        {"templates/**.html": {"silent": "false"}},
        KEYWORDS,
        comment_tags=("Translators:",),
    )
    for filename, _line, message, comments, context in found:
        catalog.add(message, "", [(f"console/{filename}", 0)], auto_comments=comments, context=context)
    for error in _subclasses(errors.ConsoleError):
        catalog.add(error.sentence(), "", [("console/errors.py", 0)])
    for enum in states.State.__subclasses__():
        for member in enum:
            catalog.add(member.label, "", [("console/states.py", 0)], context=enum.__name__)
    return catalog


def translated() -> Catalog:
    """The catalogue as it stands, brought up to date with the source."""
    with CATALOGUE.open("rb") as file:
        catalog = read_po(file, locale="ru")
    catalog.update(source(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def problems(catalog: Catalog) -> list[str]:
    """What keeps the catalogue from being complete, one line each."""
    lines = []
    for message in catalog:
        if not message.id:
            continue
        strings = message.string if isinstance(message.string, tuple | list) else [message.string]
        if not all(strings):
            lines.append(f"not translated: {message.id!r}")
        elif message.fuzzy:
            lines.append(f"fuzzy: {message.id!r}")
        else:
            lines += [f"{error}: {message.id!r}" for error in message.check(catalog)]
    return lines


def _subclasses(base: type[errors.ConsoleError]) -> list[type[errors.ConsoleError]]:
    return [base, *(found for child in base.__subclasses__() for found in _subclasses(child))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    if not CATALOGUE.exists():
        with CATALOGUE.open("wb") as file:
            write_po(file, Catalog(locale="ru", project="Crewdeck", fuzzy=False))
    catalog = translated()
    lines = problems(catalog)
    if check:
        with CATALOGUE.open("rb") as file:
            written = {(m.id, m.context) for m in read_po(file, locale="ru") if m.id}
        current = {(m.id, m.context) for m in catalog if m.id}
        lines += [f"stale catalogue: {key[0]!r}" for key in written ^ current]
    else:
        with CATALOGUE.open("wb") as file:
            write_po(file, catalog, width=100, sort_output=True, omit_header=False)
        with CATALOGUE.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalog)
    for line in lines:
        print(line)
    print(f"{len(catalog)} messages, {len(lines)} problems")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
