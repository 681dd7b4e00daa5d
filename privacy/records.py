"""A ledger's records: an append-only chain of hashes, and what it adds up to.

record 1  <-  record 2  <-  record 3 ...      each holds hash and signature of the one before
records   ->  Account: entries, rules, refusals, windows, the latest time

Pure: nothing here touches a disk or a clock. Records hold mechanisms
(sensitivity, sigma), from which an accountant computes epsilon, and no user
identifiers, so that a user can be erased while the chain stays whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from privacy.accountant import Adjacency, GaussianEvent, Unit
from privacy.errors import DamagedLedgerError
from privacy.record_values import is_printable, list_of_texts, plain_values, read_line, text_of
from privacy.window import Window

FORMAT = 3
BEGINNING = "0" * 64
"""What the first record has for the hash of the one before it."""
CALENDAR, OPERATOR = "calendar", "operator"
"""Who opens a window."""
SERVER = "server"
"""Stands for noise that the server promises to add: the claim rests on it."""
SMALLEST, LARGEST = 1e-30, 1e30
"""Between these are all lengths and noises; squares, quotients and sums of them are doubles."""
LARGEST_MU = 1e6
"""No mechanism has a larger Gaussian-DP parameter; the least noise that can be asked has 2^16."""
SMALLEST_DELTA, LARGEST_DELTA = 1e-100, 1e-3


class RecordKind(StrEnum):
    """What happened."""

    OPENED = "opened"
    """The ledger was begun: region, deltas, unit, adjacency, key."""
    ADOPTED = "adopted"
    """An operator took over a file that was moved or restored."""
    WINDOW = "window"
    """A window was opened: the budget was renewed."""
    RULES = "rules"
    """The policy in force, before the first release under it."""
    RESERVED = "reserved"
    """A release was charged, before anything was computed for it."""
    COMMITTED = "committed"
    """Its answer became final, before it was sent."""
    FAILED = "failed"
    """The program failed on it; it stays charged."""
    REFUSED = "refused"
    """A request was refused."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the ledger.

    Attributes
    ----------
    sequence : int
        From 1, without gaps.
    time : str
        ISO 8601, UTC, by the client's clock; never earlier than the record before.
    kind : RecordKind
    content : str
        JSON object, its keys in alphabetical order.
    previous : str
        Link of the record before: its hash, or where it is signed the SHA-256 of hash
        and signature. So the last signature vouches for all earlier ones.
    hash : str
        SHA-256 over all of the above, in hexadecimal.
    signature : str
        The owner's, over the chain up to this record; empty where the record's transaction
        went on.
    """

    sequence: int
    time: str
    kind: str
    content: str
    previous: str
    hash: str
    signature: str = ""

    @property
    def link(self) -> str:
        """What the next record holds of this one."""
        if not self.signature:
            return self.hash
        return hashlib.sha256(f"{self.hash}{self.signature}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose ledger it is, and what its promise is about; fixed for its life."""

    format: int
    region: str
    delta: float
    lifetime_delta: float
    unit: str
    adjacency: str
    public_key: str
    simulated: bool


