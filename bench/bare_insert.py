"""What `bench/webhooks.py` compares with: one route that inserts one row, and nothing else."""

import os
import threading

import psycopg
from flask import Flask, request

app = Flask(__name__)
connections = threading.local()


@app.post("/insert")
def insert() -> str:
    """Inserts the body as a row."""
    if not hasattr(connections, "mine"):
        connections.mine = psycopg.connect(os.environ["BARE_DATABASE_URL"], autocommit=True)
    connections.mine.execute("INSERT INTO bare (body) VALUES (%s)", (request.get_data(as_text=True),))
    return "{}"
