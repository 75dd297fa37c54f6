"""What a reviewer is told of a proof, on real files: what was used before, what contradicts the booking."""

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from PIL import Image, ImageEnhance, ImageOps

from console.db import db
from console.models import Booking, PaymentReceipt, ProofFinding, User
from console.services import payments, proof_checks, proof_pages, receipts
from console.services.proof_checks import Finding, Kind
from console.states import ReceiptDecision, UserRole
from tests import make
from tests.services import samples

LINES = ("Перевод выполнен", "4 500 ₽", "22 ноября 2026, 14:05", "Мария К.", "482109-77120034")
OTHERS = ("Перевод выполнен", "12 700 ₽", "3 мая 2026, 09:41", "Иван П.", "907755-10026418")

_seconds = itertools.count()


def sent(content: bytes, booking: Booking | None = None) -> PaymentReceipt:
    """A proof that came in, a second after the one before it, and was inspected."""
    receipt = receipts.upload_proof((booking or make.booking()).id, content=content, actor=None)
    receipt.created_at = make.soon(seconds=next(_seconds) - 3600)
    db.session.flush()
    assert proof_pages.inspect_next()
    return receipt


@pytest.fixture
def finance() -> User:
    return make.staff(UserRole.FINANCE)


def found(receipt: PaymentReceipt, viewer: User | None = None) -> list[Finding]:
    return proof_checks.findings(receipt, viewer=viewer or make.staff(UserRole.ADMIN))


def kinds(receipt: PaymentReceipt) -> list[Kind]:
    return [finding.kind for finding in found(receipt)]


def picture(*lines: str, **options: Any) -> bytes:
    return samples.saved(samples.slip(*lines, **options))


def test_first_proof_of_its_kind_has_nothing_to_tell() -> None:
    assert found(sent(picture(*LINES))) == []


def test_same_file_is_found_whoever_sends_it_for_whatever_event() -> None:
    first = sent(picture(*LINES))
    second = sent(picture(*LINES))
    (finding,) = found(second)
    assert finding.kind is Kind.SAME_FILE
    assert finding.other is not None
    assert finding.other.receipt_id == first.id
    assert finding.other.event == first.payment.booking.event.title
    assert not finding.other.is_later
    # The one that came first tells of the second, too: it may wait for its review still.
    (mirrored,) = found(first)
    assert mirrored.other is not None
    assert (mirrored.other.receipt_id, mirrored.other.is_later) == (second.id, True)


