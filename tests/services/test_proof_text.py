"""What the text of a proof says, as banks write it in Russian and in English."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from console.services.proof_text import Money, read


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("Сумма: 4 500,00 ₽", "4500", "RUB"),
        ("Сумма 4\N{NO-BREAK SPACE}500,00\N{NO-BREAK SPACE}₽", "4500", "RUB"),
        ("Итого 12\N{NARROW NO-BREAK SPACE}345 руб.", "12345", "RUB"),
        ("4500.00 RUB", "4500", "RUB"),
        ("RUB 4,500.00", "4500", "RUB"),
        ("Amount: 4500 RUR", "4500", "RUB"),
        ("1 234 567,8 рублей", "1234567.8", "RUB"),
        ("4500р.", "4500", "RUB"),
        ("$1,200.50", "1200.5", "USD"),
        ("€ 45", "45", "EUR"),
        ("4.500,00 €", "4500", "EUR"),
        ("Сумма\n900 ₽", "900", "RUB"),
        ("120,50 BYN", "120.5", "BYN"),
        ("50 000 ₸", "50000", "KZT"),
    ],
)
def test_amount_is_read_as_it_is_written(text: str, amount: str, currency: str) -> None:
    assert read(text).amounts == (Money(Decimal(amount), currency),)


@pytest.mark.parametrize(
    "text",
    [
        "Счёт 40817810099910004312",
        "Телефон +7 900 123-45-67",
        "ИНН 7707083893",
        "22.11.2026 14:05",
        "0,00 ₽",
        "Комиссия 0 ₽",
        "Карта *4500",
        "",
    ],
)
def test_numbers_without_a_currency_are_no_amounts(text: str) -> None:
    assert read(text).amounts == ()


def test_several_amounts_are_each_read_once() -> None:
    said = read("Сумма 4 500,00 ₽\nКомиссия 45 ₽\nИтого 4 545,00 ₽\nСумма 4 500 ₽")
    assert [each.amount for each in said.amounts] == [Decimal(4500), Decimal(45), Decimal(4545)]


@pytest.mark.parametrize(
    "text",
    [
        "22.11.2026",
        "22.11.26",
        "22/11/2026",
        "22-11-2026",
        "2026-11-22",
        "Nov 22, 2026",
        "November 22nd, 2026",
        "22 Nov 2026",
        "22 November 2026",
        "22 ноября 2026",
        "22 ноября 2026 г.",
        "22 нояб. 2026",
        "11/22/2026",
        "Дата: 22.11.2026, сумма",
    ],
)
def test_day_is_read_as_it_is_written(text: str) -> None:
    assert read(text).dates == (date(2026, 11, 22),)


@pytest.mark.parametrize(
    ("word", "month"),
    [
        ("января", 1), ("февраля", 2), ("марта", 3), ("апреля", 4), ("мая", 5), ("июня", 6), ("июля", 7),
        ("августа", 8), ("сентября", 9), ("октября", 10), ("ноября", 11), ("декабря", 12), ("май", 5),
    ],
)  # fmt: skip
def test_a_day_is_read_with_its_russian_month(word: str, month: int) -> None:
    assert read(f"7 {word} 2026 года").dates == (date(2026, month, 7),)


@pytest.mark.parametrize(
    "text",
    [
        "22.11.2026 14:05",
        "22.11.2026 в 14:05:33",
        "22 ноября 2026, 14:05 (МСК)",
        "22 ноября 2026 г. в 14:05",
        "22 ноября 2026 года, 14:05",
        "Nov 22, 2026 at 2:05 PM",
        "2026-11-22T14:05:00",
        "2026-11-22 14:05",
    ],
)
def test_minute_beside_the_day_is_read(text: str) -> None:
    assert read(text).moments == (datetime(2026, 11, 22, 14, 5),)  # noqa: DTZ001 - as the bank's clock says


def test_day_that_can_be_read_in_two_ways_means_both() -> None:
    assert set(read("03/04/2026").dates) == {date(2026, 4, 3), date(2026, 3, 4)}


@pytest.mark.parametrize(
    "text", ["31.02.2026", "99.99.2026", "версия 1.2.26.4", "+7 900 22-11-20261", "14:05"]
)
def test_what_is_no_day_is_not_read(text: str) -> None:
    assert read(text).dates == ()


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Номер операции 482109-77120034", "482109-77120034"),
        ("Номер операции\n482109-77120034", "482109-77120034"),
        ("Номер документа: 1000000012345", "1000000012345"),
        ("Идентификатор операции в СБП A6326084512345670G00050011700501", "A6326084512345670G00050011700501"),
        ("Идентификатор операции СБП: b6326084512345670g0005", "B6326084512345670G0005"),
        ("Код авторизации 123456", "123456"),
        ("Квитанция № 1-12-345-678-901", "1-12-345-678-901"),
        ("Transaction ID: 9F88120045", "9F88120045"),
        ("Payment reference 2026112200451", "2026112200451"),
        ("RRN: 632612345678", "632612345678"),
    ],
)
def test_reference_of_the_bank_is_read(text: str, reference: str) -> None:
    assert read(text).references == (reference,)


@pytest.mark.parametrize(
    "text", ["Номер счёта 40817810099910004312", "Reference: thank you", "Номер операции: нет", "Ref 12"]
)
def test_other_numbers_and_words_are_no_reference(text: str) -> None:
    assert read(text).references == ()


def test_a_whole_slip_gives_its_amount_its_day_and_its_number() -> None:
    said = read(
        "Перевод выполнен\n4 500 ₽\nДата и время\n22 ноября 2026, 14:05 (МСК)\nОтправитель\nМария К.\n"
        "Счёт списания\n40817810•••••4312\nНомер операции\n482109-77120034\nКомиссия\n0 ₽"
    )
    assert said.amounts == (Money(Decimal(4500), "RUB"),)
    assert said.dates == (date(2026, 11, 22),)
    assert said.references == ("482109-77120034",)


def test_a_long_text_is_read_to_its_end_and_says_little() -> None:
    """A pattern that tries every way through it would never be done."""
    said = read("1 " * 10_000 + "22 ноя " * 5_000 + "номер операции " * 3_000 + "9" * 20_000)
    assert said.references == ("9" * 64,)
    assert (said.amounts, said.dates) == ((), ())
