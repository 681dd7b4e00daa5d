"""The request to be enrolled, in its one canonical form, with three proofs.

fields  ->  canonical bytes  ->  signed by the token's, the node's and the ledger's key  ->  body

There is one way to write a request: what was received is read, written again and compared byte by
byte. Doubled keys, NaN, other spellings of a number or a letter are refused by that, all alike.
"""

from __future__ import annotations

import json
import platform
import secrets
import unicodedata
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from deployment.enrolment.errors import EnrolmentError
from deployment.enrolment.keys import NODE_KEY, NodeKey, is_signed_by_node
from deployment.enrolment.token import Token
from privacy.configuration import kebab
from privacy.record_values import is_printable
from privacy.signing import PUBLIC_KEY, is_signed
from server.known_regions import TIME

ROUTE = "/v1/enrol"
LONGEST_BODY = 16 * 1024
"""Bytes."""
LONGEST_REGION = 128
"""Characters, as in policies."""
_PREFIX = b"fedinterest enrolment request 1\n"
"""Nothing else that these keys sign starts so: no signature serves for two purposes."""

_Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z.+!-]{1,40}$")]


class MalformedRequestError(Exception):
    """Bytes that are no request in canonical form; the text is for the server's records."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=kebab)


class EnrolmentRequest(_Strict):
    """What a region says about itself."""

    format: Literal[1] = 1
    region: str
    token: str = Field(pattern=PUBLIC_KEY)
    """The verifier of the token, not the token."""
    node_key: str = Field(pattern=NODE_KEY)
    """Public, EC P-384: by it the SuperLink will know the region's SuperNode."""
    ledger_key: str = Field(pattern=PUBLIC_KEY)
    """Public, Ed25519: signs the region's answers and the heads of its ledger."""
    fedinterest: _Version
    flower: _Version
    python: _Version
    encoder: str = Field(default="", max_length=200)
    """Name of the language model; empty if not at hand."""
    encoder_fingerprint: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    time: str = Field(pattern=TIME)
    nonce: str = Field(pattern=r"^[0-9a-f]{32}$")
    """128 random bits: no two requests are the same."""

    @field_validator("region")
    @classmethod
    def _is_a_name(cls, region: str) -> str:
        return check_region(region)

    @field_validator("encoder")
    @classmethod
    def _can_be_shown(cls, encoder: str) -> str:
        if not is_printable(encoder):
            raise ValueError("an encoder's name is one line of printable text")
        return encoder

    @field_validator("time")
    @classmethod
    def _is_a_moment(cls, time: str) -> str:
        datetime.fromisoformat(time)
        return time

    @property
    def moment(self) -> datetime:
        """When it was made, by the region's clock."""
        return datetime.fromisoformat(self.time)

    def canonical(self) -> bytes:
        """Return the one way in which this request is written."""
        return _write(self.model_dump(by_alias=True))

    def signed_message(self) -> bytes:
        """Return what the three keys sign."""
        return _PREFIX + self.canonical()


class Proofs(_Strict):
    """Signatures over the whole request: by the token's key and by both private keys."""

    token: str = Field(pattern=r"^[0-9a-f]{128}$")
    node: str = Field(pattern=r"^[0-9a-f]{16,220}$")
    """ECDSA, DER."""
    ledger: str = Field(pattern=r"^[0-9a-f]{128}$")


class SignedRequest(_Strict):
    """What crosses the network."""

    request: EnrolmentRequest
    proofs: Proofs

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a body.

        Raises
        ------
        MalformedRequestError
            If it is not exactly what ``write`` gives for some request.
        """
        try:
            content = json.loads(body.decode("ascii"), parse_constant=_refuse)
            signed = cls.model_validate(content, by_name=False, by_alias=True)
        except ValidationError as error:
            found = {".".join(map(str, problem["loc"])) for problem in error.errors()}
            known = found & _KNOWN_PLACES
            raise MalformedRequestError(f"wrong: {', '.join(sorted(known)) or 'keys'}") from None
        except (ValueError, RecursionError):
            raise MalformedRequestError("no JSON") from None
        if signed.write() != body:
            raise MalformedRequestError("not in canonical form")
        return signed

    def write(self) -> bytes:
        """Return the body."""
        return _write(self.model_dump(by_alias=True))

    def broken_proof(self) -> str | None:
        """Return the name of a proof that does not hold: ``token``, ``node`` or ``ledger``."""
        message = self.request.signed_message()
        if not is_signed(message, self.proofs.token, self.request.token):
            return "token"
        if not is_signed_by_node(message, self.proofs.node, self.request.node_key):
            return "node"
        if not is_signed(message, self.proofs.ledger, self.request.ledger_key):
            return "ledger"
        return None


_KNOWN_PLACES = {
    *(f"request.{kebab(name)}" for name in EnrolmentRequest.model_fields),
    *(f"proofs.{kebab(name)}" for name in Proofs.model_fields),
    "request",
    "proofs",
}
"""A place in a malformed request is told only if it is one of ours: others are its sender's."""


def check_region(region: str) -> str:
    """Return a region's name if it can be one.

    Raises
    ------
    ValueError
        If it is empty, too long, not printable in one line, or there is another spelling of the
        same letters (Unicode NFC is the one that counts).
    """
    if not 1 <= len(region) <= LONGEST_REGION or region != region.strip():
        raise ValueError(f"a region's name has 1 to {LONGEST_REGION} characters, no space around")
    if not is_printable(region) or not region.isprintable() or set("{}") & set(region):
        raise ValueError("a region's name is one line of printable text without braces")
    if unicodedata.normalize("NFC", region) != region:
        raise ValueError("a region's name is spelled in Unicode's composed form (NFC)")
    return region


def spell_time(moment: datetime) -> str:
    """Write a moment as requests and records do: ISO 8601, UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def make_request(
    *,
    region: str,
    token: Token,
    node_key: NodeKey,
    ledger_key: str,
    moment: datetime,
    encoder: str = "",
    encoder_fingerprint: str = "",
) -> EnrolmentRequest:
    """Make a request about this installation.

    Parameters
    ----------
    ledger_key : str
        Public, in hexadecimal.

    Raises
    ------
    EnrolmentError
        If something cannot be said in a request, such as the name of the region.
    """
    try:
        return EnrolmentRequest.model_validate(
            {
                "region": region,
                "token": token.verifier,
                "node-key": node_key.public,
                "ledger-key": ledger_key,
                "fedinterest": version("fedinterest"),
                "flower": version("flwr"),
                "python": platform.python_version(),
                "encoder": encoder,
                "encoder-fingerprint": encoder_fingerprint,
                "time": spell_time(moment),
                "nonce": secrets.token_hex(16),
            }
        )
    except ValidationError as error:
        told = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise EnrolmentError(f"No request can be made ({told}). Nothing was sent.") from error


def _write(content: dict[str, Any]) -> bytes:
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