@dataclass(slots=True, kw_only=True)
class LedgerEntry:
    """One charged release: what was asked and the mechanism that answers.

    Nothing of it changes but its state, once, when it ends.

    Attributes
    ----------
    entry : int
        From 1, without gaps.
    time, window, run, round_number, purpose, kind, fingerprint
        When it was charged, to which window, and for which request.
    trust_model, noise : str
        ``noise`` is ``server`` where the server promises to add it.
    clipping_norm, sensitivity, sigma, step : float
        The mechanism; ``step`` is 0 for continuous noise.
    participants, encoder, server_key
        As the request said.
    code, policy : str
        Hashes of the program and of the rules in force.
    state : str
        ``reserved``, ``committed`` or ``failed``; all three are charged.
    """

    entry: int
    time: str
    window: str
    run: str
    round_number: int
    purpose: str
    kind: str
    fingerprint: str
    trust_model: str
    noise: str
    clipping_norm: float
    sensitivity: float
    sigma: float
    step: float
    participants: int
    encoder: str
    server_key: str
    code: str
    policy: str
    state: str = RecordKind.RESERVED

    @property
    def event(self) -> GaussianEvent:
        """The mechanism, for an accountant."""
        return GaussianEvent(self.sensitivity, self.sigma, self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRefusal:
    """One request that was refused, and why.

    ``time`` is by the clock, right or wrong; it decides nothing.
    """

    time: str
    run: str
    round_number: int
    purpose: str
    kind: str
    fingerprint: str
    server_key: str
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class OperatorsAct:
    """What a person did to the ledger: when, and what."""

    time: str
    what: str


@dataclass(frozen=True, slots=True)
class Opening:
    """A window that was opened: when, which, by the calendar or an operator, before which entry."""

    time: str
    window: Window
    by: str
    entry: int


@dataclass(slots=True, kw_only=True)
class Account:
    """What a chain of records adds up to.

    Attributes
    ----------
    identity : Identity
    file : str
        Which file on disk the ledger lives in.
    sequence, head, link, time : int, str, str, str
        Number, hash, link and time of the last record.
    entries : dict of int to LedgerEntry
    answers : dict of int to (int, str or None)
        For each committed entry, the record that says so and the digest of its reply.
    refusals : list of LedgerRefusal
    openings : list of Opening
        Windows opened so far; the last one is in force.
    rules : dict of str to dict
        Policies that releases were made under, by their digests.
    acts : list of OperatorsAct
        Renewals and adoptions.
    """

    identity: Identity
    file: str
    sequence: int = 0
    head: str = BEGINNING
    link: str = BEGINNING
    time: str = ""
    entries: dict[int, LedgerEntry] = field(default_factory=dict)
    answers: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    refusals: list[LedgerRefusal] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    acts: list[OperatorsAct] = field(default_factory=list)

    @property
    def windows(self) -> list[Window]:
        """The windows opened so far."""
        return [opening.window for opening in self.openings]

    @property
    def window(self) -> Window | None:
        """The window in force, if any was opened."""
        return self.openings[-1].window if self.openings else None

    def events(self, window: str | None = None) -> list[GaussianEvent]:
        """Return what was charged, in one window or in all."""
        entries = self.entries.values()
        return [entry.event for entry in entries if window in (None, entry.window)]

    def entry_of(self, server_key: str, run: str, round_number: int) -> LedgerEntry | None:
        """Return the entry for one round of a server's run, if there is one."""
        asked = server_key, run, round_number
        for entry in self.entries.values():
            if (entry.server_key, entry.run, entry.round_number) == asked:
                return entry
        return None


def make_record(
    account: Account | None, time: str, kind: RecordKind, content: Mapping[str, Any]
) -> Record:
    """Return the record that comes next."""
    sequence, previous = (account.sequence, account.link) if account else (0, BEGINNING)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = _hash(sequence + 1, time, kind, text, previous)
    return Record(sequence + 1, time, kind.value, text, previous, digest)


def add_up(records: Iterable[Record]) -> Account:
    """Check the chain and return what it adds up to.

    Raises
    ------
    DamagedLedgerError
        If a record is missing, out of order, changed, or makes no sense; the
        message names it.
    """
    account: Account | None = None
    for record in records:
        account = append(account, record)
    if account is None:
        raise DamagedLedgerError("It has no records.")
    return account


def append(account: Account | None, record: Record) -> Account:
    """Add one record to an account (in place, unless it is the first) and return it."""
    sequence, link, time = (
        (account.sequence, account.link, account.time) if account else (0, BEGINNING, "")
    )
    if record.sequence != sequence + 1:
        raise DamagedLedgerError(
            f"{_name(record)} follows record {sequence}: one is missing, or out of its place."
        )
    expected = _hash(record.sequence, record.time, record.kind, record.content, record.previous)
    if record.hash != expected:
        raise DamagedLedgerError(f"{_name(record)} has been changed.")
    if record.previous != link:
        raise DamagedLedgerError(
            f"{_name(record)} does not follow record {sequence}: the latter, or its signature, has "
            "been changed."
        )
    if record.time < time:
        raise DamagedLedgerError(f"{_name(record)} is older than the one before it.")
    try:
        if datetime.fromisoformat(record.time).utcoffset() != timedelta(0):
            raise ValueError("times are in UTC")
        if not is_printable(record.time):
            raise ValueError("a time cannot be printed")
        content = plain_values(record.content)
        if type(content) is not dict:
            raise TypeError("a record holds an object")
        account = _understand(account, record, content)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        ArithmeticError,
    ) as error:
        raise DamagedLedgerError(f"{_name(record)} makes no sense.") from error
    account.sequence, account.head, account.time = record.sequence, record.hash, record.time
    account.link = record.link
    return account


