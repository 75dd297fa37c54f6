"""Every test of a service has a session that is rolled back."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _session(session: Any) -> None:
    """Services read and write through `db.session`."""
