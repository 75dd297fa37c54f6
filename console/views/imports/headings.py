"""Which column of a file is which of ours: by their names in every language, as exports and people write
them."""

from collections.abc import Sequence

from flask_babel import force_locale, gettext

from console.services import sheets
from console.services.sheets import Line
from console.views.i18n import LANGUAGES
from console.views.imports.cells import fold
from console.views.imports.spec import Import

#: A file may begin with a title; its headings are in one of its first rows.
LOOKED_AT = 10


def known(imports: Import) -> dict[str, str]:
    """Our columns, the id among them, by everything they may be called."""
    found: dict[str, str] = {}
    names = ["id", *imports.columns]
    for name in names:
        for alias in imports.aliases.get(name, ()):
            found.setdefault(fold(alias), name)
    # What a column is really called goes before what else it might be.
    for language in LANGUAGES:
        with force_locale(language):
            for name in names:
                labels = [imports.label(name)]
                if name in imports.columns:
                    labels.append(str(imports.columns[name].label))
                found.update({fold(label): name for label in labels})
    for name in names:
        found[fold(name)] = found[fold(name.removesuffix("_id"))] = name
    return found


def split(imports: Import, lines: Sequence[Line]) -> tuple[list[str], list[Line]]:
    """The headings, in the row that looks most like them, and the rows below. Raises InvalidInput."""
    words = known(imports)

    def likeness(line: Line) -> int:
        return len({words[fold(cell)] for cell in line[1] if fold(cell) in words})

    # Of several as good ones the first.
    best = max(range(min(len(lines), LOOKED_AT)), key=lambda index: (likeness(lines[index]), -index))
    head, rows = lines[best][1], list(lines[best + 1 :])
    if not rows:
        raise sheets.refused(gettext("there are no rows below the headings."))
    width = max(len(head), *(len(cells) for _, cells in rows))
    return head + [""] * (width - len(head)), rows


def mapped(imports: Import, head: Sequence[str]) -> list[str]:
    """Our column for each heading, each once; empty for what nobody knows."""
    words, taken = known(imports), set()
    mapping = []
    for heading in head:
        name = words.get(fold(heading), "")
        mapping.append("" if name in taken else name)
        taken.add(name)
    return mapping


def missing(imports: Import, mapping: Sequence[str]) -> list[str]:
    """Our columns without which no new record can be made, and that the file does not have."""
    return [name for name in imports.new if imports.is_needed(name) and name not in mapping]
