"""Which bundles may run here: the operator's list, read anew for each message.

A bundle is approved if the SHA-256 of its content is on the list. An entry is the operator's own
word, or that of a release key which the operator has pinned; such an entry carries the key's
signature and counts only as long as the key is pinned.

A signature cannot come with the bundle: an open-source SuperLink hands on none, and one inside
the bundle could only be found by parsing what is not trusted yet. So it lies here.

A list that is damaged, or that others could have written, approves nothing.
"""

from __future__ import annotations

import hashlib
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from deployment.agent.errors import ApprovalsError
from deployment.agent.private_files import read_unalterable
from deployment.hosting import secret_files
from privacy.configuration import describe, kebab
from privacy.signing import PUBLIC_KEY, SigningKey, is_signed

HASH = r"^[0-9a-f]{64}$"
SIGNATURE = r"^[0-9a-f]{128}$"
NOTHING = "No bundle is approved."
HEADER = (
    "# Bundles that may run at this region. `fedinterest agent approve` writes this file; who can\n"
    "# write it decides what runs here.\n"
    "# release-keys: public keys whose signed approvals count without reading each bundle.\n"
)


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True
    )


class Approval(_Part):
    """One bundle that may run."""

    hash: Annotated[str, Field(pattern=HASH)]
    """SHA-256 of its content."""
    name: str
    version: str
    size: Annotated[int, Field(strict=True, ge=0)]
    """Bytes."""
    approved: AwareDatetime
    """When."""
    release_key: Annotated[str, Field(pattern=PUBLIC_KEY)] | None = None
    signature: Annotated[str, Field(pattern=SIGNATURE)] | None = None

    @model_validator(mode="after")
    def _is_signed_if_it_says_so(self) -> Approval:
        if (self.release_key is None) is not (self.signature is None):
            raise ValueError("release-key and signature come together")
        if self.release_key and not is_signed_bundle(
            self.hash, self.signature or "", self.release_key
        ):
            raise ValueError(f"the signature of {self.hash[:16]} is not that of its release key")
        return self


class Approvals(_Part):
    """The operator's list.

    Attributes
    ----------
    release_keys : tuple of str
        Pinned public keys, in hexadecimal.
    approved : tuple of Approval
        The oldest first.
    """

    release_keys: tuple[Annotated[str, Field(pattern=PUBLIC_KEY)], ...] = ()
    approved: tuple[Approval, ...] = ()

    def counts(self, approval: Approval) -> bool:
        """Tell whether an entry counts: the operator's own, or of a key that is pinned still."""
        return approval.release_key is None or approval.release_key in self.release_keys

    def allow(self, found: str) -> bool:
        """Tell whether a bundle whose content has the SHA-256 ``found`` may run."""
        return any(entry.hash == found and self.counts(entry) for entry in self.approved)

    @property
    def latest(self) -> Approval | None:
        """The entry that counts and was made last."""
        counted = [entry for entry in self.approved if self.counts(entry)]
        # Of one second, the last in the list.
        return max(reversed(counted), key=_moment, default=None)

    def with_entry(self, approval: Approval) -> Approvals:
        """Return the list with one more entry, in place of any of the same bundle."""
        others = self.without(approval.hash).approved
        return self.model_copy(update={"approved": (*others, approval)})

    def without(self, bundle: str) -> Approvals:
        """Return the list without a bundle."""
        kept = tuple(entry for entry in self.approved if entry.hash != bundle)
        return self.model_copy(update={"approved": kept})


def _moment(approval: Approval) -> datetime:
    return approval.approved


def read_approvals(path: Path) -> Approvals:
    """Read the operator's list.

    Raises
    ------
    ApprovalsError
        If it cannot be read, could have been written by others, or is damaged.
    """
    content = read_unalterable(path, ApprovalsError, NOTHING)
    try:
        return Approvals.model_validate(tomllib.loads(content.decode("utf-8")))
    except ValidationError as error:
        raise ApprovalsError(f"{path} is not usable: {describe(error)}. {NOTHING}") from error
    except ValueError as error:  # no TOML, or no text at all
        raise ApprovalsError(f"{path} is not valid TOML: {error}. {NOTHING}") from error


def write_approvals(path: Path, approvals: Approvals) -> None:
    """Replace the operator's list, in one step.

    Raises
    ------
    SecretFileError
        If it cannot be written; the old one still holds then.
    """
    content: dict[str, Any] = approvals.model_dump(by_alias=True, exclude_none=True)
    content["release-keys"] = list(approvals.release_keys)
    content["approved"] = list(content["approved"])
    secret_files.replace(path, (HEADER + tomli_w.dumps(content)).encode())


def content_hash(content: bytes) -> str:
    """Return the SHA-256 of a bundle's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sign_bundle(bundle: str, key: SigningKey) -> str:
    """Return a release key's word that the bundle with this SHA-256 may run."""
    return key.sign(_statement(bundle))


def is_signed_bundle(bundle: str, signature: str, public: str) -> bool:
    """Tell whether ``signature`` is the word of ``public`` for the bundle with this SHA-256."""
    return is_signed(_statement(bundle), signature, public)


def _statement(bundle: str) -> bytes:
    """Say what is signed: a sentence of its own, which no other signature can be taken for."""
    return f"fedinterest: the bundle with SHA-256 {bundle} may run.\n".encode()
