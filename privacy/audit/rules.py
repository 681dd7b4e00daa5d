"""Whether every release kept the rules that were in force when it was made.

account (entries, windows, the policies that entries name)  ->  sentences about those that did not

The same limits as at the door, looked at once more from outside, release by release.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from pydantic import ValidationError

from privacy.accountant import Adjacency, mu_of
from privacy.calibration import LARGEST_EPSILON
from privacy.configuration import describe
from privacy.errors import DamagedLedgerError
from privacy.policy import ROUNDING, Policy
from privacy.query import DIAGONAL, NoiseKind, TrustModel
from privacy.records import CALENDAR, SERVER, Account, LedgerEntry, Opening
from privacy.renewal import next_window
from privacy.window import Renewal

SLACK = 1e-8
"""By so much a sum of squares may pass a limit that was computed another way."""
OF_MOMENTS = frozenset({"second-moments", "taste-moments"})
"""Kinds of questions whose sensitivity goes with the square of the clipping norm."""
COARSEST_STEP = 2.0**-20
"""Of the sensitivity; every version's lattice was finer."""
CONTINUOUS = (NoiseKind.FLOAT, NoiseKind.SEEDED)


def rules_of(account: Account) -> dict[str, Policy]:
    """Return the policies that a ledger's entries name, by their digests.

    Raises
    ------
    DamagedLedgerError
        If one is no policy, or another's.
    """
    found = {}
    for digest, rules in account.rules.items():
        try:
            policy = Policy.model_validate_json(json.dumps(rules), by_name=False, by_alias=True)
        except ValidationError as error:
            raise DamagedLedgerError(
                f"Rules {digest[:16]} make no sense: {describe(error)}."
            ) from error
        budget, who = policy.budget, account.identity
        promised = (
            policy.region,
            budget.delta,
            budget.lifetime_delta,
            budget.unit.value,
            budget.adjacency.value,
        )
        kept = (who.region, who.delta, who.lifetime_delta, who.unit, who.adjacency)
        if promised != kept:
            raise DamagedLedgerError(f"Rules {digest[:16]} are those of another ledger.")
        found[digest] = policy
    return found


def broken_rules(
    account: Account, policies: dict[str, Policy], *, of_server: bool = False
) -> list[str]:
    """Return what each release did that its rules forbid; empty if all kept them.

    Parameters
    ----------
    account : Account
    policies : dict of str to Policy
        Of :func:`rules_of`.
    of_server : bool
        Whether only budgets are to be kept, as by a server that adds noise.
    """
    checks = [_seeded, _repetitions, _windows, _budgets]
    checks.insert(0, _added_noise if of_server else _one_by_one)
    return [
        f"Entry {entry.entry} ({entry.purpose} of run {entry.run}, {entry.time[:16]}) {problem}."
        for check in checks
        for entry, problem in check(account, policies)
    ]


Problems = Iterator[tuple[LedgerEntry, str]]


def _one_by_one(account: Account, policies: dict[str, Policy]) -> Problems:
    """Go through what the rules say about a single release."""
    for entry in account.entries.values():
        policy = policies[entry.policy]
        for check in (_what_was_asked, _how_much, _who_and_what):
            yield from ((entry, problem) for problem in check(entry, policy))


def _added_noise(account: Account, policies: dict[str, Policy]) -> Problems:
    """Look for releases of a server that name no noise of its own."""
    for entry in account.entries.values():
        if entry.noise not in set(NoiseKind):
            yield entry, f"has {entry.noise} noise, which is none that a server adds"


def _seeded(account: Account, policies: dict[str, Policy]) -> Problems:
    """Look for noise that can be taken off in a ledger of people that exist."""
    for entry in account.entries.values():
        if entry.noise == NoiseKind.SEEDED and not account.identity.simulated:
            yield entry, "has seeded noise in a ledger that is not marked as simulated"


def _what_was_asked(entry: LedgerEntry, policy: Policy) -> Iterator[str]:
    rules = policy.answers
    if entry.kind not in rules.questions:
        yield "was of a kind that is not answered"
    if entry.trust_model not in rules.trust_models:
        yield f"was under trust model {entry.trust_model}"
    central = entry.trust_model == TrustModel.CENTRAL
    if entry.noise != SERVER if central else entry.noise not in rules.noise_kinds:
        yield f"has {entry.noise} noise"
    if entry.participants < rules.fewest_participants:
        yield f"was for {entry.participants} clients, fewest are {rules.fewest_participants}"


def _how_much(entry: LedgerEntry, policy: Policy) -> Iterator[str]:
    rules = policy.answers
    multiplier, least = entry.sigma / entry.sensitivity, rules.least_noise_multiplier
    if multiplier < least * (1 - ROUNDING):
        yield f"has noise multiplier {multiplier:.4g}, least is {least:.4g}"
    largest = rules.largest_clipping_norm
    if not 0 < entry.clipping_norm <= largest:
        yield f"has clipping norm {entry.clipping_norm:.4g}, largest is {largest:.4g}"
    if (entry.step == 0) != (entry.noise in CONTINUOUS):
        yield "names no lattice, or one where noise is continuous"
    elif entry.step and not _is_fine(entry.step, entry.sensitivity):
        yield f"names a lattice of step {entry.step:g}, which does not go with its sensitivity"
    norm = entry.clipping_norm
    least_sensitivity = DIAGONAL * norm**2 if entry.kind in OF_MOMENTS else norm
    if entry.sensitivity < least_sensitivity * (1 - ROUNDING):
        yield f"has sensitivity {entry.sensitivity:.4g}, too little for clipping norm {norm:.4g}"


