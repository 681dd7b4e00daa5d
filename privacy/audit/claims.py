"""What an audit says in words: the claim, what else was published and why it is free, assumptions.

The sentences an officer signs under; figures come from the audit, nothing is taken on trust
without being named here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from privacy.accountant import Adjacency
from privacy.audit.auditing import Audit
from privacy.audit.ledger_audit import LedgerAudit, Span, Verdict
from privacy.query import NoiseKind
from privacy.window import WindowEvents

MOST_NAMED = 8
MOST_TOLD = 50
"""So many sentences of a kind are shown to people."""
PUBLISHED = (
    (
        "Centroids, cluster sizes, hierarchy, K curve, private summary",
        "computed from releases alone (post-processing); the noise is inside them already",
    ),
    (
        "Labels and terms of clusters",
        "made of centroids and the public catalogue",
    ),
    (
        "Cluster map pushed back to regions, item weights",
        "releases and what follows from them",
    ),
    (
        "Questions of the server (centres, bases, norms)",
        "made of public values and earlier releases; that they adapt to answers is covered by "
        "composition",
    ),
    (
        "Heads and signatures of ledgers",
        "hashes of requests, mechanisms and released values, and counts of requests",
    ),
    (
        "Refusals",
        "they depend on the request, the policy, the ledger and the clock, never on anybody's data",
    ),
    (
        "Recommendations",
        "are made at the region for its own users and do not leave it",
    ),
)
"""What else leaves or is shown, and why it costs nothing."""
ORACLE = (
    "Figures marked oracle in a simulation's report",
    "NOT free: computed from withheld data that no server has; a deployment has no such figures",
)

_ALWAYS = (
    "The program is the one that the hashes in the ledger name, and does what its source says; a "
    "hash notices updates that nobody approved, not a program that lies about itself.",
    "Each user is at one region only. A user at m regions loses more: mu grows by sqrt(m) under "
    "local trust, by m under one shared noise.",
    "The signing key was nobody's but the region's: with it, a whole history can be forged that "
    "only heads kept elsewhere show.",
    "The regions' clocks were right: who sets a clock forward opens windows early.",
    "Noise came from the operating system's generator, as the ledger says; a ledger cannot prove "
    "what was drawn.",
    "How long a region took to answer, and that it took part, is not covered.",
)


def claim(audit: Audit) -> str:
    """Return the claim in one sentence, with its verdict in front."""
    if not audit.ledgers:
        return f"{audit.verdict}: {_examined(audit)}"
    if audit.verdict is Verdict.FAIL:
        return (
            f"FAIL: {_what_failed(audit)} Nothing below should be relied on before that is settled."
        )
    if audit.verdict is Verdict.UNUSABLE:
        looked_at = [*audit.ledgers, *audit.servers]
        unread = sum(not one.usable for one in looked_at)
        return f"UNUSABLE: {unread} of {len(looked_at)} inputs are no ledgers; see below."
    released = [one for one in audit.counting if one.lifetime and one.releases]
    if not released:
        return "PASS: nothing has been released, so nothing was spent."
    if large := [one for one in released if _promises_nothing(one)]:
        named = _some([one.region for one in large])
        return (
            f"PASS, but nothing is promised: the ledgers are whole, and epsilon is so large (in "
            f"{named}) that it protects nobody."
        )
    return f"PASS: {'; '.join(_clauses(audit, released))}."


def _clauses(audit: Audit, released: Sequence[LedgerAudit]) -> list[str]:
    """Say what is promised: a clause for ledgers of one adjacency and the same deltas."""
    alike: dict[tuple[Any, ...], list[LedgerAudit]] = {}
    for one in released:
        promise = tuple(one.identity[name] for name in ("adjacency", "delta", "lifetime_delta"))
        alike.setdefault(promise, []).append(one)
    clauses = []
    for (adjacency, *_), ledgers in alike.items():
        changed = (
            "adding or removing any one user, with everything that the user did,"
            if adjacency == Adjacency.ADD_OR_REMOVE_ONE
            else "exchanging any one user's data for any other"
        )
        server = " (if its server added the noise)" if _rest_on_server(ledgers) else ""
        clauses.append(
            f"{changed} changes the probability of {_whose(audit, alike, ledgers)}{server} by at "
            f"most a factor e^{_largest(ledgers)}"
        )
    return clauses


def _whose(audit: Audit, alike: Mapping[Any, Any], ledgers: Sequence[LedgerAudit]) -> str:
    if len(ledgers) == 1 and (len(alike) > 1 or len(audit.counting) == 1):
        return f"what {ledgers[0].region} released"
    if len(alike) == 1:
        return f"anything that any one of {len(audit.counting)} regions released"
    return f"what any one of {_some([one.region for one in ledgers])} released"


def _rest_on_server(ledgers: Sequence[LedgerAudit]) -> bool:
    return any(one.rests_on_server for one in ledgers)


def _largest(ledgers: Sequence[LedgerAudit]) -> str:
    """Spell the largest losses of ledgers with the same deltas: in one window, and ever."""
    windows = [span for one in ledgers for span in one.windows]
    window = max(windows, key=_epsilon, default=None)
    ever = max((one.lifetime for one in ledgers if one.lifetime), key=_epsilon)
    delta, lasting = (window or ever).combination.delta, ever.combination.delta
    told = f"{_rounded_up(ever)} over its ledger's whole life, but for a probability of "
    if window is None or (len(windows) == len(ledgers) and delta == lasting):
        return f"{told}{lasting:g}"
    if delta == lasting:
        return (
            f"{_rounded_up(window)} in any one window and e^{_rounded_up(ever)} over its whole "
            f"life, but for a probability of {lasting:g}"
        )
    return (
        f"{_rounded_up(window)} in any one window, but for a probability of {delta:g}, and "
        f"e^{_rounded_up(ever)} over its whole life, but for {lasting:g}"
    )


def _rounded_up(span: Span) -> str:
    """Spell a loss in four digits, the last one rounded up; by a millionth it may be more."""
    epsilon = _epsilon(span) * (1 - 1e-6)
    if epsilon <= 0:
        return "0"
    digits = 3 - math.floor(math.log10(epsilon))
    scale = 10.0**digits
    return f"{math.ceil(epsilon * scale) / scale:.4g}"


def _epsilon(span: Span) -> float:
    return span.cost.epsilon


def _promises_nothing(one: LedgerAudit) -> bool:
    return bool(one.lifetime and not one.lifetime.cost.promises_something)


def _what_failed(audit: Audit) -> str:
    bad = [one for one in [*audit.ledgers, *audit.servers] if one.faults]
    told = []
    if bad:
        named = ", ".join(one.region or Path(one.path).name for one in bad[:3])
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        told.append(
            f"{len(bad)} of {len(audit.ledgers) + len(audit.servers)} ledgers do not hold "
            f"({named}{more})."
        )
    if audit.comparison.faults:
        told.append("What regions and servers kept does not fit together.")
    if failed := [check.name for check in audit.checks if not check.passed]:
        told.append(f"The mechanism failed its examination ({', '.join(failed)}).")
    return " ".join(told)


def _examined(audit: Audit) -> str:
    """Say what was looked at where no region's ledger was given."""
    told = []
    if audit.servers:
        what = f"{len(audit.servers)} ledger{'s' if len(audit.servers) > 1 else ''} of servers"
        unread = sum(not one.usable for one in audit.servers)
        faulty = any(one.faults for one in audit.servers)
        told.append(
            _what_failed(audit)
            if faulty
            else f"{unread} of {what} could not be read."
            if unread
            else f"{what} hold what they should."
            if len(audit.servers) > 1
            else f"{what} holds what it should."
        )
    failed = [check.name for check in audit.checks if not check.passed]
    if failed and not any(one.faults for one in audit.servers):
        told.append(f"the mechanism of this program failed {', '.join(failed)}.")
    elif audit.checks and not failed:
        told.append(f"the mechanism of this program passed all {len(audit.checks)} checks.")
    return f"{' '.join(told)} No region's ledger was given."


