"""The web process: `gunicorn wsgi:app`, and what `flask --app wsgi …` finds."""

import sys

from console import create_app
from console.commands import seating
from console.config import SettingError

try:
    app = seating.alone() if seating.asked_alone(sys.argv) else create_app()
except SettingError as error:
    print(error, file=sys.stderr)  # noqa: T201 - one line instead of a traceback
    # gunicorn takes this code as "do not try again".
    sys.exit(3)
