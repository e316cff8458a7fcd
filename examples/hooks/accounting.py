#!/usr/bin/python3
"""Adds up what each person transferred, in an SQLite file. Told of a disconnect twice, it counts it once.

  - { name: accounting, script: /etc/sallyport/hooks/accounting.py, events: [disconnect] }
"""

import json
import pathlib
import sqlite3
import sys

settings = pathlib.Path(__file__).with_suffix(".json")
database = "/var/lib/sallyport-accounting.sqlite"
if settings.exists():
    database = json.loads(settings.read_text(encoding="utf-8"))["database"]

# Standard input has everything the environment has, with its types: byte counts are numbers.
event = json.load(sys.stdin)

with sqlite3.connect(database, timeout=4) as accounts:
    accounts.execute(
        "CREATE TABLE IF NOT EXISTS sessions"
        " (event_id TEXT PRIMARY KEY, user_id TEXT, bytes_in INTEGER, bytes_out INTEGER, seconds INTEGER)"
    )
    # The event id is the same on every attempt: the second finds the row there.
    accounts.execute(
        "INSERT OR IGNORE INTO sessions VALUES (:eventId, :userId, :bytesIn, :bytesOut, :durationSeconds)",
        event,
    )
