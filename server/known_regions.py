"""Which regions may answer a run, and by which keys: the signed record of a server's folder.

known-regions.json  ->  the server's own signature  ->  each enrolled region's public key

``fedinterest server approve`` and ``revoke`` write it. Who can write the folder can put back an
older file: ``sequence`` grows with each decision, and within one run it never goes back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from privacy.configuration import kebab
from privacy.signing import PUBLIC_KEY, is_signed

TIME = r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$"
"""ISO 8601, UTC, milliseconds."""
_PREFIX = b"fedinterest known regions 1\n"
_LONGEST_FILE = 16 * 2**20
_ANEW = (
    "No region is known from it. Find out who changed it; "
    "`fedinterest server approve` of an enrolled region writes it anew."
)
_PublicKey = Annotated[str, Field(pattern=PUBLIC_KEY)]


class KnownRegionsError(Exception):
    """A record of known regions that cannot be trusted."""


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


class SignedRecord(_Strict):
    """The file's content."""

    format: Literal[1] = 1
    sequence: int = Field(ge=0)
    made: str = Field(pattern=TIME)
    regions: dict[str, KnownRegion]
    server_key: _PublicKey
    signature: str = ""

    def signed_message(self) -> bytes:
        """Return what the server signs: all but the signature."""
        content = self.model_dump(by_alias=True, exclude={"signature"})
        return _PREFIX + json.dumps(
            content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
        ).encode("ascii")


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


def read_known_regions(path: Path, server_key: str) -> KnownRegions:
    """Read the record and check that it is the server's own.

    Parameters
    ----------
    path : Path
    server_key : str
        Public key of the server, in hexadecimal.

    Raises
    ------
    KnownRegionsError
        If it is missing, was changed, or another key signed it.
    """
    try:
        with path.open("rb") as file:
            found = SignedRecord.model_validate(
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


class RegionKeys:
    """The keys by which regions may answer, read anew each time: what is revoked counts at once.

    Parameters
    ----------
    path : Path
        The signed record.
    server_key : str
        Public key of the server, in hexadecimal.

    Raises
    ------
    KnownRegionsError
        If the record cannot be trusted now.
    """

    def __init__(self, path: Path, server_key: str) -> None:
        self._path = path
        self._server_key = server_key
        self._sequence = 0
        self()

    def __call__(self) -> Mapping[str, str]:
        """Return the public key of each enrolled region, by its name.

        Raises
        ------
        KnownRegionsError
            If the record cannot be trusted, or is older than one that was read before.
        """
        found = read_known_regions(self._path, self._server_key)
        if found.sequence < self._sequence:
            raise KnownRegionsError(
                f"{self._path} is older than it was: decision {found.sequence}, after decision "
                f"{self._sequence}. Somebody has put an old file back, perhaps with a region that "
                f"was revoked since. {_ANEW}"
            )
        self._sequence = found.sequence
        return {name: region.ledger_key for name, region in found.regions.items()}


def _parse(content: bytes) -> Any:
    return json.loads(content.decode("ascii"), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Take each key once: of a doubled one, readers would not agree which counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