def _name(record: Record) -> str:
    """Name a record for people, with the entry that it is about where that can be read."""
    try:
        content = json.loads(record.content)
        about = [
            f"entry {content['entry']}" if "entry" in content else "",
            f"{content['purpose']} of run {content['run']}" if "purpose" in content else "",
        ]
        told = ", ".join([record.kind, *filter(None, about)])
    except (ValueError, TypeError, KeyError, RecursionError):
        return f"Record {record.sequence}"
    return (
        f"Record {record.sequence} ({told})" if told.isprintable() else f"Record {record.sequence}"
    )


def digest_of_rules(rules: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a policy's rules, in hexadecimal."""
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()


def _understand(account: Account | None, record: Record, content: dict[str, Any]) -> Account:
    """Let one record take effect; what does not fit raises ValueError, KeyError or TypeError."""
    kind = RecordKind(record.kind)
    if account is None:
        if kind is not RecordKind.OPENED:
            raise ValueError("the first record opens the ledger")
        file = text_of(content.pop("file"))
        return Account(identity=_checked(read_line(Identity, content)), file=file)
    match kind:
        case RecordKind.ADOPTED:
            account.file = text_of(content["file"])
            account.acts.append(OperatorsAct(record.time, f"adopted: {text_of(content['reason'])}"))
        case RecordKind.WINDOW:
            opening = _opening(record.time, content, len(account.entries) + 1)
            account.openings.append(opening)
            if opening.by == OPERATOR:
                renewed = f"renewed the budget: {opening.window.name}"
                account.acts.append(OperatorsAct(record.time, renewed))
        case RecordKind.RULES:
            if content["policy"] != digest_of_rules(content["rules"]):
                raise ValueError("rules have the digest of others")
            account.rules[content["policy"]] = content["rules"]
        case RecordKind.RESERVED:
            entry = read_line(LedgerEntry, content | {"time": record.time})
            if entry.policy not in account.rules:
                raise ValueError("an entry names rules that are not there")
            if entry.entry != len(account.entries) + 1 or entry.state != RecordKind.RESERVED:
                raise ValueError("entries are numbered without gaps")
            _check_mechanism(entry)
            account.entries[entry.entry] = entry
        case RecordKind.COMMITTED | RecordKind.FAILED:
            if type(content["entry"]) is not int:
                raise TypeError("entries have numbers")
            entry = account.entries[content["entry"]]
            if entry.state != RecordKind.RESERVED:
                raise ValueError("an entry ends once")
            entry.state = kind.value
            if kind is RecordKind.COMMITTED:
                reply = content["reply"]
                digest = None if reply is None else text_of(reply)
                account.answers[entry.entry] = (record.sequence, digest)
        case RecordKind.REFUSED:
            account.refusals.append(read_line(LedgerRefusal, content))
        case RecordKind.OPENED:
            raise ValueError("a ledger is opened once")
    return account


def _checked(identity: Identity) -> Identity:
    """Return an identity that promises something that can be reckoned with."""
    if identity.format != FORMAT:
        raise ValueError(f"its format is {identity.format}")
    Unit(identity.unit), Adjacency(identity.adjacency)
    deltas = identity.delta, identity.lifetime_delta
    if not all(SMALLEST_DELTA <= delta <= LARGEST_DELTA for delta in deltas):
        raise ValueError(f"its deltas are {deltas}")
    return identity


def _opening(time: str, content: dict[str, Any], entry: int) -> Opening:
    start, end = (datetime.fromisoformat(text_of(content[key])) for key in ("start", "end"))
    if start.utcoffset() != timedelta(0) or end.utcoffset() != timedelta(0) or end <= start:
        raise ValueError("a window goes from one time to a later one, both in UTC")
    if content["by"] not in (CALENDAR, OPERATOR):
        raise ValueError(f"a window was opened by {content['by']!r}")
    return Opening(time, Window(start, end), content["by"], entry)


def _check_mechanism(entry: LedgerEntry) -> None:
    """Raise unless an entry's mechanism is one, and can be reckoned with in doubles."""
    lengths = [entry.clipping_norm, entry.sensitivity, entry.sigma, entry.step or 1.0]
    if not all(SMALLEST <= length <= LARGEST for length in lengths):
        raise ValueError(f"its lengths are {lengths}")
    if not entry.event.mu <= LARGEST_MU:
        raise ValueError(f"its mu is {entry.event.mu}")


def _hash(sequence: int, time: str, kind: str, content: str, previous: str) -> str:
    chained = list_of_texts(str(sequence), time, kind, content, previous)
    return hashlib.sha256(chained.encode()).hexdigest()
