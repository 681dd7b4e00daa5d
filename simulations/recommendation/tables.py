"""The benchmark's lines as Markdown: five tables, and what was asked and is met.

lines, references  ->  ours over popularity; verdicts; rivals; references; all measures; groups
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from simulations.recommendation.figures import Figure, Group, Line, Paired, References
from simulations.recommendation.rows import NOT_WORSE, NOT_WORSE_THAN_RECENT

Judgement = tuple[Line, float | None]
"""A line, and the gain over popularity that was asked for."""

NAMES = {
    "hit_rate": "hit rate",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "coverage": "coverage",
    "diversity": "diversity",
    "novelty": "novelty",
}
FEW_CANNOT_TELL = 2.0
"""Standard errors."""


def gains(found: Sequence[Judgement]) -> str:
    """Return ours beside popularity with the same budget."""
    return table([_gain(line, asked) for line, asked in found])


def rivals(lines: Sequence[Line], references: Sequence[References]) -> str:
    """Return hit rates of what has the same budget, and the part of the gap that ours closes."""
    best = {(one.set, one.split): one.best[1].mean for one in references}
    rows = []
    for line in lines:
        gap = best[line.set, line.split] - line.popularity["hit_rate"].mean
        closed = f"{line.paired['popularity'].gain / gap:.0%}" if gap > 0 else "-"
        rows.append(
            {
                **_where(line),
                "popularity": _short(line.popularity["hit_rate"]),
                **{name: _short(rival) for name, rival in line.rivals.items()},
                "ours": _short(line.ours["hit_rate"]),
                "of the gap": closed,
            }
        )
    return table(rows)


def unbounded(references: Sequence[References]) -> str:
    """Return hit rates of what no budget bounds, for each split."""
    rows = []
    for one in references:
        row = {
            "set": f"{one.set}, {one.split}",
            "texts, nothing released": _short(one.nothing_released),
            "ours, no noise": _short(one.no_noise),
        }
        for kind in ("ItemKNN", "EASE", "ALS", "BPR"):
            of_kind = [rate for name, rate in one.non_private.items() if name.startswith(kind)]
            row[kind] = _short(max(of_kind, key=lambda rate: rate.mean)) if of_kind else "-"
        rows.append({**row, "best": one.best[0]})
    return table(rows)


def all_measures(lines: Sequence[Line]) -> str:
    """Return every measure, ours above popularity's, with standard errors over people."""
    rows = []
    for line in lines:
        for name, figures in (("ours", line.ours), ("popularity", line.popularity)):
            measured = {shown: _measure(figures[key], key) for key, shown in NAMES.items()}
            rows.append({**_where(line), "ranking": name, **measured})
    return table(rows)


def group_gaps(lines: Sequence[Line]) -> str:
    """Return how far apart the worst and the best served groups are."""
    rows = [
        {
            **_where(line),
            "groups": f"{grouping} ({len(groups)})",
            "ours": _range(groups, "ours"),
            "gap": f"{_gap(groups, 'ours'):.3f}",
            "popularity": _range(groups, "popularity"),
            "popularity's gap": f"{_gap(groups, 'popularity'):.3f}",
        }
        for line in lines
        for grouping, groups in line.groups.items()
    ]
    return table(rows)


def verdicts(found: Sequence[Judgement]) -> str:
    """Return a list of what was asked: met or not, with the figure that says so."""
    said = [_verdict(line, asked) for line, asked in found if asked is not None]
    met = sum(one.startswith("- met") for one in said)
    return "\n".join([f"Of {len(said)} things asked {met} are met.", "", *said])


def is_met(line: Line, asked: float) -> bool:
    """Tell whether a line has the gain that was asked for, or is not worse than it must be."""
    to = line.paired[_against(asked)]
    if asked in (NOT_WORSE, NOT_WORSE_THAN_RECENT):
        return to.gain >= -FEW_CANNOT_TELL * to.error
    return to.gain >= asked * line.popularity["hit_rate"].mean


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a Markdown table; a row without a value has a dash."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([row.get(name, "-") for name in names] for row in rows)]
    head, *body = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([head, f"|{'---|' * len(names)}", *body])


