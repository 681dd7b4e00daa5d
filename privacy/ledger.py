"""The client's own record of what it has released, and its limit on more.

reserve (charged from here on)  ->  commit (the answer is final, the head signed)
                                ->  fail (nothing was sent; it stays charged)

A file on the client's disk (``ledger_file``) with a chain of records
(``records``), under seal (``sealed_ledger``). An entry is written and synced
before anything is computed for it, so a crash at any instruction can charge for
what never left, but never miss what did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacy.budget import check_budget, spent_by
from privacy.errors import DamagedLedgerError, LedgerError, RefusalError
from privacy.policy import Policy
from privacy.query import NoiseKind, SumQuery
from privacy.records import (
    CALENDAR,
    FORMAT,
    OPERATOR,
    SERVER,
    Account,
    Identity,
    LedgerEntry,
    LedgerRefusal,
    RecordKind,
)
from privacy.renewal import next_window, present_moment, window_to_charge
from privacy.sealed_ledger import Clock, OpenLedger, SealedLedger, spell_time
from privacy.signed_head import SignedHead
from privacy.window import Window

REFUSALS_A_DAY = 100
"""So many refusals are recorded of one day."""
STRANGERS = frozenset({"server-not-trusted", "signature-wrong", "expired", "no-expiry"})
"""Reasons to refuse what anybody can send: who has listened can send an old request again."""


def system_clock() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A charged entry.

    Attributes
    ----------
    entry : int
    window : Window
        That it is charged to.
    reply, head : bytes and SignedHead, optional
        If this very request was answered before: what was sent. A head alone: exact sums, which
        are not kept, for the server to add its one noise to.
    """

    entry: int
    window: Window
    reply: bytes | None = None
    head: SignedHead | None = None


