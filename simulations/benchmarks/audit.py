"""How often the audit notices a broken door, and suspects a sound one.

``python -m simulations.benchmarks.audit``

doors, broken and intact  x  seeds  ->  examinations  ->  rates with limits  ->  the page's table

The statistical checks run on small samples (``QUICK``), so the rates are those of an
examination weaker than the usual one. Every examination has a seed of its own.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from privacy.audit.distinguishing import lower_limit, upper_limit
from privacy.audit.experiment import QUICK, examine_exactly, examine_noise
from privacy.query import NoiseKind
from simulations.benchmarks.broken_doors import EXACT, STATISTICAL, broken

PAGE = Path("docs") / "empirical-audit.md"
BEGIN, END = "<!-- audit: made by python -m simulations.benchmarks.audit -->", "<!-- audit: end -->"
REPEATS = 200
"""Of each statistical fault."""
EXACT_REPEATS = 3
"""Of each exact one: there is no chance in it but that of the seeded users."""
INTACT = {NoiseKind.SEEDED: 400, NoiseKind.DISCRETE: 200, NoiseKind.FLOAT: 100}
PROCESSES = 2
ERROR = 0.05

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Case:
    """A door to be examined again and again.

    Attributes
    ----------
    name : str
    noise : NoiseKind, optional
        None stands for all kinds together.
    fault : int, optional
        Its place in ``faults``; an intact door has none.
    exact : bool
        Whether the exact checks examine it; else the statistical ones.
    examinations : int
    """

    name: str
    noise: NoiseKind | None
    fault: int | None
    exact: bool
    examinations: int


@dataclass(frozen=True, slots=True)
class Rate:
    """What examinations of one door found.

    Attributes
    ----------
    case : Case
    failed : int
        Examinations that at least one check of failed.
    by : Counter
        How often each check failed.
    """

    case: Case
    failed: int
    by: Counter[str]


def cases(*, repeats: int, intact: float) -> list[Case]:
    """Return the intact doors first; ``intact`` scales their number."""
    sound = [
        Case("intact", noise, None, False, max(1, round(number * intact)))
        for noise, number in INTACT.items()
    ]
    checked = [Case("intact", noise, None, True, EXACT_REPEATS) for noise in INTACT]
    statistical = [
        Case(fault.name, fault.noise, place, False, repeats)
        for place, fault in enumerate(STATISTICAL)
    ]
    exact = [
        Case(fault.name, fault.noise, place, True, EXACT_REPEATS)
        for place, fault in enumerate(EXACT)
    ]
    return [*sound, *checked, *statistical, *exact]


def failures(case: Case, seed: int) -> list[str]:
    """Examine the door once; return the names of the checks that failed."""
    torch.set_num_threads(1)
    noise = case.noise or NoiseKind.SEEDED

    def examined() -> list[str]:
        checks = (
            examine_exactly(noise, seed=seed)
            if case.exact
            else examine_noise(noise, seed=seed, effort=QUICK)
        )
        return [check.name for check in checks if not check.passed]

    if case.fault is None:
        return examined()
    with broken((EXACT if case.exact else STATISTICAL)[case.fault]):
        return examined()


def rate(case: Case, pool: ProcessPoolExecutor) -> Rate:
    """Examine the door as often as its case says."""
    n = case.examinations
    found = list(pool.map(failures, [case] * n, range(1, n + 1), chunksize=5))
    by = Counter(name for names in found for name in names)
    return Rate(case, sum(bool(names) for names in found), by)


def together(rates: Sequence[Rate]) -> list[Rate]:
    """Return what the statistical checks found in intact doors of all kinds together."""
    intact = [one for one in rates if one.case.fault is None and not one.case.exact]
    if len(intact) < 2:
        return []
    case = Case("intact", None, None, False, sum(one.case.examinations for one in intact))
    by = sum((one.by for one in intact), Counter[str]())
    return [Rate(case, sum(one.failed for one in intact), by)]


def table(rates: Sequence[Rate]) -> str:
    """Return the rates as a Markdown table."""
    lines = [
        "| a door that | noise | checks | examinations | fail | 95% limits | mostly by |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in [*together(rates), *rates]:
        n, case = one.case.examinations, one.case
        low = lower_limit(one.failed, n, ERROR / 2)
        high = upper_limit(one.failed, n, ERROR / 2)
        name = "**is intact**" if case.fault is None else case.name
        noise = case.noise or "any"
        kind = "exact" if case.exact else "statistical"
        limits = "always the same" if case.exact else f"{low:.1%} to {high:.1%}"
        by = ", ".join(f"`{check}`" for check, _ in one.by.most_common(2)) or "-"
        share = f"{one.failed / n:.1%}"
        lines.append(f"| {name} | {noise} | {kind} | {n} | {share} | {limits} | {by} |")
    return "\n".join(lines)


def write_page(text: str, page: Path = PAGE) -> None:
    """Write the table into its place on the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Examine all doors and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of each statistical fault")
    parser.add_argument("--intact", type=float, default=1.0, help="share of the intact doors")
    parser.add_argument("--print", action="store_true", help="leave the page as it is")
    chosen = parser.parse_args()
    rates = []
    with ProcessPoolExecutor(PROCESSES) as pool:
        for case in cases(repeats=chosen.repeats, intact=chosen.intact):
            rates.append(rate(case, pool))
            console.print(table(rates[-1:]).splitlines()[-1])
    if not chosen.print:
        write_page(table(rates))


if __name__ == "__main__":
    main()
