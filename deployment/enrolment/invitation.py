"""One file with what a region needs to know of a server: where, who, and a one-time token.

The server's operator makes it, and gives it to the region's in a way that nobody else reads or
changes: who could change it could name another server.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import tomli_w
from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployment.enrolment.errors import TokenError
from deployment.enrolment.token import Token
from privacy.configuration import kebab, read_toml

_HEADER = "# An invitation to take part. Good for one region, once; keep it secret until then.\n"


class _File(BaseModel):
    """What the file says."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=kebab)

    region: str = Field(min_length=1)
    server: str = Field(pattern=r"^[^\s/@]+:\d{1,5}$")
    server_key: str = Field(pattern=r"^[0-9a-f]{64}$")
    authority: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What a region needs to know of a server.

    Attributes
    ----------
    region : str
        Who is invited.
    server : str
        ``host:port``.
    server_key : str
        Public; the server signs its requests with it, and the region's policy pins it.
    authority : str
        The certificate that vouches for the server, in PEM.
    token : Token
    """

    region: str
    server: str
    server_key: str
    authority: str
    token: Token = field(repr=False)

    def write(self) -> bytes:
        """Return the file's content."""
        content = {
            "region": self.region,
            "server": self.server,
            "server-key": self.server_key,
            "authority": self.authority,
            "token": self.token.text,
        }
        return (_HEADER + tomli_w.dumps(content, multiline_strings=True)).encode()


def read_invitation(path: Path) -> Invitation:
    """Read an invitation from a file that only its owner can read.

    Raises
    ------
    TokenError
        If it cannot be read, others can read it, or it is none; the token is in no message.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise TokenError(
            f"Invitation {path} cannot be read ({error.strerror}). Nothing was sent."
        ) from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise TokenError(
            f"Invitation {path} can be read by others. Nothing was sent. Make it private "
            f"(chmod 600 {path}) if nobody has read it, or ask for another."
        )
    content = read_toml(path, "Invitation", TokenError, "Nothing was sent.")
    try:
        found = _File.model_validate(content)
        x509.load_pem_x509_certificate(found.authority.encode())
    except ValidationError as error:
        # Of what was found only the names of keys are told: a value may be the token.
        keys = ", ".join(sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]}))
        raise TokenError(
            f"Invitation {path} is not usable: {keys} missing, unknown or not as "
            "`fedinterest server invite` writes it. Nothing was sent. Copy the whole file again."
        ) from None
    except ValueError:
        raise TokenError(
            f"Invitation {path} holds no certificate of an authority. Nothing was sent. Copy the "
            "whole file again."
        ) from None
    return Invitation(
        region=found.region,
        server=found.server,
        server_key=found.server_key,
        authority=found.authority,
        token=Token.parse(found.token),
    )
