"""The one door: the only place where anything about users becomes sendable.

query  ->  policy  ->  ledger: reserve  ->  clip and sum  ->  noise  ->  ledger: commit  ->  sign

In that order, always; what comes out is a ``Release``. A request that fails
before anything was computed is a ``Refusal`` and costs nothing. One that fails
later stays charged, and still nothing leaves.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from privacy.clipping import clipped_sum
from privacy.code_identity import code_hash
from privacy.errors import ContributionError, LedgerError, RefusalError
from privacy.ledger import Ledger, Reservation
from privacy.mechanism import NoiseSource, add_noise
from privacy.query import (
    Contributions,
    IntArray,
    SumQuery,
    TrustModel,
    check_contributions,
    finite_users,
)
from privacy.records import SERVER
from privacy.release import LEDGER_UNUSABLE, Answer, ClippedSum, Refusal, Release
from privacy.signed_head import SignedHead
from privacy.window import Window

log = logging.getLogger("fedinterest.privacy")

CODE = code_hash()
"""Hash of this program as it was when it was loaded."""

LARGEST_TOTAL = 2**62
"""In steps, of all clients together; there is room for the noise above it."""

_ONE_AT_A_TIME = threading.Lock()
"""Opacus' hooks and torch's modes are not made for several threads at once."""

AnswerT = TypeVar("AnswerT", Release, ClippedSum, Refusal)
Batch = Mapping[str, Contributions]
"""What some users add to each block."""
Contribute = Callable[[Window], Batch | Iterable[Batch]]
"""Computes what all users add: at once, or some users at a time to save memory."""


class Door:
    """A client's door. Everything a client says about its users comes out of it.

    Parameters
    ----------
    ledger : Ledger
        The client's own record, with the region's policy.
    noise : NoiseSource
        Where the noise comes from under trust model ``local``.
    """

    def __init__(self, ledger: Ledger, noise: NoiseSource) -> None:
        self.ledger = ledger
        self.policy = ledger.policy
        self.noise = noise

    def answer(self, query: SumQuery, contribute: Contribute) -> Answer:
        """Answer ``query`` with a sum over this client's users, or refuse.

        Parameters
        ----------
        query : SumQuery
            What is asked.
        contribute : callable
            Computes what each user adds to each block, given the time window
            that it is charged to. It is called only after the cost has been
            reserved.

        Returns
        -------
        Release, ClippedSum or Refusal
            ``ClippedSum`` under trust model ``central`` only.

        Raises
        ------
        ContributionError
            If ``contribute`` gives rows that do not fit the query: a mistake
            of this program's. The request stays charged.
        """
        try:
            self.policy.check(query, noise=self.noise.kind, code=CODE)
            self.policy.check_time(query, self.ledger.clock())
            central = query.trust_model is TrustModel.CENTRAL
            noise = SERVER if central else self.noise.kind
            reserved = self.ledger.reserve(query, noise, CODE)
        except (RefusalError, LedgerError) as error:
            return self._refuse(query, error)
        if reserved.reply is not None and reserved.head is not None:
            return self._signed(Release.from_bytes(reserved.reply), reserved.head)
        if reserved.head is not None:
            exact = _clip_and_sum(query, contribute(reserved.window))
            answer = _clipped_sum(query, reserved, exact, self.policy.region)
            return self._signed(answer, reserved.head)
        try:
            totals = _clip_and_sum(query, contribute(reserved.window))
            return self._hand_over(query, reserved, totals)
        except LedgerError as error:
            return self._refuse(query, error)
        except Exception:
            # Whether it fails can depend on data: asking again must not be free.
            self._fail(reserved.entry)
            raise

    def _fail(self, entry: int) -> None:
        """Record a failure of this program; where that fails, too, the entry stays reserved."""
        try:
            self.ledger.fail(entry)
        except LedgerError as error:
            log.error(str(error))

    def _hand_over(
        self, query: SumQuery, reserved: Reservation, totals: Mapping[str, IntArray]
    ) -> Release | ClippedSum:
        owner, entry = self.policy.region, reserved.entry
        if query.trust_model is TrustModel.CENTRAL:
            # The exact sums are not kept: for a repeated request they are summed again.
            exact = _clipped_sum(query, reserved, totals, owner)
            return self._signed(exact, self.ledger.commit(entry, None))
        release = _noised(query, reserved, totals, owner, self.noise)
        return self._signed(release, self.ledger.commit(entry, release.to_bytes()))

    def _signed(self, answer: AnswerT, head: SignedHead) -> AnswerT:
        return answer.with_head(head, self.ledger.sign(answer.signed_message(head)))

    @property
    def _ledger_sentence(self) -> str:
        """What the server may know: the file's name and the system's words stay at home."""
        return f"The ledger of {self.policy.region} cannot be used. Nothing was sent."

    def _refuse(self, query: SumQuery, error: RefusalError | LedgerError) -> Refusal:
        if isinstance(error, RefusalError):
            return self.refuse(query, error.reason, error.sentence)
        log.error(str(error))
        return self.refuse(query, LEDGER_UNUSABLE, self._ledger_sentence)

    def refuse(self, query: SumQuery, reason: str, sentence: str) -> Refusal:
        """Refuse ``query`` and record it; ``sentence`` must say nothing about the data."""
        refusal = Refusal(
            region=self.policy.region,
            run=query.run,
            round_number=query.round_number,
            purpose=query.purpose,
            code=CODE,
            reason=reason,
            sentence=sentence,
        )
        try:
            return self._signed(refusal, self.ledger.refuse(query, reason, sentence))
        except LedgerError as error:
            log.error(str(error))
            return replace(refusal, reason=LEDGER_UNUSABLE, sentence=self._ledger_sentence)


class ServerDoor:
    """The trusted server's door under ``central``: adds one noise to all clients' clipped sums.

    Parameters
    ----------
    ledger : Ledger
        The server's record of what it released, with the run's budget.
    noise : NoiseSource
        Where the noise comes from.
    """

    def __init__(self, ledger: Ledger, noise: NoiseSource) -> None:
        self.ledger = ledger
        self.noise = noise

    def release(self, query: SumQuery, clipped: Sequence[ClippedSum]) -> Release:
        """Return the noised sum over all clients; asked again, the same release, whatever came.

        One that was charged and never committed, since this process was killed, has not left
        here: it is drawn again, under the same charge. At most one of a request is ever returned.

        Raises
        ------
        RefusalError
            If the server's own ledger does not allow the release.
        ContributionError
            If there are no sums, two of one region, one that answers another
            query, or one that is larger than sums can be.
        """
        _check_clipped(query, clipped)
        reservation = self.ledger.reserve(query, self.noise.kind, is_unsent_free=True)
        if reservation.reply is not None:
            return Release.from_bytes(reservation.reply)
        totals = {
            block.name: np.stack([part.sums[block.name] for part in clipped]).sum(axis=0)
            for block in query.blocks
        }
        owner = self.ledger.policy.region
        release = _noised(query, reservation, totals, owner, self.noise)
        self.ledger.commit(reservation.entry, release.to_bytes())
        return release

    def released(self, query: SumQuery) -> Release | None:
        """Return what was released for this very request before; None if nothing was."""
        reply = self.ledger.reply_to(query)
        return None if reply is None else Release.from_bytes(reply)


def _check_clipped(query: SumQuery, clipped: Sequence[ClippedSum]) -> None:
    """Raise unless the sums are of different regions and all answer ``query``."""
    regions = [part.region for part in clipped]
    if not regions or len(set(regions)) < len(regions):
        raise ContributionError(
            f"Sums came from {regions}; expected at least one, and one for each region. "
            "Nothing was released."
        )
    asked = (query.run, query.round_number, query.purpose, query.sensitivity, query.sigma)
    shapes = {block.name: block.shape for block in query.blocks}
    for part in clipped:
        answered = (part.run, part.round_number, part.purpose, part.sensitivity, part.sigma)
        if answered != asked:
            raise ContributionError(
                f"{part.region} answered {answered}, asked was {asked}. Nothing was released."
            )
        found = {name: array.shape for name, array in part.sums.items()}
        if found != shapes or any(array.dtype != np.int64 for array in part.sums.values()):
            raise ContributionError(
                f"{part.region} sent arrays {found} for {shapes} of int64. Nothing was released."
            )
        largest = LARGEST_TOTAL // len(clipped)  # whatever they sent, their sum must fit
        if any(((array < -largest) | (array > largest)).any() for array in part.sums.values()):
            raise ContributionError(
                f"{part.region} sent sums beyond {largest} steps. Nothing was released."
            )


def _clip_and_sum(query: SumQuery, contributions: Batch | Iterable[Batch]) -> dict[str, IntArray]:
    """Sum the users' clipped rows of every block; exact, so it stays in this file."""
    totals = {block.name: np.zeros(block.shape, dtype=np.int64) for block in query.blocks}
    some_unusable = False
    for batch in [contributions] if isinstance(contributions, Mapping) else contributions:
        check_contributions(query, batch)
        finite = finite_users(batch)
        some_unusable |= not finite.all()
        with _ONE_AT_A_TIME:
            for block in query.blocks:
                part = batch[block.name]
                if not finite.all():
                    part = Contributions(part.cells[finite], part.rows[finite])
                totals[block.name] += clipped_sum(query, block, part)
    if some_unusable:
        # A user whose rows are not finite adds nothing. Refusing would tell the server.
        log.warning("Some users' contributions are not finite; they add nothing")
    return totals


def _noised(
    query: SumQuery,
    reserved: Reservation,
    totals: Mapping[str, IntArray],
    owner: str,
    source: NoiseSource,
) -> Release:
    with _ONE_AT_A_TIME:
        sums = add_noise(query, totals, source, owner=owner, entry=reserved.entry)
    return Release(sums=sums, noise=source.kind, **_circumstances(query, reserved, owner))


def _clipped_sum(
    query: SumQuery, reserved: Reservation, totals: Mapping[str, IntArray], owner: str
) -> ClippedSum:
    return ClippedSum(sums=totals, **_circumstances(query, reserved, owner))


def _circumstances(query: SumQuery, reserved: Reservation, owner: str) -> dict[str, Any]:
    """Return what every answer with sums says beside them."""
    return {
        "region": owner,
        "run": query.run,
        "round_number": query.round_number,
        "purpose": query.purpose,
        "code": CODE,
        "window": reserved.window.name,
        "sensitivity": query.sensitivity,
        "sigma": query.sigma,
        "entry": reserved.entry,
    }
