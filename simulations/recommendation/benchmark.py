"""How much better recommendations are than popularity, with every noise paid for.

``python -m simulations.recommendation.benchmark --movielens FOLDER [--seeds 5] [--only NAME]``

sets x epsilon  ->  private runs, rivals, references  ->  JSON, line by line  ->  the page's tables

``--resume`` goes on from what an earlier call has kept; ``--page`` makes the page of it and
measures nothing.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from rich.console import Console

from simulations.recommendation.behaviour import Behaviour
from simulations.recommendation.figures import Line, References
from simulations.recommendation.measuring import Measuring
from simulations.recommendation.rows import ROWS, Row, behaviours
from simulations.recommendation.saved import FOLDER, keep, kept
from simulations.recommendation.splits import Split
from simulations.recommendation.tables import (
    Judgement,
    all_measures,
    fill,
    gains,
    group_gaps,
    rivals,
    unbounded,
    verdicts,
)

PAGE = Path("docs") / "recommendation.md"
BEGIN = "<!-- recommendation: made by python -m simulations.recommendation.benchmark -->"
END = "<!-- recommendation: end -->"

GAINS = """**Ours over popularity.** First standard error over people, second over draws of
noise; p of the paired difference over people, by random sign flips (of more than 2,000 by z)."""
RIVALS = """**Others with the same budget**, hit rate@10 ± standard error over people; and how much
of the gap between popularity and the best that knows everything is closed."""
UNBOUNDED = """**Without a budget**, hit rate@10 ± standard error over people; the best of EASE's
four ridges."""
MEASURES = """**All measures** of the ten best, ± standard error over people, of coverage over
draws. Diversity is one minus the mean cosine of two texts of a list, novelty the mean of -log2 of
the part of people who met an item."""
GROUPS = """**Whom it serves**: hit rates of the worst and of the best served group. Activity and
mainstreamness in quartiles: how many items were met, and how popular those are."""
VERDICTS = "**What was asked.**"

console = Console(highlight=False, width=200)

Sets = dict[str, Callable[[], Behaviour]]


def measure(rows: Sequence[Row], sets: Sets, seeds: int, folder: Path, *, resume: bool) -> None:
    """Measure the rows' lines; keep each as soon as it is found.

    Parameters
    ----------
    rows : sequence of Row
    sets : mapping of str to callable
        How to get each set.
    seeds : int
        Draws of the noise, times what a row says.
    folder : Path
    resume : bool
        Whether lines that are kept already, of as many draws, are left as they are.
    """
    get = cache(lambda name: sets[name]())

    @cache
    def measuring(name: str, split: Callable[[Behaviour], Split]) -> Measuring:
        return Measuring(split(get(name)))

    @cache
    def refer(name: str, split: Callable[[Behaviour], Split], file: str) -> None:
        if not (resume and kept(folder, file, References)):
            found = measuring(name, split).references()
            keep(folder, file, found)
            console.print(f"{found.set}, {found.split}: {_rates(found)}")

    for row in rows:
        refer(row.behaviour, row.split, _references_name(row))
        for epsilon, asked in row.asked.items():
            name, draws = _line_name(row, epsilon), seeds * row.draws
            earlier = kept(folder, name, Line) if resume else None
            if earlier is None or earlier.draws != draws:
                line = measuring(row.behaviour, row.split).line(row, epsilon, draws)
                keep(folder, name, line)
                console.print(f"{line.seconds:.0f} s\n{gains([(line, asked)])}")


def gathered(rows: Sequence[Row], folder: Path) -> tuple[list[Judgement], list[References]]:
    """Return what is kept of the rows' lines and splits; what is not is told."""
    found: list[Judgement] = []
    references: dict[str, References] = {}
    for row in rows:
        known = kept(folder, _references_name(row), References)
        if known is not None:
            references[_references_name(row)] = known
        for epsilon, asked in row.asked.items():
            line = kept(folder, _line_name(row, epsilon), Line)
            if line is None or known is None:
                console.print(f"Not measured: {_line_name(row, epsilon)}")
            else:
                found.append((line, asked))
    return found, list(references.values())


def sections(found: Sequence[Judgement], references: Sequence[References]) -> str:
    """Return the page's part."""
    lines = [line for line, _ in found]
    parts = [
        (GAINS, gains(found)),
        (VERDICTS, verdicts(found)),
        (RIVALS, rivals(lines, references)),
        (UNBOUNDED, unbounded(references)),
        (MEASURES, all_measures(lines)),
        (GROUPS, group_gaps(lines)),
    ]
    return "\n\n".join(f"{head}\n\n{body}" for head, body in parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, tell what is met, and fill the page; return 1 where there is nothing for it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--movielens", type=Path, help="folder of ml-100k.inter")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the noise")
    parser.add_argument("--only", default="", help="one set; the page is not written")
    parser.add_argument("--resume", action="store_true", help="go on from what is kept")
    parser.add_argument("--page", action="store_true", help="only make the page of what is kept")
    parser.add_argument("--kept", type=Path, default=FOLDER, help="folder of what is kept")
    told = parser.parse_args(arguments)
    rows = [row for row in ROWS if told.only in ("", row.behaviour)]
    if not rows:
        parser.error(f"no set is called {told.only!r}: {', '.join({r.behaviour: 0 for r in ROWS})}")
    if not told.page:
        if told.movielens is None:
            parser.error("--movielens FOLDER is needed to measure; --page needs nothing")
        logging.getLogger("flwr").setLevel(logging.ERROR)
        measure(rows, behaviours(told.movielens), told.seeds, told.kept, resume=told.resume)
    found, references = gathered(rows, told.kept)
    if not found:
        console.print(f"{told.kept} has no lines. The page was not changed. Measure first.")
        return 1
    console.print(verdicts(found))
    if not told.only:
        fill(PAGE, BEGIN, END, sections(found, references))
    return 0


def _rates(found: References) -> str:
    others = {"no noise": found.no_noise, "texts": found.nothing_released}
    rates = {**found.non_private, **others}
    return ", ".join(f"{name} {rate.mean:.4f}" for name, rate in rates.items())


def _references_name(row: Row) -> str:
    return f"references {row.behaviour} {row.split.__name__}"


def _line_name(row: Row, epsilon: float) -> str:
    return f"{row.behaviour} {row.split.__name__} {row.released} {epsilon:g}"


if __name__ == "__main__":
    sys.exit(main())
