"""Which regions are enrolled, with which keys, as the server's runs can use it.

record of enrolments  ->  known-regions.json, signed by the server's request key  ->  a run

The file lets a run tell an answer of an enrolled region, signed with the key that it enrolled
with, from any other. Who can write the server's folder can put back an older file: ``sequence``
grows with each decision, so keep the last one seen where that matters.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployment.enrolment.errors import KnownRegionsError
from deployment.enrolment.request import TIME, spell_time
from deployment.enrolment.store import EnrolmentStore
from privacy.configuration import kebab
from privacy.signing import PUBLIC_KEY, SigningKey, is_signed

_PREFIX = b"fedinterest known regions 1\n"
_LONGEST_FILE = 16 * 2**20
_PublicKey = Annotated[str, Field(pattern=PUBLIC_KEY)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=kebab, validate_by_name=True
    )


class KnownRegion(_Strict):
    """One enrolled region."""

    ledger_key: _PublicKey
    """Signs its answers: Ed25519, hexadecimal."""
    node_id: str = Field(pattern=r"^[1-9][0-9]{0,19}$")
    """By which the SuperLink knows its SuperNode."""
    since: str = Field(pattern=TIME)
    """When it was approved."""


class _File(_Strict):
    format: Literal[1] = 1
    sequence: int = Field(ge=0)
    made: str = Field(pattern=TIME)
    regions: dict[str, KnownRegion]
    server_key: _PublicKey
    signature: str = ""

    def signed_message(self) -> bytes:
        return _PREFIX + _write(self.model_dump(by_alias=True, exclude={"signature"}))


@dataclass(frozen=True)
class KnownRegions:
    """The record, checked.

    Attributes
    ----------
    regions : mapping of str to KnownRegion
        By name.
    sequence : int
        Approvals and revocations until then.
    """

    regions: Mapping[str, KnownRegion]
    sequence: int


def write_known_regions(
    path: Path, store: EnrolmentStore, key: SigningKey, moment: datetime
) -> None:
    """Write the record anew from the server's decisions, whole or not at all.

    Raises
    ------
    KnownRegionsError
        If it cannot be written; the one before then stands.
    StoreError
        If the record of enrolments cannot be read.
    """
    with store.writing() as db:  # two decisions at one moment do not overtake each other here
        made = _File(
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
            raise KnownRegionsError(
                f"{path} cannot be written ({error.strerror}): the record of known regions is the "
                "one from before. Make room or set permissions right, and say the same again."
            ) from error


def read_known_regions(path: Path, server_key: str) -> KnownRegions:
    """Read the record and check that it is the server's own.

    Parameters
    ----------
    server_key : str
        Public key of the server, in hexadecimal.

    Raises
    ------
    KnownRegionsError
        If it is missing, was changed, or another key signed it.
    """
    try:
        with path.open("rb") as file:
            found = _File.model_validate(
                _parse(file.read(_LONGEST_FILE)), by_name=False, by_alias=True
            )
    except OSError as error:
        raise KnownRegionsError(
            f"{path} cannot be read ({error.strerror}). No region is known without it. "
            "`fedinterest server approve` writes it."
        ) from error
    except (ValidationError, ValueError, RecursionError) as error:
        raise KnownRegionsError(f"{path} is no record of known regions. {_ANEW}") from error
    if found.server_key != server_key:
        raise KnownRegionsError(
            f"{path} names the server key {found.server_key}, this server's is {server_key}. "
            f"{_ANEW}"
        )
    if not is_signed(found.signed_message(), found.signature, server_key):
        raise KnownRegionsError(f"{path} was changed after it was signed. {_ANEW}")
    return KnownRegions(MappingProxyType(found.regions), found.sequence)


_ANEW = (
    "No region is known from it. Find out who changed it; "
    "`fedinterest server approve` of an enrolled region writes it anew."
)


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


def _parse(content: bytes) -> Any:
    return json.loads(content.decode("ascii"), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Take each key once: of a doubled one, readers would not agree which counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _write(content: dict[str, Any]) -> bytes:
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")
