"""One ledger, looked at from all sides: what holds, what does not, and what it tells.

file (+ witness, + heads that servers hold)  ->  LedgerAudit

1. What the file is: a ledger at all, a damaged one, or none.
2. Chain, signature, kept replies, witness and heads (:mod:`privacy.ledger_check`).
3. Each release against the rules that were in force (:mod:`privacy.audit.rules`).
4. What it says of releases, refusals, renewals and incidents.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from privacy.accountant import Adjacency, GaussianEvent, compose
from privacy.audit.accounts import Combination, Cost, check_the_sum, combine
from privacy.audit.rules import broken_rules, rules_of
from privacy.errors import DamagedLedgerError, LedgerError
from privacy.ledger_check import Verification, verify_ledger
from privacy.ledger_file import APPLICATION
from privacy.policy import Policy
from privacy.query import NoiseKind, TrustModel
from privacy.records import SERVER, Account, LedgerEntry, RecordKind
from privacy.signed_head import SignedHead

LIFETIME = "lifetime"
CLOCKS_DIFFER = timedelta(hours=1)
"""A record is not of the future until then."""
_OUT_OF_REACH = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,  # another program's log, which who may not write cannot read
    }
)
TRIES = 5
"""To read a file without the right to write to it while another program does."""
_MAGIC = b"SQLite format 3\0"
_APPLICATION_AT = 68
"""Where SQLite keeps the number of the program that a file belongs to."""


class Verdict(StrEnum):
    """What an audit comes to."""

    PASS = "PASS"  # noqa: S105
    """All that was looked at holds."""
    FAIL = "FAIL"
    """A claim or a chain does not hold."""
    UNUSABLE = "UNUSABLE"
    """There was nothing to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What was charged to one window, or ever.

    Attributes
    ----------
    name : str
        The window's, or ``lifetime``.
    opened, by : str
        When, and by the calendar or an operator; empty for the lifetime.
    combination : Combination
        Its releases.
    limit : float, optional
        Epsilon that the rules of its last release allow.
    cost : Cost
    """

    name: str
    opened: str
    by: str
    combination: Combination
    limit: float | None
    cost: Cost

    @property
    def left(self) -> float | None:
        """What is left of the limit."""
        return None if self.limit is None else max(self.limit - self.cost.epsilon, 0.0)


@dataclass(slots=True, kw_only=True)
class LedgerAudit:
    """What an audit found about one ledger.

    Attributes
    ----------
    path : str
    region, public_key, head, sequence, simulated
        What the file says of itself; empty where it could not be read.
    usable : bool
        Whether it is a ledger at all, if perhaps a damaged one.
    faults, incidents, unchecked : list of str
        What does not hold; what happened that an officer should know; what could
        not be looked at.
    identity : dict
        Deltas, unit and adjacency of its promise.
    windows : list of Span
    lifetime : Span, optional
    releases : int
    refusals : dict of str to int
        By reason.
    rests_on_server : int
        Releases under ``central``.
    noises, codes, encoders, runs : dict of str to int
        Releases by kind of noise, program, encoder and run.
    run_mu : dict of str to float
        Gaussian-DP parameter of each run's releases together, under add-or-remove of one
        unit, as servers report it.
    run_noises : dict of str to frozenset of str
        Kinds of noise of each run's releases.
    acts : list of dict
        What operators did.
    requests : dict of (str, str) to (float, float)
        Sensitivity and sigma of each ``central`` request, by its run and fingerprint.
    rounds : dict of str to frozenset of int
        Rounds that were charged and committed, by run.
    details : dict of str to bytes
        JSON of every release, refusal and rule, in canonical form, compressed; empty unless
        wanted. :meth:`detail` gives the text.
    """

    path: str
    region: str = ""
    public_key: str = ""
    head: str = ""
    sequence: int = 0
    simulated: bool = False
    usable: bool = True
    faults: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    identity: dict[str, Any] = field(default_factory=dict)
    windows: list[Span] = field(default_factory=list)
    lifetime: Span | None = None
    releases: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    rests_on_server: int = 0
    noises: dict[str, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    encoders: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    run_mu: dict[str, float] = field(default_factory=dict)
    run_noises: dict[str, frozenset[str]] = field(default_factory=dict)
    acts: list[dict[str, str]] = field(default_factory=list)
    requests: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    rounds: dict[str, frozenset[int]] = field(default_factory=dict)
    details: dict[str, bytes] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """What it comes to."""
        if self.faults:
            return Verdict.FAIL
        return Verdict.PASS if self.usable else Verdict.UNUSABLE

    def detail(self, name: str) -> str:
        """Return the JSON of ``released``, ``refused``, ``circumstances`` or ``rules``."""
        return zlib.decompress(self.details[name]).decode()

    @property
    def spans(self) -> list[Span]:
        """The windows, and the lifetime."""
        return [*self.windows, *([self.lifetime] if self.lifetime else [])]


def audit_ledger(
    path: Path,
    *,
    witness: Path | None = None,
    heads: Sequence[SignedHead] | None = None,
    last_witnessed: Callable[[str], int] = lambda region: 0,
    approved: Sequence[Policy] = (),
    of_server: bool = False,
    with_details: bool = True,
) -> LedgerAudit:
    """Look at one ledger; whatever is wrong with it is in the result.

    Parameters
    ----------
    path : Path
    witness : Path, optional
        File that kept its heads.
    heads : sequence of SignedHead, optional
        What servers received, and named witnesses kept.
    last_witnessed : callable
        Tells of a region the last record that one of those witnesses kept a head of.
    approved : sequence of Policy
        Those that an officer approved; of those of this region, every release must be
        made under one. None of this region: any rules will do.
    of_server : bool
        Whether it is the ledger of a server that adds noise under ``central``: it has
        budgets, and no say in what is asked.
    with_details : bool
        Whether to list every release.
    """
    found = LedgerAudit(path=str(path))
    if problem := _no_ledger(path):
        found.usable = False
        found.unchecked.append(problem)
        return found
    try:
        verified = _verified(path, witness, heads)
    except LedgerError as error:
        sentence = str(error).replace(" Nothing was sent.", "")
        found.usable = not _is_out_of_reach(error)
        (found.faults if found.usable else found.unchecked).append(sentence)
        return found
    found.faults = list(verified.faults)
    found.unchecked = list(verified.unchecked)
    account = verified.account
    if account is None:
        return found
    _describe(found, account)
    last = max((sequence for sequence, _ in account.answers.values()), default=1)
    if last <= last_witnessed(found.region):
        found.unchecked = [one for one in found.unchecked if not one.startswith("Rollback")]
    try:
        policies = rules_of(account)
    except DamagedLedgerError as error:
        found.faults.append(str(error))
        return found
    found.faults += broken_rules(account, policies, of_server=of_server)
    found.faults += _not_approved(account, approved)
    found.incidents = _incidents(account)
    found.windows, found.lifetime = _spans(account, policies)
    if with_details:
        found.details = _details(account)
    return found


def _verified(path: Path, witness: Path | None, heads: Sequence[SignedHead] | None) -> Verification:
    """Verify a ledger as it stood at one moment.

    Who may write takes part in SQLite's locking, and sees one moment whatever others do. Who
    may not has to look whether the file was the same before and after.
    """
    for _ in range(TRIES):
        before = _state(path)
        try:
            verified = verify_ledger(path, witness=witness, heads=heads)
        except LedgerError:
            if before == _state(path):
                raise
        else:
            if before == _state(path):
                return verified
    raise LedgerError(
        f"Ledger {path} changes while it is read, and without the right to write to it nobody can "
        "wait for that. Nothing was sent. Audit a copy, or as a user who may write to it."
    ) from OSError("it changes")


def _state(path: Path) -> tuple[int, ...]:
    """Return what tells that a file was written to; the same for who may write to it."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return ()
    real = path.resolve()
    found = []
    for one in (real, real.with_name(f"{real.name}-wal")):
        try:
            status = one.stat()
        except OSError:
            found.append(-1)
        else:
            found += [status.st_ino, status.st_size, status.st_mtime_ns]
    return tuple(found)


