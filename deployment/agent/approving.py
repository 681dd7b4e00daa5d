"""How a bundle gets onto the operator's list, and off it.

bundle  ->  copy beside the list  ->  entry in the list

The copy comes first: an entry always has the bundle that it is about, so that the next one can be
compared with it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from deployment.agent.approvals import (
    Approval,
    is_signed_bundle,
    read_approvals,
    write_approvals,
)
from deployment.agent.bundle import Bundle, load_bundle
from deployment.agent.errors import AgentError, BundleError
from deployment.agent.settings import Agent
from deployment.hosting import secret_files

SIGNATURE_LETTERS = 128
"""Of an Ed25519 signature in hexadecimal."""
LEAST_LETTERS = 8
"""Of a hash that is abbreviated."""


def last_approved(agent: Agent) -> Bundle | None:
    """Return the bundle that was approved last, from its copy.

    Raises
    ------
    ApprovalsError
        If the list cannot be relied on.
    BundleError
        If the copy is not what was approved.
    """
    latest = read_approvals(agent.deployment.approvals).latest
    if latest is None:
        return None
    path = copy_of(agent, latest.hash)
    bundle = load_bundle(path)
    if bundle.hash != latest.hash:
        raise BundleError(
            f"{path} has SHA-256 {bundle.hash}: it is not what was approved. Nothing was compared "
            "or approved. Bring the copy back, or withdraw its approval."
        )
    return bundle


def copy_of(agent: Agent, bundle: str) -> Path:
    """Return where the copy of an approved bundle lies, by its hash."""
    return agent.bundles / f"{bundle}.fab"


def approve(agent: Agent, bundle: Bundle, signature: str | None = None) -> Approval:
    """Put a bundle onto the list.

    Parameters
    ----------
    agent : Agent
    bundle : Bundle
    signature : str, optional
        A pinned release key's word; without, it is the operator's own.

    Raises
    ------
    ApprovalsError
        If the list cannot be relied on.
    AgentError
        If no pinned key has given the signature, or something cannot be written.
    """
    path = agent.deployment.approvals
    approvals = read_approvals(path)
    key = None
    if signature is not None:
        key = _signer(bundle.hash, signature, approvals.release_keys)
    entry = Approval(
        hash=bundle.hash,
        name=bundle.name,
        version=bundle.version,
        size=len(bundle.content),
        approved=datetime.now(UTC).replace(microsecond=0),
        release_key=key,
        signature=signature,
    )
    secret_files.private_folder(agent.bundles)
    secret_files.replace(copy_of(agent, bundle.hash), bundle.content)
    write_approvals(path, approvals.with_entry(entry))
    return entry


def read_signature(path: Path) -> str:
    """Read a release key's signature from the file that came with a bundle.

    Raises
    ------
    AgentError
        If it cannot be read, or is none.
    """
    try:
        found = path.read_bytes()[: 2 * SIGNATURE_LETTERS].decode("ascii").strip()
    except OSError as error:
        raise AgentError(
            f"Signature {path} cannot be read ({error.strerror}). Nothing was approved."
        ) from error
    except UnicodeDecodeError:
        found = ""
    if len(found) != SIGNATURE_LETTERS:
        raise AgentError(
            f"{path} holds no signature: one has {SIGNATURE_LETTERS} letters. Nothing was approved."
        )
    return found


def _signer(bundle: str, signature: str, keys: tuple[str, ...]) -> str:
    for key in keys:
        if is_signed_bundle(bundle, signature, key):
            return key
    raise AgentError(
        f"The signature is not that of this bundle by any of the {len(keys)} release keys that are "
        "pinned. Nothing was approved. Approve the bundle yourself, or ask for the right signature."
    )


def withdraw(agent: Agent, bundle: str) -> Approval:
    """Take a bundle off the list: from its next message on, nothing of its runs is answered.

    Parameters
    ----------
    agent : Agent
    bundle : str
        Its hash, or at least the first letters of it.

    Raises
    ------
    ApprovalsError
        If the list cannot be relied on.
    AgentError
        If there is no such bundle, or more than one.
    """
    path = agent.deployment.approvals
    approvals = read_approvals(path)
    matching = [entry for entry in approvals.approved if entry.hash.startswith(bundle.lower())]
    if len(bundle) < LEAST_LETTERS or len(matching) != 1:
        raise AgentError(
            f"{len(matching)} approved bundles have a hash that begins with {bundle!r}; it takes "
            f"one, and at least {LEAST_LETTERS} letters. Nothing was withdrawn. "
            "`--list` shows them."
        )
    (entry,) = matching
    write_approvals(path, approvals.without(entry.hash))
    copy_of(agent, entry.hash).unlink(missing_ok=True)
    return entry