def _is_fine(step: float, sensitivity: float) -> bool:
    """Tell whether a step is a power of two, and small: finer ones may come with versions."""
    return math.frexp(step)[0] == 0.5 and step <= COARSEST_STEP * sensitivity


def _who_and_what(entry: LedgerEntry, policy: Policy) -> Iterator[str]:
    trusted = policy.trusted
    if trusted.server_keys and entry.server_key not in trusted.server_keys:
        yield "was for a server that the rules do not name"
    if trusted.encoders and entry.encoder not in trusted.encoders:
        yield "was made with an encoder that the rules do not name"
    if trusted.code_hashes and entry.code not in trusted.code_hashes:
        yield "was made by a program that the rules do not name"


def _repetitions(account: Account, policies: dict[str, Policy]) -> Problems:
    """Look for two releases in one round, and for runs that asked too often."""
    rounds: dict[tuple[str, str, int], int] = {}
    requests: dict[str, int] = {}
    asked: defaultdict[tuple[str, str], int] = defaultdict(int)
    for entry in account.entries.values():
        place = entry.server_key, entry.run, entry.round_number
        if place in rounds:
            yield entry, f"is a second release in round {entry.round_number}, after {rounds[place]}"
        rounds.setdefault(place, entry.entry)
        if (first := requests.setdefault(entry.fingerprint, entry.entry)) != entry.entry:
            yield entry, f"answers the request of entry {first} again"
        _, reply = account.answers.get(entry.entry, (0, ""))
        if reply is None and entry.noise != SERVER:
            yield entry, "was committed without a reply"
        asked[place[:2]] += 1
        if asked[place[:2]] > (most := policies[entry.policy].answers.most_releases_per_run):
            yield entry, f"is release {asked[place[:2]]} of its run, most are {most}"


def _windows(account: Account, policies: dict[str, Policy]) -> Problems:
    """Look whether each release was charged to the window in force, and that to the rules'."""
    openings = list(account.openings)
    known: dict[str, Policy] = {}
    in_force: Opening | None = None
    name = ""
    for entry in account.entries.values():
        known[entry.policy] = policies[entry.policy]
        while openings and openings[0].entry <= entry.entry:
            opened, before = openings.pop(0), in_force
            in_force, name = opened, opened.window.name
            if problem := _not_by_the_rules(
                opened, before, policies[entry.policy], list(known.values())
            ):
                yield entry, f"was charged while window {name} was open: {problem}"
        moment = datetime.fromisoformat(entry.time)
        if in_force is None or name != entry.window or moment not in in_force.window:
            yield entry, f"was charged to window {entry.window}, which was not open then"


def _not_by_the_rules(
    opened: Opening, before: Opening | None, policy: Policy, known: Sequence[Policy]
) -> str | None:
    """Return why a window should not have been opened."""
    window = opened.window
    if not window.start < window.end:
        return "it ends before it begins"
    if before and window.start < before.window.end:
        return "it began before the last one was over"
    by_calendar = opened.by == CALENDAR
    if by_calendar and before and policy.window.renewal is Renewal.BY_OPERATOR:
        return "no operator renewed it"
    # By the calendar, the rules are those of the release; an operator may have had those of an
    # earlier one. Rules without a release count for nothing: nobody would have approved them.
    now, last = datetime.fromisoformat(opened.time), before.window if before else None
    allowed = [policy] if by_calendar else known
    if window not in [next_window(one, last, now) for one in allowed]:
        return "by the rules another one was due"
    return None


def _budgets(account: Account, policies: dict[str, Policy]) -> Problems:
    """Add up what was charged, window by window and ever; tell who passed a limit first."""
    changes = Adjacency(account.identity.adjacency).changes
    spent: defaultdict[str, float] = defaultdict(float)
    told: set[str] = set()
    for entry in account.entries.values():
        budget, mu = policies[entry.policy].budget, changes * entry.event.mu
        for span, epsilon, delta in (
            (f"of window {entry.window}", budget.epsilon, budget.delta),
            ("of the lifetime", budget.lifetime_epsilon, budget.lifetime_delta),
        ):
            spent[span] += mu * mu
            over = math.sqrt(spent[span]) > _limit(epsilon, delta) * (1 + SLACK)
            if over and span not in told:
                told.add(span)
                yield entry, f"went beyond the budget {span}, epsilon {epsilon:g}"


@lru_cache(maxsize=256)
def _limit(epsilon: float, delta: float) -> float:
    """Return the mu that a budget allows; budgets that promise nothing have no limit."""
    return mu_of(epsilon, delta) if epsilon <= LARGEST_EPSILON else math.inf
