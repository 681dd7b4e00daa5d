"""Ledgers compared with each other, and with what their servers kept.

audits of single ledgers  +  what servers kept  ->  what does not fit together
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from privacy.audit.comparison import Comparison
from privacy.audit.evidence import Evidence, KeptRecord
from privacy.audit.ledger_audit import LedgerAudit
from privacy.audit.with_reports import compare_claims
from privacy.audit.with_servers import compare_noise
from privacy.errors import LedgerError
from privacy.ledger_file import LedgerFile

LIKE_LATIN = str.maketrans(
    "авсеһіјкмнорѕтухѵԁɡαβγεικνορτυχօսո01|",  # noqa: RUF001 - that is what it is about
    "abcehijkmhopstyxvdgabyeikvoptuxounoll",
)
"""Letters of other scripts, and digits, and the Latin letters that they are taken for."""
UNSEEN = frozenset({"Mn", "Cf"})
"""Kinds of characters that have no width of their own."""
BLANK = str.maketrans(dict.fromkeys("\u3164\u2800\u115f\u1160", " "))
NEAR = 0.9
"""A span is near its limit from this part of it on."""


def compare(
    audits: Sequence[LedgerAudit], servers: Sequence[LedgerAudit], evidence: Evidence
) -> Comparison:
    """Compare all ledgers with each other and with what servers kept.

    Parameters
    ----------
    audits, servers : sequence of LedgerAudit
        Of clients' ledgers, and of servers' own.
    evidence : Evidence
    """
    found = Comparison(
        unchecked=list(evidence.unused), unread=[Path(one.path) for one in audits if not one.region]
    )
    _one_ledger_a_region(found, audits)
    _look_alikes(found)
    for kept in evidence.records:
        inside = _in_its_folder(kept, found.counting, audits)
        _missing_regions(found, kept, inside, damaged=[one for one in audits if not one.region])
        _rounds(found, kept, inside)
    compare_noise(found, servers, evidence.records)
    compare_claims(found, servers, evidence)
    _unmatched(found, audits, evidence)
    return found


def _in_its_folder(
    kept: KeptRecord, counting: Sequence[LedgerAudit], audits: Sequence[LedgerAudit]
) -> Sequence[LedgerAudit]:
    """Return the ledgers of the regions that have one, be it an earlier copy, in the folder."""
    if kept.folder is None:
        return counting
    home = kept.folder.resolve()
    regions = {one.region for one in audits if Path(one.path).parent.resolve() == home}
    return [one for one in counting if one.region in regions]


def _one_ledger_a_region(found: Comparison, audits: Sequence[LedgerAudit]) -> None:
    """Look for two ledgers of one region: what is charged to one, the other does not count."""
    of_region: defaultdict[str, list[LedgerAudit]] = defaultdict(list)
    for audit in audits:
        if audit.region:
            of_region[audit.region].append(audit)
    for region, several in of_region.items():
        longest, *others = sorted(several, key=lambda one: -one.sequence)
        found.counting.append(longest)
        for other in others:
            parting = _parting(longest, other)
            if parting is None:
                found.unchecked.append(
                    f"{other.path} is an earlier copy of {longest.path}; the later one counts."
                )
                continue
            found.disagreeing.append(region)
            found.faults.append(
                f"{longest.path} and {other.path} are both of {region}, and differ from record "
                f"{parting} on: what is charged to one is not counted in the other."
            )


def _look_alikes(found: Comparison) -> None:
    """Tell of regions that a reader takes for each other: one may be counted twice."""
    alike: defaultdict[str, set[str]] = defaultdict(set)
    for one in found.counting:
        for looks in _looks(one.region):
            alike[looks].add(one.region)
    for several in sorted({tuple(sorted(regions)) for regions in alike.values()}):
        if len(several) > 1:
            found.unchecked.append(
                f"{', '.join(map(repr, several))} look alike: whether they are one region "
                "is not known; each was counted by itself."
            )


def _looks(region: str) -> set[str]:
    """Return what a name may be taken for: without case, width, and what is not seen.

    A capital I is taken for an i by who reads, and for an l by who sees.
    """
    whole = unicodedata.normalize("NFKC", region).translate(BLANK)
    seen = "".join(
        "-" if unicodedata.category(one) == "Pd" else one
        for one in whole
        if unicodedata.category(one) not in UNSEEN
    )
    spellings = (seen, seen.replace("I", "l"))
    return {" ".join(one.lower().translate(LIKE_LATIN).split()) for one in spellings}


def _parting(longer: LedgerAudit, shorter: LedgerAudit) -> int | None:
    """Return the first record in which two ledgers differ; None if one continues the other."""
    if longer.public_key != shorter.public_key:
        return 1
    chains = [_hashes(audit.path) for audit in (longer, shorter)]
    for number, (one, other) in enumerate(zip(*chains, strict=False), start=1):
        if one != other:
            return number
    return None


def _hashes(path: str) -> list[str]:
    try:
        with LedgerFile(Path(path)).reading() as rows:
            return [record.hash for record in rows.records()]
    except LedgerError:
        return [path]


def _missing_regions(
    found: Comparison,
    kept: KeptRecord,
    audits: Sequence[LedgerAudit],
    *,
    damaged: Sequence[LedgerAudit],
) -> None:
    """Look for regions whose heads a server has, and whose ledgers are not in the folder."""
    missing = sorted({head.region for head in kept.record.heads} - {one.region for one in audits})
    if not missing:
        return
    told = f"{kept.path} has heads of {', '.join(missing)}, of which there is no readable ledger."
    if kept.folder is not None and len(missing) > len(damaged):
        found.faults.append(told)
        found.disagreeing += missing
    else:
        found.unchecked.append(told)


def _rounds(found: Comparison, kept: KeptRecord, audits: Sequence[LedgerAudit]) -> None:
    """Look for rounds in which a server had more answers than ledgers have charges."""
    record = kept.record
    if record.rounds and kept.folder is None:
        found.unchecked.append(
            f"{kept.path}: its counts of answers, since ledgers were named one by one."
        )
        return
    for count in record.rounds:
        charges = sum(
            count.round_number in one.rounds.get(record.run, frozenset()) for one in audits
        )
        if count.answered <= charges:
            continue
        unread = found.unread_in(kept.folder) if kept.folder else 0
        told = (
            f"{kept.path}: {count.answered} answers came in round {count.round_number} "
            f"({count.purpose}), but {charges} ledgers charge for one"
        )
        if count.answered <= charges + unread:
            found.unchecked.append(f"{told}, of those that could be read.")
        else:
            found.faults.append(f"{told}: something was released without an entry.")


def _unmatched(found: Comparison, audits: Sequence[LedgerAudit], evidence: Evidence) -> None:
    """Tell of evidence that was given and is about no ledger here."""
    regions = {one.region for one in audits}
    for path, policy in evidence.policies.items():
        if policy.region not in regions:
            found.unchecked.append(
                f"{path} is the policy of {policy.region}, of which there is no ledger here."
            )
    for path, heads in evidence.witnesses.items():
        if not regions & {head.region for head in heads}:
            found.unchecked.append(f"Witness {path} holds no head of any ledger here.")


def near_limit(audits: Sequence[LedgerAudit]) -> list[tuple[LedgerAudit, str, float]]:
    """Return whose window or lifetime is nearly used up, which, and to what part."""
    found = []
    for audit in audits:
        for span in audit.spans:
            if span.limit and span.cost.epsilon >= NEAR * span.limit:
                found.append((audit, span.name, span.cost.epsilon / span.limit))
    return sorted(found, key=lambda one: -one[2])


def by_attention(audits: Sequence[LedgerAudit]) -> list[LedgerAudit]:
    """Put first what does not hold, then what is nearest to a limit."""

    def used(one: LedgerAudit) -> float:
        parts = [span.cost.epsilon / span.limit for span in one.spans if span.limit]
        return max(parts, default=0.0)

    return sorted(audits, key=lambda one: (not one.faults, one.usable, -used(one)))


def typical_epsilon(audits: Sequence[LedgerAudit]) -> float:
    """Return the median over ledgers of what was spent ever; 0 of none."""
    spent = [one.lifetime.cost.epsilon for one in audits if one.lifetime]
    return median(spent) if spent else 0.0
