"""What the ledger knows of answers: charged beforehand, recorded, never twice, within the budget.

requests to a new door  ->  answers  ->  the entries that its ledger has for them
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from privacy.accountant import epsilon_of
from privacy.audit.check import Check, exactly
from privacy.audit.trial import DELTA, SMALL, fresh_door, give, request, small_users, source
from privacy.door import Batch, Door
from privacy.query import NoiseKind, SumQuery
from privacy.records import LedgerEntry
from privacy.release import Answer, Refusal, Release
from privacy.window import Window


def check_ledger(folder: Path, kind: NoiseKind, seed: int) -> Check:
    """Follow two releases, one of them asked for twice, through the ledger."""
    door = fresh_door(folder, source(kind, seed))
    queries = [request(*SMALL, noise_multiplier=1.0, round_number=n) for n in (1, 2)]
    users = small_users(np.zeros(2, np.int64), np.ones((2, 3), np.float32))
    faults: list[str] = []

    def charged_first(query: SumQuery) -> Callable[[Window], Batch]:
        def contribute(window: Window) -> Batch:
            if query.fingerprint() not in {one.fingerprint for one in door.ledger.entries()}:
                faults.append("users were asked before the ledger was charged")
            return users

        return contribute

    answers = [door.answer(query, charged_first(query)) for query in queries]
    before = door.ledger.account().sequence
    again = door.answer(queries[0], _untouched(faults, "a repeated request"))
    if door.ledger.account().sequence != before or again.to_bytes() != answers[0].to_bytes():
        faults.append("a repeated request was charged again, or answered with other bytes")
    for query, answer in zip(queries, answers, strict=True):
        faults += _unrecorded(query, answer, door)
    return exactly(
        "ledger",
        "Is every release charged beforehand, recorded with its mechanism and its digest, and "
        "the same whenever it is asked for again?",
        len(faults),
        "; ".join(dict.fromkeys(faults)) or "Two releases and a repeated request are in order.",
    )


def _unrecorded(query: SumQuery, answer: Answer, door: Door) -> list[str]:
    account = door.ledger.account()
    entry = account.entry_of(query.server_key, query.run, query.round_number)
    if not isinstance(answer, Release) or entry is None:
        return ["a release has no ledger entry"]
    digest = account.answers.get(entry.entry, (0, None))[1]
    if digest != hashlib.sha256(answer.to_bytes()).hexdigest():
        return ["the ledger has another digest than the release's"]
    return (
        []
        if _mechanism(entry, door.noise.kind) == _promised(query, door.noise.kind)
        else ["the ledger has another mechanism than the request's"]
    )


def _mechanism(entry: LedgerEntry, kind: NoiseKind) -> tuple[object, ...]:
    return entry.fingerprint, entry.sensitivity, entry.sigma, entry.step, entry.noise


def _promised(query: SumQuery, kind: NoiseKind) -> tuple[object, ...]:
    step = query.step if kind is NoiseKind.DISCRETE else 0.0
    return query.fingerprint(), query.sensitivity, query.sigma, step, kind


def check_budget(folder: Path, kind: NoiseKind, seed: int) -> Check:
    """Ask for two releases where one and a half can be paid."""
    epsilon = epsilon_of(1.5**0.5, DELTA)
    door = fresh_door(folder, source(kind, seed), epsilon=epsilon)
    users = small_users(np.zeros(1, np.int64), np.ones((1, 3), np.float32))
    faults: list[str] = []
    first = door.answer(request(*SMALL, noise_multiplier=1.0), give(users))
    second = door.answer(
        request(*SMALL, noise_multiplier=1.0, round_number=2),
        _untouched(faults, "a request over the budget"),
    )
    if not (isinstance(first, Release) and isinstance(second, Refusal)):
        faults.append(f"the answers were a {type(first).__name__} and a {type(second).__name__}")
    if door.ledger.spent_epsilon() > epsilon or len(door.ledger.entries()) != 1:
        faults.append("the ledger has other than the one release that could be paid")
    return exactly(
        "budget",
        "Is what would pass the budget refused before any user is asked?",
        len(faults),
        "; ".join(dict.fromkeys(faults)) or "One release was paid, the next one refused.",
    )


def _untouched(faults: list[str], what: str) -> Callable[[Window], Batch]:
    def contribute(window: Window) -> Batch:
        faults.append(f"{what} asked users")
        return small_users(np.zeros(0, np.int64), np.zeros((0, 3), np.float32))

    return contribute
