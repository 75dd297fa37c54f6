"""Manifests and the seat map as PDF, with our fonts inside, so that every printer knows the letters."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask_babel import gettext as _
from fpdf import FPDF
from fpdf.enums import TableBordersLayout, VAlign, XPos, YPos
from fpdf.fonts import FontFace

from console.models import Event
from console.services.seating.manifest import Manifest, Passenger
from console.views.formats import localtime, state_label

FONTS = Path(__file__).resolve().parents[2] / "static" / "vendor" / "inter-pdf"
# It tells every letter it keeps, which is to say people's names.
logging.getLogger("fontTools").setLevel(logging.WARNING)

#: Millimetres.
MARGIN = 14.0
LINE = 4.1
#: Seat, name, phone, notes, emergency contact; of the width between the margins.
COLUMNS = (7, 26, 18, 23, 26)
INK, PALE, RULE = (24, 28, 34), (108, 117, 130), (206, 211, 218)
#: Seats of a card on the map below which a card is as high as the next ones in its row.
MAP_LINE = 4.6


class Paper(FPDF):
    """A4 with the event above every page and its number, and when it was printed, below."""

    def __init__(self, event: Event, title: str, printed: str, *, landscape: bool = False) -> None:
        super().__init__(orientation="landscape" if landscape else "portrait", format="A4")
        self._event, self._title, self._printed = event, title, printed
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, margin=16)
        self.add_font("Inter", "", FONTS / "Inter_400Regular.ttf")
        self.add_font("Inter", "B", FONTS / "Inter_600SemiBold.ttf")
        # What Inter lacks, such as emoji in a name, is a box, and no reason to fail.
        self.set_text_color(*INK)
        self.set_draw_color(*RULE)
        self.set_title(f"{title}: {event.title}")
        self.set_creator("Crewdeck")

    def header(self) -> None:
        self.set_font("Inter", "B", 11)
        self.cell(0, 6, clipped(self, self._event.title, self.epw), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_font("Inter", "", 8)
        self.set_text_color(*PALE)
        facts = [self._title, localtime(self._event.date_start, self._event.timezone), _place(self._event)]
        line = "  ·  ".join(fact for fact in facts if fact)
        self.cell(0, 4.5, clipped(self, line, self.epw), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(*INK)
        self.set_line_width(0.2)
        self.line(self.l_margin, self.y + 1.2, self.w - self.r_margin, self.y + 1.2)
        self.ln(4)

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("Inter", "", 7)
        self.set_text_color(*PALE)
        self.cell(self.epw / 2, 4, self._printed)
        page = _("Page %(page)s of %(pages)s", page=self.page_no(), pages="{nb}")
        self.cell(self.epw / 2, 4, page, align="R")
        self.set_text_color(*INK)


def manifest(event: Event, manifests: Sequence[Manifest], printed: str) -> bytes:
    """A table for each crew; a crew begins on a new page when it does not fit on the one before."""
    paper = Paper(event, _("Manifest"), printed)
    paper.add_page()
    for number, crew in enumerate(manifests):
        if number:
            paper.ln(5)
        # A heading with three lines below it stays together; a crew of up to twenty seats does.
        high = 18 + LINE * 1.55 * min(len(crew.seats), 20)
        if number and paper.y + high > paper.h - 16:
            paper.add_page()
        _crew_table(paper, crew)
    return bytes(paper.output())


def _crew_table(paper: Paper, crew: Manifest) -> None:
    paper.set_font("Inter", "B", 12)
    paper.cell(0, 6.5, clipped(paper, crew.name, paper.epw), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_font("Inter", "", 8)
    paper.set_text_color(*PALE)
    taken = _("%(taken)s of %(seats)s seats taken", taken=len(crew.people), seats=crew.capacity)
    paper.cell(0, 4.5, f"{state_label(crew.type)}  ·  {taken}", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_text_color(*INK)
    paper.ln(1.5)
    paper.set_font("Inter", "", 8.5)
    with paper.table(
        col_widths=COLUMNS,
        line_height=LINE,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        text_align=("RIGHT", "LEFT", "LEFT", "LEFT", "LEFT"),
        headings_style=FontFace(emphasis="BOLD", size_pt=7.5, color=PALE),
        padding=(1.1, 1.4),
        v_align=VAlign.T,
    ) as table:
        table.row([_("Seat"), _("Full name"), _("Phone"), _("Notes"), _("In an emergency")])
        for seat in crew.seats:
            table.row(cells(seat))


def seat_map(event: Event, manifests: Sequence[Manifest], printed: str) -> bytes:
    """Every crew as a card with its seats, to be hung up where people come together."""
    paper = Paper(event, _("Seat map"), printed, landscape=True)
    paper.add_page()
    columns, gap = 4, 5.0
    width = (paper.epw - gap * (columns - 1)) / columns
    top = paper.y
    for start in range(0, len(manifests), columns):
        row = manifests[start : start + columns]
        high = max(_card_height(crew) for crew in row)
        if top + high > paper.h - 16 and start:
            paper.add_page()
            top = paper.y
        for number, crew in enumerate(row):
            _card(paper, crew, x=paper.l_margin + number * (width + gap), y=top, width=width, high=high)
        top += high + gap
    return bytes(paper.output())


def _card_height(crew: Manifest) -> float:
    return 12 + MAP_LINE * len(crew.seats)


def _card(paper: Paper, crew: Manifest, *, x: float, y: float, width: float, high: float) -> None:
    paper.set_line_width(0.25)
    paper.rect(x, y, width, high, round_corners=True, corner_radius=1.6)
    paper.set_xy(x + 3, y + 2)
    paper.set_font("Inter", "B", 10)
    paper.cell(width - 20, 5, clipped(paper, crew.name, width - 20))
    paper.set_font("Inter", "", 7.5)
    paper.set_text_color(*PALE)
    paper.cell(14, 5, f"{len(crew.people)} / {crew.capacity}", align="R")
    paper.set_text_color(*INK)
    for number, seat in enumerate(crew.seats):
        paper.set_xy(x + 3, y + 9 + number * MAP_LINE)
        paper.set_font("Inter", "", 7)
        paper.set_text_color(*PALE)
        paper.cell(6, MAP_LINE, str(seat if isinstance(seat, int) else seat.seat), align="R")
        paper.set_text_color(*INK)
        paper.set_font("Inter", "", 8.5)
        if isinstance(seat, Passenger):
            paper.cell(width - 13, MAP_LINE, clipped(paper, seat.name, width - 13))
        else:
            paper.line(x + 11, paper.y + MAP_LINE - 1.1, x + width - 4, paper.y + MAP_LINE - 1.1)


def cells(seat: Passenger | int) -> list[str]:
    """A line of a manifest; a free seat is a line to write on."""
    if isinstance(seat, int):
        return [str(seat), "", "", "", ""]
    return [
        str(seat.seat),
        printable(seat.name),
        seat.phone,
        printable(seat.notes),
        printable(seat.emergency),
    ]


def clipped(paper: FPDF, text: str, width: float) -> str:
    """`text` cut to what fits, with an ellipsis."""
    text = printable(text)
    if paper.get_string_width(text) <= width - 1:
        return text
    while text and paper.get_string_width(text + "…") > width - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def printable(text: str) -> str:
    """`text` without what no font has: control characters and those beyond the basic plane."""
    return "".join(letter for letter in text if letter.isprintable() and ord(letter) < 0x10000)


def _place(event: Event) -> str:
    location: Any = event.location
    name = location.get("name") if isinstance(location, dict) else None
    return name if isinstance(name, str) else ""