def fill(page: Path, begin: str, end: str, text: str) -> None:
    """Put text between two marks of a page.

    Raises
    ------
    ValueError
        If the page has not each mark once, in this order.
    """
    content = page.read_text(encoding="utf-8")
    if (
        content.count(begin) != 1
        or content.count(end) != 1
        or content.find(end) < content.find(begin)
    ):
        raise ValueError(
            f"{page} has not {begin} and then {end}, once each. It was not changed. "
            "Put the two lines where the tables belong."
        )
    before, after = content.split(begin)[0], content.split(end)[1]
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _where(line: Line) -> dict[str, str]:
    released = "" if line.released == "taste" else f", {line.released}"
    return {"set": f"{line.set}, {line.split}{released}", "eps": f"{line.epsilon:g}"}


def _gain(line: Line, asked: float | None) -> dict[str, str]:
    to, popular = line.paired["popularity"], line.popularity["hit_rate"]
    over_noise = f" ± {to.noise_error:.4f}" if line.draws > 1 else ""
    return {
        **_where(line),
        "people, draws": f"{line.people:,}, {line.draws}",
        "popularity": f"{popular.mean:.4f}",
        "ours": _short(line.ours["hit_rate"]),
        "paired difference": f"{to.gain:+.4f} ± {to.error:.4f}{over_noise}",
        "p": f"{to.p:.1g}" if to.p >= 1e-4 else "<.0001",
        "over popularity": _percent(to, popular),
        "asked": _asked(asked),
        "": "-" if asked is None else "met" if is_met(line, asked) else "**not met**",
    }


def _verdict(line: Line, asked: float) -> str:
    where, to = _where(line), line.paired[_against(asked)]
    verdict = "met" if is_met(line, asked) else "**not met**"
    rate = {"popularity": line.popularity["hit_rate"], **line.rivals}[_against(asked)]
    if asked > 0 and 0 < asked * rate.mean - to.gain < to.error:
        verdict += ", by less than a standard error"
    return (
        f"- {verdict}: {where['set']}, epsilon {where['eps']}: asked {_asked(asked)}, found "
        f"{_percent(to, rate)}"
    )


def _against(asked: float) -> str:
    return "recent popularity" if asked == NOT_WORSE_THAN_RECENT else "popularity"


def _percent(to: Paired, popular: Figure) -> str:
    return f"{to.gain / popular.mean:+.1%} ± {to.error / popular.mean:.1%}"


def _asked(asked: float | None) -> str:
    if asked is None:
        return "-"
    if asked == NOT_WORSE_THAN_RECENT:
        return "not worse than recent popularity"
    return "not worse" if asked == NOT_WORSE else f"{asked:+.0%}"


def _short(value: Figure) -> str:
    return f"{value.mean:.4f} ± {value.error:.4f}"


def _measure(value: Figure, name: str) -> str:
    error = value.noise_error if name == "coverage" else value.error
    digits = 3 if name in ("diversity", "novelty") else 4
    return f"{value.mean:.{digits}f} ± {error:.{digits}f}"


def _range(groups: Sequence[Group], whose: str) -> str:
    ordered = sorted(groups, key=lambda one: _rate(one, whose).mean)
    worst, best = ordered[0], ordered[-1]
    return (
        f"{_rate(worst, whose).mean:.3f} ({worst.name}) to "
        f"{_rate(best, whose).mean:.3f} ({best.name})"
    )


def _gap(groups: Sequence[Group], whose: str) -> float:
    rates = [_rate(one, whose).mean for one in groups]
    return max(rates) - min(rates)


def _rate(group: Group, whose: str) -> Figure:
    return group.ours if whose == "ours" else group.popularity
