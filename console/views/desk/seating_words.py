"""What the board's script says, in the language of the page. `{names}` are filled in by the script."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from console.states import BookingStatus, CrewType, State
from console.views.formats import state_label


def words() -> dict[str, Any]:
    """Every word by its name; one that depends on a number `{n}` is its forms by plural category."""
    return {
        "states": {s.value: {"label": state_label(s), "tone": s.color} for s in BookingStatus},
        "kinds": _labels(CrewType),
        **_people(),
        **_moves(),
        **_crews(),
        **_steps(),
        **_wishes(),
        **_proposals(),
    }


def _labels(states: type[State]) -> dict[str, str]:
    return {state.value: state_label(state) for state in states}


def _forms(of: Any) -> dict[str, str]:
    """The forms of a text by plural category: English has two of them, Russian three."""
    return {"one": of(1), "few": of(2), "many": of(5), "other": of(5)}


def _people() -> dict[str, Any]:
    return {
        "mark_met": _("sits with {names}, as wished"),
        "mark_unmet": _("wishes for {names}, none is here"),
        "mark_avoid": _("should not sit with {names}"),
        "mark_ended": _("the booking is no longer active: {state}"),
        "mark_locked": _("locked"),
        "mark_over": _("above the capacity"),
        "seat_free": _("{crew}, seat {seat}, free"),
        "seat_taken": _("{crew}, seat {seat}, {name}"),
        "row_label": _("{name}, {state}{wishes}{avoids}, without a place"),
        "row_wishes": _(", wishes for {names}"),
        "row_avoids": _(", avoids {names}"),
        "nobody_found": _("Nobody without a place is found by that."),
        "everybody_placed": _("Everybody has a place."),
        "no_bookings": _("Nobody has an active booking yet."),
        "sits": _("{crew}, seat {seat}"),
        "sits_nowhere": _("without a place"),
        "together": _("together"),
        "score_placed": _("{n} of {people} placed"),
        "score_met": _("{n} of {people} with a wish met"),
        "score_broken": _forms(lambda n: ngettext("{n} avoidance broken", "{n} avoidances broken", n)),
        "chosen": _forms(lambda n: ngettext("{n} person chosen", "{n} people chosen", n)),
        "people": _forms(lambda n: ngettext("{n} person", "{n} people", n)),
        "about_wishes": _("Wishes for"),
        "about_avoids": _("Avoids"),
        "about_wishedBy": _("Wished for by"),
        "about_avoidedBy": _("Avoided by"),
        "contradiction": _("contradicts: avoided"),
        "booking": _("Booking"),
        "close": _("Close"),
    }


def _moves() -> dict[str, Any]:
    return {
        "why": _("Why here"),
        "why_met": _("{n} of {all} wishes met."),
        "why_no_wishes": _("No wishes that count."),
        "why_calm": _("Nobody avoided is near."),
        "why_broken": _forms(
            lambda n: ngettext("{n} person here is to be avoided.", "{n} people here are to be avoided.", n)
        ),
        "why_nowhere": _("Has no place yet. These would suit best:"),
        "move_here": _("Move here"),
        "prospect_met": _forms(lambda n: ngettext("{n} wish met", "{n} wishes met", n)),
        "prospect_broken": _forms(lambda n: ngettext("{n} avoidance broken", "{n} avoidances broken", n)),
        "prospect_free": _forms(lambda n: ngettext("{n} free", "{n} free seats", n)),
        "prospect_full": _("full"),
        "move_to": _("Move to…"),
        "move_whom": _("Move {who}"),
        "take_out": _("Take out"),
        "to_list": _("to those without a place"),
        "lock": _("Lock"),
        "unlock": _("Unlock"),
        "edit_wishes": _("Wishes"),
        "is_locked": _("{name} is locked in place. Unlock them first."),
        "is_over": _("The booking of {name} is no longer active: they cannot be placed."),
        "crew_locked": _("{crew} is locked: nobody enters or leaves it."),
        "too_few": _forms(
            lambda n: ngettext(
                "{crew} has {n} free seat, too few for {people}.",
                "{crew} has {n} free seats, too few for {people}.",
                n,
            )
        ),
        "dropped": _("{name} sits in {crew}, seat {seat}."),
        "dropped_many": _("{people}: now in {crew}."),
        "swapped": _("{name} and {other} have swapped: {name} sits in {crew}, seat {seat}."),
        "replaced": _("{name} sits in {crew}, seat {seat}. {other} is without a place now."),
        "taken_out": _("{people}: without a place now."),
        "locked": _("{people}: locked."),
        "unlocked": _("{people}: unlocked."),
        "picked": _("{name} picked up. Choose a seat with the arrows, put down with Space, leave with Esc."),
        "picked_seat": _(
            "{name} picked up from {crew}, seat {seat}. Choose a seat with the arrows, put down with Space,"
            " leave with Esc."
        ),
        "picked_many": _forms(
            lambda n: ngettext(
                "{n} person picked up. Choose a crew by the arrows, put down with Space, leave with Esc.",
                "{n} people picked up. Choose a crew by the arrows, put down with Space, leave with Esc.",
                n,
            )
        ),
        "left": _("{name} stays where they were."),
        "over_free": _("{crew}, seat {seat}, free."),
        "over_person": _("{crew}, seat {seat}: swap with {name}."),
        "over_self": _("{crew}, seat {seat}: where they were."),
        "over_list": _("Without a place."),
        "news_move": _("{who} put {name} into {crew}, seat {seat}."),
        "news_out": _("{who} took {name} out."),
        "news_lock": _("{who} locked {name}."),
        "news_unlock": _("{who} unlocked {name}."),
        "news_many": _forms(lambda n: ngettext("{who} moved {n} person.", "{who} moved {n} people.", n)),
        "news_crews": _("{who} changed the seating."),
    }


def _crews() -> dict[str, Any]:
    return {
        "crew_label": _("{crew}, {n} of {seats} seats taken"),
        "crew_menu": _("What to do with {crew}"),
        "crew_over": _("More people than seats."),
        "crew_change": _("Change {crew}"),
        "crew_add": _("Add: {kind}"),
        "crew_added": _("Added: {crew}."),
        "crew_remove": _("Remove {crew}?"),
        "crew_removed": _("{crew} is removed."),
        "loses": _forms(
            lambda n: ngettext(
                "{n} person loses their place: {names}.", "{n} people lose their places: {names}.", n
            )
        ),
        "and_more": _forms(lambda n: ngettext("{names} and {n} more", "{names} and {n} more", n)),
        "save": _("Save"),
        "add": _("Add"),
    }


def _steps() -> dict[str, Any]:
    return {
        "undo_what": _("Undo: {what}"),
        "redo_what": _("Redo: {what}"),
        "undo_none": _("Nothing of yours to undo"),
        "redo_none": _("Nothing of yours to redo"),
        "undone": _("Undone."),
        "redone": _("Done again."),
        "step_move": _("move {name}"),
        "step_moves": _forms(lambda n: ngettext("move {n} person", "move {n} people", n)),
        "step_swap": _("swap"),
        "step_unplace": _("take out {name}"),
        "step_lock": _("lock {name}"),
        "step_unlock": _("unlock {name}"),
        "step_add_crew": _("add a crew"),
        "step_change_crew": _("change a crew"),
        "step_lock_crew": _("lock a crew"),
        "step_unlock_crew": _("unlock a crew"),
        "step_remove_crew": _("remove a crew"),
        "step_proposal": _("take over the proposal"),
        "step_import": _("import places"),
    }


def _wishes() -> dict[str, Any]:
    return {
        "wishes_of": _("Wishes of {name}"),
        "contradictions": _forms(lambda n: ngettext("{n} contradiction", "{n} contradictions", n)),
        "clash": _("{name} wishes for {other}, who avoids them"),
        "wishes_saved": _("The wishes of {name} are saved."),
        "unknown_person": _("somebody without a booking"),
        "remove_name": _("Remove {name}"),
        "matrix_none": _("{name} and {other}: nothing{says}"),
        "matrix_wish": _("{name} wishes for {other}. {says}"),
        "matrix_avoid": _("{name} avoids {other}. {says}"),
    }


def _proposals() -> dict[str, Any]:
    return {
        "auto_waits": _("The auto-seat waits for a worker."),
        "auto_runs": _("The auto-seat is searching."),
        "auto_of": _("The auto-seat is searching for {who}."),
        "auto_so_far": _("so far {placed} placed, {met} with a wish met, avoidances broken: {broken}"),
        "auto_stop": _("Stop, keep the best so far"),
        "auto_nothing": _("The auto-seat found nothing to change."),
        "auto_ready": _forms(
            lambda n: ngettext("Proposal ready: {n} person moves.", "Proposal ready: {n} people move.", n)
        ),
        "auto_moves": _forms(
            lambda n: ngettext("Proposal: {n} person moves", "Proposal: {n} people move", n)
        ),
        "auto_placed": _("placed"),
        "auto_met": _("with a wish met"),
        "auto_weight": _("worth of wishes"),
        "auto_broken": _("avoidances broken"),
        "auto_hide": _("Hide"),
        "auto_show": _("Look through it"),
        "auto_close": _("Put aside"),
        "auto_accept": _("Accept all"),
        "auto_changes": _("What would change"),
        "auto_take": _("Accept: {name}, to {to}"),
        "auto_take_crew": _("Accept {crew}: who leaves and who enters, {n}"),
        "auto_from": _("comes from: {from}"),
        "auto_stale": _("moved meanwhile"),
        "auto_why": _("Why {name} there"),
        "auto_accepted": _forms(lambda n: ngettext("{n} person moved.", "{n} people moved.", n)),
        "auto_refused": _("Left where they are: {who}."),
        "why_of": _("Why {name} there"),
        "why_gets": _("Sits with {names}, as wished."),
        "why_misses": _("Wishes not met: {names}."),
        "why_others": _("The best other crews, and what each would change for all:"),
        "why_other": _(
            "{crew}: avoidances {avoided}, people with a wish met {met}, worth of wishes {weight}"
        ),
        "why_other_swap": _(
            "{crew}, instead of {name}: avoidances {avoided}, with a wish met {met}, worth of wishes {weight}"
        ),
    }
