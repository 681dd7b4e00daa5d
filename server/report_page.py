"""``report.html``: the report for people, in one file that needs no network.

Report  ->  a few groupings  ->  template  ->  one page, without scripts

The template is in :mod:`server.report_template`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from jinja2 import DictLoader, Environment, StrictUndefined

from server.report import PlannedRelease, RefusalPart, Report
from server.report_template import PAGE, STYLE

PHASES = {
    "popularity": ("describe", "which items people take up, ever and lately"),
    "taste": ("describe", "which items go with which"),
    "space": ("calibrate", "whether texts or taste tell better what people take up"),
    "mean": ("calibrate", "where people are on average"),
    "radius": ("calibrate", "how far they are from there"),
    "basis": ("calibrate", "in which directions they differ"),
    "reach": ("summarise", "how far they are from their cell"),
    "summary": ("summarise", "how many are in each cell, and where in it"),
    "spread": ("refine", "how far they are from their centroid"),
    "lloyd": ("refine", "one K-means step for all centroids"),
    "votes": ("describe", "how well lists rank, and by which weights best"),
    "items": ("describe", "which items each cluster takes up"),
    "feedback": ("describe", "what came of the lists that were shown, by arm"),
    "quality": ("describe", "how well the finished map fits"),
}
"""Phase without its number: the stage it belongs to, and what it asks."""
ACCOUNTANTS = {
    "gaussian-dp": "Exact for Gaussian noise.",
    "pld": "Computed another way: should agree with the claim.",
    "rdp": "An upper bound, not tight: may exceed the limit although the claim does not.",
    "zcdp": "OpenDP's, likewise an upper bound.",
}
MEASURES = {
    "hit_rate": "users with at least one hit",
    "ndcg": "hits, earlier ones count more",
    "mrr": "one over the first hit's rank",
    "precision": "hits among what was shown",
    "recall": "hits among what was wanted",
    "f1": "precision and recall in one",
    "coverage": "items ever shown, of all",
    "diversity": "unlikeness within a list",
    "novelty": "rarity of what is shown, in bits",
}

Refusals = dict[tuple[int, str], dict[str, list[str]]]


def render(report: Report) -> str:
    """Return the page: one HTML document, whatever the labels in the report contain."""
    plan = report.privacy.plan
    clusters = sorted(report.clustering.clusters, key=lambda c: c.noisy_size, reverse=True)
    page = environment({"page.html": PAGE, "style.css": STYLE}).get_template("page.html")
    return page.render(
        report=report,
        clusters=clusters,
        groups={group.id: group.label for group in report.clustering.groups},
        plan=plan,
        stages=_share_by_stage(plan),
        refusals=_grouped(report.privacy.refusals),
        accountants=ACCOUNTANTS,
        measures=MEASURES,
    )


def environment(templates: Mapping[str, str]) -> Environment:
    """Return Jinja for pages: everything escaped, nothing undefined, numbers for people."""
    made = Environment(
        loader=DictLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": _number,
        "epsilon": _epsilon,
        "percent": lambda share: f"{_number(100 * share, 1)}%",
        "width": _width,
        "stage": _stage,
    }
    made.tests["known"] = _is_known
    return made


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _number(value: float, digits: int = 0) -> str:
    """Return ``value`` rounded, with thousands apart; what rounds to zero has no sign."""
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def _epsilon(value: float | None, digits: int | None = None) -> str:
    """Return an epsilon as people write it; none at all is an infinite one."""
    if value is None:
        return "∞"
    return f"{value:g}" if digits is None else _number(value, digits)


def _width(value: float, whole: float) -> str:
    """Return the part of ``whole`` as a CSS width between 0 and 100 %."""
    part = value / whole if whole > 0 else 0.0
    return f"{100 * min(max(part, 0.0), 1.0):.2f}%"


def _stage(phase: str) -> tuple[str, str]:
    return PHASES.get(phase.partition("-")[0], ("other", ""))


def _share_by_stage(plan: Iterable[PlannedRelease]) -> dict[str, float]:
    shares: defaultdict[str, float] = defaultdict(float)
    for release in plan:
        shares[_stage(release.phase)[0]] += release.share
    return shares


def _grouped(refusals: Iterable[RefusalPart]) -> Refusals:
    """Return the regions by round and reason, then by the sentence that they gave."""
    groups: Refusals = defaultdict(lambda: defaultdict(list))
    for refusal in refusals:
        groups[refusal.round, refusal.reason][refusal.sentence].append(refusal.client)
    return groups