def half(slip: Image.Image) -> bytes:
    return samples.saved(slip.resize((slip.width // 2, slip.height // 2), Image.Resampling.LANCZOS))


@pytest.mark.parametrize(
    "again",
    [
        lambda slip: samples.saved(slip, "JPEG", quality=40),
        lambda slip: samples.saved(slip, "WEBP", quality=60),
        half,
        lambda slip: samples.saved(slip.resize((slip.width * 2, slip.height * 2))),
        lambda slip: samples.saved(slip.convert("L")),
        lambda slip: samples.saved(slip, "PDF", resolution=110),
    ],
    ids=["poor jpeg", "webp", "half the size", "twice the size", "grey", "as a PDF"],
)
def test_picture_saved_anew_is_found(again: Any) -> None:
    slip = samples.slip(*LINES)
    first = sent(samples.saved(slip))
    (finding,) = found(sent(again(slip)))
    assert finding.kind is Kind.SAME_PICTURE
    assert finding.other is not None
    assert finding.other.receipt_id == first.id


@pytest.mark.parametrize(
    "again",
    [
        lambda slip: ImageEnhance.Brightness(slip).enhance(0.6),
        lambda slip: ImageEnhance.Brightness(slip).enhance(1.6),
        lambda slip: ImageEnhance.Brightness(slip).enhance(2.0),
        lambda slip: ImageEnhance.Contrast(slip).enhance(0.5),
        lambda slip: ImageEnhance.Contrast(slip).enhance(2.0),
        lambda slip: slip.crop((12, 12, slip.width - 12, slip.height - 12)),
        lambda slip: slip.crop((40, 40, slip.width - 40, slip.height - 40)),
        lambda slip: slip.crop((0, 200, slip.width, slip.height)),
        lambda slip: slip.crop((0, 0, slip.width, slip.height - 200)),
        lambda slip: ImageOps.expand(slip, 24, "black"),
        lambda slip: ImageEnhance.Brightness(slip).enhance(1.4).crop((10, 10, 530, 890)),
    ],
    ids=[
        *("darker", "lighter", "much lighter", "fainter", "harder", "a narrower frame", "no frame"),
        *("without its head", "without its foot", "a wider frame", "lighter and cut"),
    ],
)
def test_picture_that_was_cut_or_lightened_is_found(again: Any) -> None:
    slip = samples.slip(*LINES)
    first = sent(samples.saved(slip))
    (finding,) = found(sent(samples.saved(again(slip), "JPEG", quality=80)))
    assert finding.kind is Kind.SAME_PICTURE
    assert finding.other is not None
    assert finding.other.receipt_id == first.id


@pytest.mark.parametrize(
    "other",
    [
        (LINES[0], LINES[1], "23 ноября 2026, 18:31", LINES[3], "482109-80551207"),
        (LINES[0], LINES[1], LINES[2], "Иван П.", "482109-77120034"),
        (LINES[0], "7 300 ₽", LINES[2], "Ольга Н.", "482109-77120041"),
    ],
    ids=["the next day", "another payer", "another payer and amount"],
)
@pytest.mark.parametrize(
    "changed",
    [
        lambda slip: slip,
        lambda slip: ImageEnhance.Brightness(slip).enhance(1.5),
        lambda slip: slip.crop((15, 15, slip.width - 15, slip.height - 15)),
    ],
    ids=["as it is", "lightened", "cut"],
)
def test_other_transfers_by_the_same_bank_are_no_copies_however_they_were_changed(
    other: tuple[str, ...], changed: Any
) -> None:
    sent(picture(*LINES))
    assert found(sent(samples.saved(changed(samples.slip(*other))))) == []


def test_slip_with_one_digit_touched_up_looks_the_same() -> None:
    sent(picture(*LINES))
    assert kinds(sent(picture(LINES[0], "4 600 ₽", *LINES[2:]))) == [Kind.SAME_PICTURE]


def test_other_slips_of_the_same_bank_look_different() -> None:
    sent(picture(*LINES))
    assert found(sent(picture(*OTHERS))) == []


def test_blank_pages_are_like_nothing() -> None:
    for _ in range(2):
        sent(samples.saved(Image.new("RGB", (300 + _, 300), "white")))
    receipt = sent(samples.saved(Image.new("RGB", (400, 300), "white")))
    assert found(receipt) == []


def test_common_second_pages_are_no_news_and_common_first_pages_are() -> None:
    terms = samples.slip("Условия", "обслуживания", "клиентов", color="#777777")

    def paper(first: Image.Image) -> bytes:
        return samples.saved(first, "PDF", save_all=True, append_images=[terms], resolution=110)

    sent(paper(samples.slip(*LINES)))
    assert found(sent(paper(samples.slip(*OTHERS)))) == []
    # The terms alone, as the proof: that is seen.
    assert kinds(sent(samples.saved(terms))) == [Kind.SAME_PICTURE, Kind.SAME_PICTURE]


def slip_text(amount: str = "1 500,00 ₽", when: str | None = None, reference: str = "482109-77120034") -> str:
    today = datetime.now(UTC)
    return (
        f"Перевод выполнен\nСумма: {amount}\n"
        f"Дата: {when or f'{today:%d.%m.%Y} 14:05'}\nНомер операции: {reference}"
    )


def test_pdf_that_fits_the_booking_has_nothing_to_tell() -> None:
    assert found(sent(samples.written(slip_text()))) == []


def test_same_reference_of_the_bank_is_found_in_another_file() -> None:
    first = sent(samples.written(slip_text(when="–")))
    (finding,) = found(sent(samples.written("Чек\n" * 20 + slip_text(when="–"))))
    assert finding.kind is Kind.SAME_REFERENCE
    assert finding.facts == {"reference": "482109-77120034"}
    assert finding.other is not None
    assert finding.other.receipt_id == first.id


def test_transfer_that_staff_registered_by_the_same_number_is_found_before_and_after(finance: User) -> None:
    late, registered = make.booking(), make.booking(user_id=make.person().id)
    proof = sent(samples.written(slip_text(when="–", reference="ab82109-77120034")), late)
    assert found(proof) == []
    payments.register_transfer(
        registered.id, amount=Decimal(1500), reference="Ab82109-77120034 ", actor=make.staff(UserRole.FINANCE)
    )
    (finding,) = found(proof)
    assert finding.kind is Kind.REGISTERED
    assert finding.facts["booking_id"] == registered.id
    (finding,) = found(proof, make.staff(UserRole.FINANCE, late.event.organizer))
    assert finding.facts == {"reference": "AB82109-77120034"}


def test_short_code_is_no_reference_to_go_by() -> None:
    sent(samples.written(slip_text(when="–", reference="123456")))
    assert found(sent(samples.written("Чек\n" * 20 + slip_text(when="–", reference="123456")))) == []


def test_same_amount_at_the_same_minute_is_found() -> None:
    sent(samples.written(slip_text(reference="111111-11111111")))
    (finding,) = found(sent(samples.written("Чек\n" * 20 + slip_text(reference="222222-22222222"))))
    assert finding.kind is Kind.SAME_MOMENT
    assert finding.facts["moment"].startswith("1500.00 RUB ")


def test_amount_that_contradicts_the_booking_is_told_with_both() -> None:
    (finding,) = found(sent(samples.written(slip_text("1 050,00 ₽") + "\nКомиссия 30 ₽")))
    assert finding.kind is Kind.OTHER_AMOUNT
    assert finding.facts == {
        "found": [(Decimal("1050.00"), "RUB"), (Decimal("30.00"), "RUB")],
        "expected": Decimal("1500.00"),
        "currency": "RUB",
    }


@pytest.mark.parametrize("amount", ["1 500,00 ₽", "RUB 1,500.00"])
def test_amount_that_is_due_is_found_among_others(amount: str) -> None:
    assert kinds(sent(samples.written(slip_text(amount) + "\nКомиссия 15 ₽\nИтого 1 515 ₽"))) == []


def test_other_currency_is_another_amount() -> None:
    assert kinds(sent(samples.written(slip_text("1500.00 KZT")))) == [Kind.OTHER_AMOUNT]


@pytest.mark.parametrize("when", ["Nov 22, 2019", "22 ноября 2019 г."])
def test_day_that_contradicts_the_booking_is_told(when: str) -> None:
    (finding,) = found(sent(samples.written(slip_text(when=when))))
    assert finding.kind is Kind.OTHER_DATE
    assert finding.facts["found"] == [date(2019, 11, 22)]
    assert isinstance(finding.facts["booked"], datetime)


def test_transfer_of_the_evening_before_contradicts_nothing() -> None:
    evening = datetime.now(UTC) - timedelta(days=1)
    assert found(sent(samples.written(slip_text(when=f"{evening:%d.%m.%Y} 23:50")))) == []


def test_proof_without_a_text_layer_contradicts_nothing() -> None:
    assert found(sent(picture("1 ₽", "01.01.2001"))) == []


def test_earlier_rejections_of_the_person_are_counted(finance: User) -> None:
    booking = make.booking()
    first = sent(picture(*LINES), booking)
    receipts.reject_receipt(first.id, reason="blurred", actor=finance)
    second = sent(picture(*OTHERS), make.booking(user_id=booking.user_id))
    (finding,) = found(second)
    assert (finding.kind, finding.facts) == (Kind.REJECTED_BEFORE, {"count": 1})
    assert finding.other is not None
    assert finding.other.receipt_id == first.id
    assert found(first) == []


def test_second_attempt_with_the_same_file_says_that_it_is_of_this_booking(finance: User) -> None:
    booking = make.booking()
    first = sent(picture(*LINES), booking)
    receipts.reject_receipt(first.id, reason="blurred", actor=finance)
    same, rejected = found(sent(picture(*LINES), booking))
    assert (same.kind, rejected.kind) == (Kind.SAME_FILE, Kind.REJECTED_BEFORE)
    assert same.other is not None
    assert same.other.is_of_same_booking
    assert same.other.decision is ReceiptDecision.REJECTED


def test_reviewer_of_one_organizer_learns_only_that_there_is_another(finance: User) -> None:
    elsewhere = sent(picture(*LINES))
    receipts.reject_receipt(elsewhere.id, reason="blurred", actor=make.staff(UserRole.FINANCE))
    person = elsewhere.payment.booking.user_id
    ours = make.event()
    here = sent(picture(*LINES), make.booking(event_id=ours.id, user_id=person))
    limited = make.staff(UserRole.FINANCE, ours.organizer)
    (finding,) = found(here, limited)
    assert finding.kind is Kind.SAME_FILE
    assert finding.other == proof_checks.Other(None, is_of_same_booking=False, is_later=False)
    assert [each.kind for each in found(here, finance)] == [Kind.SAME_FILE, Kind.REJECTED_BEFORE]


def test_file_that_was_purged_is_still_recognised() -> None:
    first = sent(picture(*LINES))
    first.file_id = None
    db.session.flush()
    assert kinds(sent(picture(*LINES))) == [Kind.SAME_FILE]


def test_findings_of_many_receipts_cost_three_statements(count_queries: list[str]) -> None:
    first = sent(picture(*LINES))
    others = [sent(picture(*LINES)) for _ in range(4)]
    admin = make.staff(UserRole.ADMIN)
    ids = [first.id, *(each.id for each in others)]
    count_queries.clear()
    told = proof_checks.findings_of(ids, viewer=admin)
    assert len(count_queries) == 3
    assert len(told) == 5


def test_proof_that_went_round_tells_of_a_few_others_only() -> None:
    first = sent(picture(*LINES))
    for _ in range(proof_checks.MAX_OTHERS + 3):
        other = make.payment_receipt()
        db.session.add(
            ProofFinding(receipt_id=other.id, kind=Kind.SAME_FILE.value, other_receipt_id=first.id)
        )
    db.session.flush()
    assert kinds(first) == [Kind.SAME_FILE] * proof_checks.MAX_OTHERS
