"""The gate tells whether what has come may run here.

bundle's content  ->  its SHA-256  ->  on the operator's list, now?  ->  let in, or refused

Nothing of a bundle is unpacked or parsed here. The hash that the server claims decides nothing;
where it is not that of the content, the server lies, and the bundle is refused for that.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from deployment.agent.approvals import content_hash, read_approvals
from deployment.agent.errors import ApprovalsError
from deployment.agent.refusals import record_refusal, refused_now

NOT_APPROVED = "not-approved"
ANOTHER_HASH = "another-hash-than-claimed"
NO_APPROVALS = "approvals-unusable"
ANOTHER_TASK = "no-client-app"
TOO_LARGE = "too-large"

log = logging.getLogger("fedinterest.agent")


@dataclass(frozen=True, kw_only=True)
class BundleGate:
    """Judges bundles by the operator's list, and records what is refused.

    Attributes
    ----------
    approvals, refusals : Path
    where : str
        ``node`` or ``executor``.
    """

    approvals: Path
    refusals: Path
    where: str

    def approves(self, content: bytes) -> bool:
        """Tell whether a bundle may run, without recording anything."""
        return self._objection(content_hash(content), None) is None

    def admit(self, content: bytes, *, claimed: str, run: int, objection: str | None = None) -> str:
        """Judge a bundle that has come.

        Parameters
        ----------
        content : bytes
        claimed : str
            The SHA-256 that the server says it has.
        run : int
            The server's number of the run.
        objection : str, optional
            A reason to refuse it that was found elsewhere.

        Returns
        -------
        str
            Empty if it may run, or else why not.
        """
        found = content_hash(content)
        reason = objection or self._objection(found, claimed)
        if reason is None:
            return ""
        log.error(
            "Refused a bundle of run %s (%s): it has SHA-256 %s and %d bytes, claimed was %r. "
            "Nothing of it was unpacked.",
            run,
            reason,
            found,
            len(content),
            claimed[:64],
        )
        self._record(run=run, claimed=claimed, found=found, size=len(content), reason=reason)
        return reason

    def refuse_unread(self, *, claimed: str, run: int) -> None:
        """Refuse a bundle that was too large to be taken: neither its hash nor size is known."""
        log.error(
            "Refused a bundle of run %s (%s), claimed was %r. It was not kept.",
            run,
            TOO_LARGE,
            claimed[:64],
        )
        self._record(run=run, claimed=claimed, found="", size=0, reason=TOO_LARGE)

    def _record(self, *, run: int, claimed: str, found: str, size: int, reason: str) -> None:
        refused = refused_now(
            run=run, claimed=claimed, found=found, size=size, reason=reason, where=self.where
        )
        try:
            record_refusal(self.refusals, refused)
        except OSError as error:  # it stays refused
            log.error("The refusal could not be kept in %s (%s)", self.refusals, error.strerror)

    def _objection(self, found: str, claimed: str | None) -> str | None:
        if claimed is not None and claimed != found:
            return ANOTHER_HASH
        try:
            approvals = read_approvals(self.approvals)
        except ApprovalsError as error:
            log.error("%s", error)
            return NO_APPROVALS
        return None if approvals.allow(found) else NOT_APPROVED
