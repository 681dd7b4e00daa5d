"""Write which regions are enrolled, with which keys, for the server's runs.

record of enrolments  ->  known-regions.json, signed by the server's request key  ->  a run

:mod:`server.known_regions` reads it. Who can write the server's folder can put back an older
file: ``sequence`` grows with each decision, so keep the last one seen where that matters.
"""

from __future__ import annotations

import json
import os
import sqlite3
from datetime import datetime
from pathlib import Path

from deployment.enrolment.errors import KnownRegionsWriteError
from deployment.enrolment.request import spell_time
from deployment.enrolment.store import EnrolmentStore
from privacy.signing import SigningKey
from server.known_regions import KnownRegion, KnownRegions, SignedRecord


def write_known_regions(
    path: Path, store: EnrolmentStore, key: SigningKey, moment: datetime
) -> None:
    """Write the record anew from the server's decisions, whole or not at all.

    Raises
    ------
    KnownRegionsWriteError
        If it cannot be written; the one before then stands.
    StoreError
        If the record of enrolments cannot be read.
    """
    with store.writing() as db:  # two decisions at one moment do not overtake each other here
        made = SignedRecord(
            sequence=_sequence(db),
            made=spell_time(moment),
            regions=_approved(db),
            server_key=key.public,
        )
        signed = made.model_copy(update={"signature": key.sign(made.signed_message())})
        content = json.dumps(signed.model_dump(by_alias=True), indent=1, sort_keys=True)
        new = path.with_name(path.name + ".new")
        try:
            with new.open("w", encoding="ascii") as file:
                file.write(content + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            _make_durable(path.parent)
        except OSError as error:
            raise KnownRegionsWriteError(
                f"{path} cannot be written ({error.strerror}): the record of known regions is the "
                "one from before. Make room or set permissions right, and say the same again."
            ) from error


def is_current(known: KnownRegions, store: EnrolmentStore) -> bool:
    """Tell whether a record says what the server's decisions say now."""
    with store.reading() as db:
        return dict(known.regions) == _approved(db) and known.sequence == _sequence(db)


def _approved(db: sqlite3.Connection) -> dict[str, KnownRegion]:
    rows = db.execute("SELECT * FROM enrolments WHERE state = 'approved' ORDER BY region")
    return {
        row["region"]: KnownRegion(
            ledger_key=row["ledger_key"], node_id=row["node_id"], since=row["approved_at"]
        )
        for row in rows
    }


def _sequence(db: sqlite3.Connection) -> int:
    (count,) = db.execute(
        "SELECT count(approved_at) + count(CASE WHEN approved_at IS NOT NULL THEN ended_at END)"
        " FROM enrolments"
    ).fetchone()
    return int(count)


def _make_durable(folder: Path) -> None:
    """Bring a folder's entries to the disk, so that a replaced file stays replaced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
