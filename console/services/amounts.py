"""Amounts as people read them."""

from decimal import Decimal, InvalidOperation
from typing import Any

from babel.numbers import format_currency


def money(amount: Any, currency: str, language: str) -> str | None:
    """An amount written out; None for what is none."""
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return None
    if not value.is_finite():
        return None
    pattern = (
        "#,##0\N{NO-BREAK SPACE}¤" if value == value.to_integral_value() else "#,##0.00\N{NO-BREAK SPACE}¤"
    )
    return format_currency(value, currency, pattern, language, currency_digits=False)
