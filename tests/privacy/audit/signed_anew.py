"""A ledger's history, changed as its owner pleases and signed anew: the chain holds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from privacy.ledger_file import _lay_out
from privacy.records import BEGINNING, Record, _hash
from privacy.signed_head import sign_head
from privacy.signing import SigningKey

History = list[tuple[str, str, Any]]
"""Time, kind and content of each record."""
Replies = Sequence[tuple[int, bytes]]


def history_of(path: Path) -> tuple[History, Replies]:
    """Read what a ledger tells."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT time, kind, content FROM records ORDER BY sequence")
        told = [(time, kind, json.loads(content)) for time, kind, content in rows]
        return told, database.execute("SELECT entry, reply FROM replies").fetchall()


def sign_anew(path: Path, key: SigningKey, history: History, replies: Replies = ()) -> list[Record]:
    """Write a history into a new ledger, each record signed by ``key``."""
    path.unlink(missing_ok=True)
    records: list[Record] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN")
        _lay_out(database)
        region = history[0][2].get("region", "")
        previous = BEGINNING
        for sequence, (time, kind, content) in enumerate(history, start=1):
            if kind == "opened":
                content = content | {"public_key": key.public}
            text = json.dumps(content, sort_keys=True, separators=(",", ":"))
            digest = _hash(sequence, time, kind, text, previous)
            signed = sign_head(key, region, sequence, digest).signature
            records.append(Record(sequence, time, kind, text, previous, digest, signed))
            row = (sequence, time, kind, text, previous, digest)
            database.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", row)
            database.execute("INSERT INTO checkpoints VALUES (?, ?)", (sequence, signed))
            previous = records[-1].link
        database.executemany("INSERT INTO replies VALUES (?, ?)", replies)
        database.execute("COMMIT")
    return records