def together(sentences: Iterable[tuple[str, str]]) -> list[str]:
    """Return each sentence once, with all whom it is about in front.

    Parameters
    ----------
    sentences : iterable of (str, str)
        Whom it is about, and the sentence.
    """
    about: dict[str, list[str]] = {}
    for who, sentence in sentences:
        about.setdefault(sentence, []).append(who)
    return [
        f"{_some(list(dict.fromkeys(everybody)))}: {sentence}"
        for sentence, everybody in about.items()
    ]


def _some(everybody: Sequence[str]) -> str:
    more = len(everybody) - MOST_NAMED
    return ", ".join(everybody[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def first_of(sentences: Sequence[str]) -> list[str]:
    """Return as many sentences as people read, and how many more there are."""
    more = len(sentences) - MOST_TOLD
    told = [f"... and {more} more, in the JSON report."] if more > 0 else []
    return [*sentences[:MOST_TOLD], *told]


def published(audit: Audit) -> Sequence[tuple[str, str]]:
    """Return what else was published and why it is free."""
    return [*PUBLISHED, *([ORACLE] if audit.is_simulated else [])]


def assumptions(audit: Audit) -> list[str]:
    """Return what the claim assumes and nobody can verify from these files."""
    found = list(_ALWAYS)
    resting = sum(one.rests_on_server for one in audit.counting)
    if resting:
        found.insert(
            0,
            f"{resting} releases are under trust model central: the server saw exact clipped sums, "
            "is trusted to have kept them to itself and to have added the noise that it promised.",
        )
    noises = {noise for one in [*audit.ledgers, *audit.servers] for noise in one.noises}
    if NoiseKind.SEEDED in noises:
        found.insert(0, "Seeded noise is hidden from whoever does not know the seed, and only so.")
    if NoiseKind.FLOAT in noises:
        found.append("Floating-point noise is not hardened against every attack on its last bits.")
    if any(len(one.windows) > 1 for one in audit.ledgers):
        found.append(
            f'Where the rules say events = "{WindowEvents.ALL}", profiles remember earlier '
            "windows: the figure for the lifetime is the promise, a window's alone is not."
        )
    return found
