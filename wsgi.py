"""The web process: `gunicorn wsgi:app`, and what `flask --app wsgi …` finds."""

from console import create_app

app = create_app()
