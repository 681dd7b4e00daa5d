"""The one door: the only place where anything about users becomes sendable.

query  ->  policy  ->  ledger: reserve  ->  clip and sum  ->  noise  ->  ledger: commit  ->  Release

In that order, always. A request that fails on the way is a ``Refusal`` and
costs nothing, unless it fails after the noise was drawn: then it stays charged
and still nothing leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from privacy.clipping import clipped_sum
from privacy.errors import ContributionError, LedgerError, RefusalError
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource, add_noise
from privacy.query import (
    Contributions,
    FloatArray,
    SumQuery,
    TrustModel,
    check_contributions,
    finite_users,
)
from privacy.release import Answer, ClippedSum, Refusal, Release

SERVER = "server"
"""Stands in the ledger for noise that the server promises to add: the claim rests on it."""

Contribute = Callable[[], Mapping[str, Contributions]]


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
            Computes what each user adds to each block. It is called only
            after the cost has been reserved.

        Returns
        -------
        Release, ClippedSum or Refusal
            ``ClippedSum`` under trust model ``central`` only.

        Raises
        ------
        ContributionError
            If ``contribute`` gives rows that do not fit the query: a mistake
            of this program's. The reservation is taken back.
        """
        try:
            self.policy.check(query, self.noise.kind)
            central = query.trust_model is TrustModel.CENTRAL
            reservation = self.ledger.reserve(query, SERVER if central else self.noise.kind)
        except (RefusalError, LedgerError) as error:
            return self._refuse(query, error)
        if reservation.reply is not None:
            return Release.from_bytes(reservation.reply)
        try:
            totals = _clip_and_sum(query, contribute())
        except BaseException:
            self.ledger.cancel(reservation.entry)
            raise
        try:
            if query.trust_model is TrustModel.CENTRAL:
                return self._hand_over(query, reservation.entry, totals)
            return self._release(query, reservation.entry, totals)
        except LedgerError as error:
            return self._refuse(query, error)

    def _release(self, query: SumQuery, entry: int, totals: Mapping[str, torch.Tensor]) -> Release:
        release = _noised(query, entry, totals, self.policy.region, self.noise)
        self.ledger.commit(entry, release.to_bytes())
        return release

    def _hand_over(
        self, query: SumQuery, entry: int, totals: Mapping[str, torch.Tensor]
    ) -> ClippedSum:
        # The exact sums are not kept: a repeated request is refused instead.
        self.ledger.commit(entry, None)
        return ClippedSum(
            region=self.policy.region,
            run=query.run,
            round_number=query.round_number,
            purpose=query.purpose,
            sums={name: total.numpy().astype(np.float32) for name, total in totals.items()},
            sensitivity=query.sensitivity,
            sigma=query.sigma,
            entry=entry,
        )

    @property
    def _ledger_sentence(self) -> str:
        """What the server may know: the file's name and the system's words stay at home."""
        return f"The ledger of {self.policy.region} cannot be used. Nothing was sent."

    def _refuse(self, query: SumQuery, error: RefusalError | LedgerError) -> Refusal:
        if isinstance(error, RefusalError):
            return self.refuse(query, error.reason, error.sentence)
        return self.refuse(query, "ledger-unusable", self._ledger_sentence)

    def refuse(self, query: SumQuery, reason: str, sentence: str) -> Refusal:
        """Refuse ``query`` and record it; ``sentence`` must say nothing about the data."""
        try:
            self.ledger.record_refusal(query, reason, sentence)
        except LedgerError:
            reason, sentence = "ledger-unusable", self._ledger_sentence
        return Refusal(
            region=self.policy.region,
            run=query.run,
            round_number=query.round_number,
            purpose=query.purpose,
            reason=reason,
            sentence=sentence,
        )


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
        """Return the noised sum over all clients.

        Raises
        ------
        RefusalError
            If the server's own ledger does not allow the release.
        ContributionError
            If there are no sums, two of one region, or one that answers
            another query.
        """
        _check_clipped(query, clipped)
        reservation = self.ledger.reserve(query, self.noise.kind)
        if reservation.reply is not None:
            return Release.from_bytes(reservation.reply)
        totals = {
            block.name: torch.from_numpy(
                np.sum([part.sums[block.name] for part in clipped], axis=0, dtype=np.float64)
            )
            for block in query.blocks
        }
        release = _noised(query, reservation.entry, totals, self.ledger.policy.region, self.noise)
        self.ledger.commit(reservation.entry, release.to_bytes())
        return release


def _check_clipped(query: SumQuery, clipped: Sequence[ClippedSum]) -> None:
    """Raise unless the sums are of different regions and all answer ``query``."""
    regions = [part.region for part in clipped]
    if not regions or len(set(regions)) < len(regions):
        raise ContributionError(
            f"Sums came from {regions}; expected at least one, and one for each region. "
            "Nothing was released."
        )
    asked = (query.run, query.round_number, query.purpose, query.sensitivity, query.sigma)
    shapes = {block.name: (block.cells, block.width) for block in query.blocks}
    for part in clipped:
        answered = (part.run, part.round_number, part.purpose, part.sensitivity, part.sigma)
        if answered != asked:
            raise ContributionError(
                f"{part.region} answered {answered}, asked was {asked}. Nothing was released."
            )
        found = {name: array.shape for name, array in part.sums.items()}
        if found != shapes:
            raise ContributionError(
                f"{part.region} sent arrays {found} for {shapes}. Nothing was released."
            )


def _clip_and_sum(
    query: SumQuery, contributions: Mapping[str, Contributions]
) -> dict[str, torch.Tensor]:
    """Sum the users' clipped rows of every block; exact, so it stays in this file."""
    check_contributions(query, contributions)
    finite = finite_users(contributions)
    if not finite.all():
        # A user whose rows are not finite adds nothing. Refusing would tell the server.
        contributions = {
            name: Contributions(part.cells[finite], part.rows[finite])
            for name, part in contributions.items()
        }
    return {block.name: clipped_sum(block, contributions[block.name]) for block in query.blocks}


def _noised(
    query: SumQuery,
    entry: int,
    totals: Mapping[str, torch.Tensor],
    owner: str,
    source: NoiseSource,
) -> Release:
    generator = source.generator(owner, entry)
    sums: dict[str, FloatArray] = {
        block.name: add_noise(
            block,
            totals[block.name],
            sigma=query.sigma,
            generator=generator,
            kind=source.kind,
        )
        .numpy()
        .astype(np.float32)
        for block in query.blocks
    }
    return Release(
        region=owner,
        run=query.run,
        round_number=query.round_number,
        purpose=query.purpose,
        sums=sums,
        sensitivity=query.sensitivity,
        sigma=query.sigma,
        noise=source.kind,
        entry=entry,
    )