class Ledger:
    """A client's ledger; made when it does not exist yet.

    Parameters
    ----------
    path : Path
        The SQLite file.
    policy : Policy
        Region, budget, windows. Region, deltas, unit and adjacency are fixed
        for the ledger's life.
    key : Path, optional
        The key that signs; left out, beside the ledger. Made with the ledger.
    witness : Path, optional
        A file that keeps the signed heads, best on another disk.
    clock : callable
        Tells the time.
    simulated : bool
        Marks the ledger of a client that does not exist.

    Raises
    ------
    LedgerError
        By every method, if the file is not a ledger, is another's, has been
        damaged, copied, rolled back, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        policy: Policy,
        *,
        key: Path | None = None,
        witness: Path | None = None,
        clock: Clock = system_clock,
        simulated: bool = False,
    ) -> None:
        self.path = path
        self.policy = policy
        self.clock = clock
        self._sealed = SealedLedger(
            path,
            key=key or key_beside(path),
            witness=witness,
            promise=_promise(policy, simulated=simulated),
            clock=clock,
        )

    @property
    def public_key(self) -> str:
        """The key by which others know this ledger's signatures, in hexadecimal."""
        return self._sealed.key.public

    def sign(self, message: bytes) -> str:
        """Sign with the ledger's key."""
        return self._sealed.key.sign(message)

    def reserve(
        self, query: SumQuery, noise: str, code: str = "", *, is_unsent_free: bool = False
    ) -> Reservation:
        """Charge for ``query``, durably, before anything is computed for it.

        Parameters
        ----------
        query : SumQuery
        noise : str
            The kind of noise, or ``server`` where the server promises to add it.
        code : str
            Hash of the program that will answer.
        is_unsent_free : bool
            Whether an entry that was charged and never committed may be answered after all,
            without a new charge: only for whoever sends nothing before it is committed.

        Raises
        ------
        RefusalError
            If the budget does not allow it, the window is over, the clock has
            jumped back, the run has asked too often, or another question was
            asked in this round.
        """
        with self._sealed.transaction() as ledger:
            account = ledger.account
            earlier = account.entry_of(query.server_key, query.run, query.round_number)
            if earlier is not None:
                return self._repeat(ledger, query, earlier, is_unsent_free=is_unsent_free)
            now = present_moment(self.policy, account, ledger.moment)
            self._check_count(account, query)
            window = window_to_charge(self.policy, account.window, now)
            if window != account.window:
                self._open_window(ledger, window, by=CALENDAR)
            entry = self._entry(query, len(account.entries) + 1, window, noise, code)
            charged = account.events(window.name), account.events()
            check_budget(self.policy, *charged, entry.event, window.name)
            self._keep_rules(ledger)
            content = {name: value for name, value in asdict(entry).items() if name != "time"}
            ledger.append(RecordKind.RESERVED, content)
            return Reservation(entry.entry, window)

    def commit(self, entry: int, reply: bytes | None) -> SignedHead:
        """Record, before it is sent, that entry's answer is final.

        Parameters
        ----------
        entry : int
        reply : bytes, optional
            Kept, to be sent again when asked again; left out where it must not be.
        """
        digest = None if reply is None else hashlib.sha256(reply).hexdigest()
        with self._sealed.transaction() as ledger:
            self._end(ledger, entry, RecordKind.COMMITTED, {"reply": digest})
            if reply is not None:
                ledger.rows.keep_reply(entry, reply)
        self._sealed.witness(ledger.head)
        return ledger.head

    def fail(self, entry: int) -> SignedHead:
        """Record that the program failed on an entry, which stays charged.

        How it failed could tell of data, so it is not in the record.
        """
        with self._sealed.transaction() as ledger:
            self._end(ledger, entry, RecordKind.FAILED, {})
        return ledger.head

    def refuse(self, query: SumQuery, reason: str, sentence: str) -> SignedHead:
        """Record a request that was refused; return the ledger's head.

        Of one day, only the first :data:`REFUSALS_A_DAY` are recorded, and of
        senders that are not known at most half as many: nobody can fill the
        disk by asking in vain, nor hide other refusals.
        """
        refusal = LedgerRefusal(
            time=spell_time(self.clock()),
            run=query.run,
            round_number=query.round_number,
            purpose=query.purpose,
            kind=query.kind,
            fingerprint=query.fingerprint(),
            server_key=query.server_key,
            reason=reason,
            sentence=sentence,
        )
        with self._sealed.transaction() as ledger:
            if _has_room(ledger.account.refusals, refusal):
                ledger.append(RecordKind.REFUSED, asdict(refusal))
        return ledger.head

    def renew(self) -> Window:
        """Open the window of this moment: the operator's act under ``by-operator``.

        Raises
        ------
        LedgerError
            If the window in force is not over yet.
        """
        with self._sealed.transaction() as ledger:
            current = ledger.account.window
            try:
                now = present_moment(self.policy, ledger.account, ledger.moment)
            except RefusalError as error:
                raise LedgerError(error.sentence) from error
            if current and now < current.end:
                raise LedgerError(f"Window {current.name} is not over. Nothing was renewed.")
            if now < self.policy.window.start:
                raise LedgerError("The first window has not begun. Nothing was renewed.")
            window = next_window(self.policy, current, now)
            self._keep_rules(ledger)
            self._open_window(ledger, window, by=OPERATOR)
            return window

    def account(self) -> Account:
        """Return what all records add up to."""
        with self._sealed.transaction() as ledger:
            return ledger.account

    def entries(self) -> list[LedgerEntry]:
        """Return every charged entry, oldest first."""
        return list(self.account().entries.values())

    def refusals(self) -> list[LedgerRefusal]:
        """Return every refused request, oldest first."""
        return self.account().refusals

    def knows(self, query: SumQuery) -> bool:
        """Tell whether this very request has been answered or refused before."""
        account = self.account()
        entries = {entry.fingerprint for entry in account.entries.values()}
        refusals = {refusal.fingerprint for refusal in account.refusals}
        return query.fingerprint() in entries | refusals

    def reply_to(self, query: SumQuery) -> bytes | None:
        """Return what was kept as this very request's answer; None where nothing was."""
        with self._sealed.transaction() as ledger:
            account = ledger.account
            earlier = account.entry_of(query.server_key, query.run, query.round_number)
            if earlier is None or earlier.fingerprint != query.fingerprint():
                return None
            if earlier.state != RecordKind.COMMITTED:
                return None
            return self._repeat(ledger, query, earlier).reply

    def head(self) -> SignedHead:
        """Return the signed head as it is now."""
        with self._sealed.transaction() as ledger:
            return ledger.head

    def has_been_at(self, head: SignedHead) -> bool:
        """Tell whether this ledger once had that head: it has not been exchanged or rolled back."""
        with self._sealed.transaction() as ledger:
            return (
                head.sequence <= ledger.account.sequence and ledger.head_at(head.sequence) == head
            )

    def latest(self, kind: str) -> int:
        """Return the number of the latest entry for questions of a kind; 0 if there is none."""
        return max((entry.entry for entry in self.entries() if entry.kind == kind), default=0)

    def spent_epsilon(self) -> float:
        """Return the epsilon spent in the window in force, at the policy's delta."""
        return spent_by(self.policy, self.account()).window.epsilon

    def _repeat(
        self,
        ledger: OpenLedger,
        query: SumQuery,
        earlier: LedgerEntry,
        *,
        is_unsent_free: bool = False,
    ) -> Reservation:
        """Answer a second request for one round: the same bytes, or not at all.

        Under ``central`` what is charged is the server's release, of which its own ledger allows
        one for a request: sums that it has lost may be summed for it again.
        """
        if earlier.fingerprint != query.fingerprint():
            raise RefusalError(
                "another-question-in-this-round",
                f"Round {query.round_number} of this run has been answered already, "
                "and to another question.",
            )
        window = next(one for one in ledger.account.windows if one.name == earlier.window)
        if is_unsent_free and earlier.state == RecordKind.RESERVED:
            return Reservation(earlier.entry, window)
        reply = ledger.rows.reply(earlier.entry)
        sequence, digest = ledger.account.answers.get(earlier.entry, (0, None))
        if earlier.noise == SERVER and sequence:
            head = ledger.head_at(sequence)
            self._sealed.witness(head)
            return Reservation(earlier.entry, window, None, head)
        if reply is None or digest is None:
            raise RefusalError(
                "already-charged",
                f"Round {query.round_number} of this run has been charged already and has no "
                "release that could be sent again.",
            )
        if hashlib.sha256(reply).hexdigest() != digest:
            raise DamagedLedgerError(
                f"Ledger {self.path}: the reply of entry {earlier.entry} has been changed. "
                "Nothing was sent."
            )
        head = ledger.head_at(sequence)
        self._sealed.witness(head)  # the first time, it may have failed
        return Reservation(earlier.entry, window, reply, head)

    def _check_count(self, account: Account, query: SumQuery) -> None:
        asker = query.server_key, query.run
        count = sum((one.server_key, one.run) == asker for one in account.entries.values())
        if count >= self.policy.answers.most_releases_per_run:
            raise RefusalError(
                "too-many-releases",
                f"This run has had {count} releases, the most that {self.policy.region} makes "
                "for one run.",
            )

    def _open_window(self, ledger: OpenLedger, window: Window, *, by: str) -> None:
        content = {"start": window.start.isoformat(), "end": window.end.isoformat(), "by": by}
        ledger.append(RecordKind.WINDOW, content)

    def _keep_rules(self, ledger: OpenLedger) -> None:
        """Record the policy in force, unless it is there."""
        if (digest := self.policy.digest()) not in ledger.account.rules:
            content = {"policy": digest, "rules": self.policy.rules()}
            ledger.append(RecordKind.RULES, content)

    def _entry(
        self, query: SumQuery, number: int, window: Window, noise: str, code: str
    ) -> LedgerEntry:
        return LedgerEntry(
            entry=number,
            time="",
            window=window.name,
            run=query.run,
            round_number=query.round_number,
            purpose=query.purpose,
            kind=query.kind,
            fingerprint=query.fingerprint(),
            trust_model=query.trust_model.value,
            noise=noise,
            clipping_norm=max(block.clipping_norm for block in query.blocks),
            sensitivity=query.sensitivity,
            sigma=query.sigma,
            step=0.0 if noise in (NoiseKind.FLOAT, NoiseKind.SEEDED) else query.step,
            participants=query.participants,
            encoder=query.encoder,
            server_key=query.server_key,
            code=code,
            policy=self.policy.digest(),
        )

    def _end(self, ledger: OpenLedger, entry: int, kind: RecordKind, more: dict[str, Any]) -> None:
        entries = ledger.account.entries
        if entry not in entries or entries[entry].state != RecordKind.RESERVED:
            raise LedgerError(
                f"Ledger {self.path}: entry {entry} is not reserved. Nothing was sent."
            )
        ledger.append(kind, {"entry": entry} | more)


def witness_beside(path: Path) -> Path:
    """Return where an agent's witness lies unless its operator says otherwise."""
    return path.with_suffix(".witness")


def key_beside(path: Path) -> Path:
    """Return where a ledger's key lies unless its owner says otherwise."""
    return path.with_suffix(".key")


def _promise(policy: Policy, *, simulated: bool) -> Identity:
    """Return what a ledger under ``policy`` is about, for its whole life."""
    budget = policy.budget
    return Identity(
        format=FORMAT,
        region=policy.region,
        delta=budget.delta,
        lifetime_delta=budget.lifetime_delta,
        unit=budget.unit.value,
        adjacency=budget.adjacency.value,
        public_key="",
        simulated=simulated,
    )


def _has_room(recorded: Sequence[LedgerRefusal], refusal: LedgerRefusal) -> bool:
    """Tell whether one more refusal of its day is recorded."""
    today = [one for one in recorded if one.time[:10] == refusal.time[:10]]
    strangers = [one for one in today if one.reason in STRANGERS]
    if refusal.reason in STRANGERS and len(strangers) >= REFUSALS_A_DAY // 2:
        return False
    return len(today) < REFUSALS_A_DAY
