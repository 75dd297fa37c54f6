"""The invariants of the domain as SQL: each check selects a line for every row that breaks it.

A check is one statement, so it sees one moment. What a job does a little later is no violation.
"""

from console.services.doctor_checks.bookings import HISTORY, SEATS
from console.services.doctor_checks.check import Check
from console.services.doctor_checks.crews import CREWS
from console.services.doctor_checks.notices import NOTICES
from console.services.doctor_checks.payments import PAYMENTS
from console.services.doctor_checks.tables import TABLES
from console.services.doctor_checks.waitlist import WAITLIST

CHECKS = (*SEATS, *HISTORY, *WAITLIST, *CREWS, *PAYMENTS, *NOTICES, *TABLES)

__all__ = ["CHECKS", "Check"]