def _no_ledger(path: Path) -> str | None:
    """Return why a file is no ledger at all; a damaged one is one."""
    if path.exists() and not path.is_file():
        return f"{path} is no file."
    try:
        with path.open("rb") as file:
            beginning = file.read(100)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})."
    if not beginning:
        return f"{path} is empty."
    marked = beginning[_APPLICATION_AT : _APPLICATION_AT + 4] == APPLICATION.to_bytes(4, "big")
    if marked or _has_ledgers_tables(path):
        return None
    kind = "another program's database" if beginning.startswith(_MAGIC) else "no database"
    return f"{path} is not a ledger, but {kind}."


def _is_out_of_reach(error: LedgerError) -> bool:
    """Tell whether it was the disk or another program that kept a file from being read."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return code in _OUT_OF_REACH
    return isinstance(cause, OSError)


def _has_ledgers_tables(path: Path) -> bool:
    """Tell whether a file without a ledger's mark has a ledger's tables all the same."""
    try:
        with path.open("rb") as file:
            return b"CREATE TABLE checkpoints" in file.read(1 << 16)
    except OSError:
        return False


def _describe(found: LedgerAudit, account: Account) -> None:
    """Copy what the records add up to."""
    who, entries = account.identity, list(account.entries.values())
    found.region, found.public_key = who.region, who.public_key
    found.head, found.sequence, found.simulated = account.head, account.sequence, who.simulated
    found.identity = {
        name: getattr(who, name) for name in ("delta", "lifetime_delta", "unit", "adjacency")
    }
    found.releases = len(entries)
    found.refusals = dict(Counter(refusal.reason for refusal in account.refusals))
    central = [entry for entry in entries if entry.trust_model == TrustModel.CENTRAL]
    found.rests_on_server = sum(entry.noise == SERVER for entry in entries)
    found.requests = {
        (entry.run, entry.fingerprint): (entry.sensitivity, entry.sigma) for entry in central
    }
    rounds: dict[str, set[int]] = {}
    for entry in entries:
        if entry.state == RecordKind.COMMITTED:
            rounds.setdefault(entry.run, set()).add(entry.round_number)
    found.rounds = {run: frozenset(numbers) for run, numbers in rounds.items()}
    found.noises = dict(Counter(entry.noise for entry in entries))
    found.codes = dict(Counter(entry.code for entry in entries))
    found.encoders = dict(Counter(entry.encoder for entry in entries))
    found.runs = dict(Counter(entry.run for entry in entries))
    events: dict[str, list[GaussianEvent]] = {}
    for entry in entries:
        events.setdefault(entry.run, []).append(entry.event)
    found.run_mu = {
        run: compose(asked, Adjacency.ADD_OR_REMOVE_ONE) for run, asked in events.items()
    }
    noises: dict[str, set[str]] = {}
    for entry in entries:
        noises.setdefault(entry.run, set()).add(str(entry.noise))
    found.run_noises = {run: frozenset(kinds) for run, kinds in noises.items()}
    found.acts = [{"time": act.time, "what": act.what} for act in account.acts]


def _not_approved(account: Account, approved: Sequence[Policy]) -> list[str]:
    """Return what was made under rules that no officer approved."""
    digests = {one.digest() for one in approved if one.region == account.identity.region}
    if not digests:
        return []
    others = [entry for entry in account.entries.values() if entry.policy not in digests]
    if not others:
        return []
    return [
        f"{len(others)} releases, the first of them entry {others[0].entry}, were made under rules "
        f"that are not the approved policy ({others[0].policy[:16]})."
    ]


def _incidents(account: Account) -> list[str]:
    """Return what an officer should know although it breaks no rule."""
    entries = list(account.entries.values())
    failed = [entry for entry in entries if entry.state == RecordKind.FAILED]
    open_ = [entry for entry in entries if entry.state == RecordKind.RESERVED]
    seeded = sum(entry.noise == NoiseKind.SEEDED for entry in entries)
    floating = sum(entry.noise == NoiseKind.FLOAT for entry in entries)
    changes = [pair for pair in pairwise(entries) if pair[0].policy != pair[1].policy]
    programs = len({entry.code for entry in entries})
    told = {
        f"{_named(failed)}: the program failed on them; charged, and nothing was sent": failed,
        f"{_named(open_)}: charged, and not known to have ended (a crash, or still under way)": (
            open_
        ),
        f"{seeded} releases have seeded noise: who knows the seed can take it off": seeded,
        f"{floating} releases have floating-point noise, not the exact discrete one": floating,
        f"The rules changed {len(changes)} times, first before entry "
        f"{changes[0][1].entry if changes else 0}": changes,
        f"{programs} versions of the program answered": programs > 1,
    }
    refused = Counter(refusal.reason for refusal in account.refusals)
    return [
        *(f"{sentence}." for sentence, holds in told.items() if holds),
        *(
            f"{count} request{'s were' if count > 1 else ' was'} refused: {reason}."
            for reason, count in sorted(refused.items())
        ),
        *_ahead_of_time(account),
        *(f"The operator, {act.time[:16]}: {act.what}." for act in account.acts),
    ]


def _ahead_of_time(account: Account) -> list[str]:
    if datetime.fromisoformat(account.time) <= datetime.now(UTC) + CLOCKS_DIFFER:
        return []
    return [f"The last record is of {account.time[:16]}, after this audit: a clock was wrong."]


def _named(entries: Sequence[LedgerEntry]) -> str:
    numbers = ", ".join(str(entry.entry) for entry in entries[:5])
    more = f" and {len(entries) - 5} more" if len(entries) > 5 else ""
    return f"{'Entry' if len(entries) == 1 else 'Entries'} {numbers}{more}"


def _spans(account: Account, policies: dict[str, Policy]) -> tuple[list[Span], Span]:
    """Return what was charged to each window, and ever."""
    who = account.identity
    adjacency = Adjacency(who.adjacency)
    by_window: dict[str, list[LedgerEntry]] = {window.name: [] for window in account.windows}
    for entry in account.entries.values():
        by_window.setdefault(entry.window, []).append(entry)
    opened = {opening.window.name: opening for opening in account.openings}
    latest = list(policies.values())[-1] if policies else None

    def span(name: str, entries: Sequence[LedgerEntry], delta: float) -> Span:
        rules = policies[entries[-1].policy] if entries else latest
        limit = None
        if rules is not None:
            limit = rules.budget.lifetime_epsilon if name == LIFETIME else rules.budget.epsilon
        opening = opened.get(name)
        events = (entry.event for entry in entries)
        combination = combine(events, delta=delta, adjacency=adjacency)
        return Span(
            name=name,
            opened=opening.time if opening else "",
            by=opening.by if opening else "",
            combination=combination,
            limit=limit,
            cost=check_the_sum(combination),
        )

    windows = [span(name, entries, who.delta) for name, entries in by_window.items()]
    return windows, span(LIFETIME, list(account.entries.values()), who.lifetime_delta)


CIRCUMSTANCES = (
    "run",
    "window",
    "server_key",
    "trust_model",
    "noise",
    "participants",
    "encoder",
    "code",
    "policy",
)
"""What releases of one run share; told once for all of them."""
OF_EACH_RELEASE = (
    "entry",
    "time",
    "round_number",
    "purpose",
    "kind",
    "state",
    "clipping_norm",
    "sensitivity",
    "sigma",
    "step",
)


def _details(account: Account) -> dict[str, bytes]:
    """Return the JSON of all that happened; releases that share circumstances name them."""
    changes = Adjacency(account.identity.adjacency).changes
    shared: dict[tuple[Any, ...], int] = {}
    squares: Counter[str] = Counter()
    releases = []
    for entry in account.entries.values():
        around = tuple(getattr(entry, name) for name in CIRCUMSTANCES)
        squares[entry.window] += (changes * entry.event.mu) ** 2  # type: ignore[assignment]
        _, reply = account.answers.get(entry.entry, (0, None))
        releases.append(
            {name: getattr(entry, name) for name in OF_EACH_RELEASE}
            | {
                "circumstances": shared.setdefault(around, len(shared)),
                "window_mu_after": squares[entry.window] ** 0.5,
                "request": entry.fingerprint,
                "reply": reply,
            }
        )
    circumstances = [dict(zip(CIRCUMSTANCES, around, strict=True)) for around in shared]
    told = {
        "circumstances": circumstances,
        "refused": [asdict(refusal) for refusal in account.refusals],
        "released": releases,
        "rules": account.rules,
    }
    return {name: zlib.compress(canonical(value).encode(), 1) for name, value in told.items()}


def canonical(value: Any) -> str:
    """Write a value as JSON in one way only: keys in order, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
