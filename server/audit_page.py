"""``audit.html``: an audit for people, in one file that needs no network and prints on A4.

the audit's document  ->  a few groupings and pictures  ->  one page, without scripts

The template is in :mod:`server.audit_template`, its style begins with that of the run's report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from privacy.accountant import epsilon_of
from privacy.audit.claims import first_of, together
from server.audit_template import PAGE, STYLE
from server.report_page import environment
from server.report_template import STYLE as REPORT_STYLE

SHOWN = 30
"""So many ledgers have a row of their own."""
DETAILED = 1000
"""So many releases are listed; more of them are in the JSON document only."""
MOST_REFUSED = 200
"""So many refusals of a ledger are listed."""
PICTURED = 4
IN_FULL = 12
"""Of so few ledgers every window has a row, of more only the latest, and the lifetime."""
WIDTH, HEIGHT, MARGIN = 640, 150, 36

Document = Mapping[str, Any]


def render_audit(
    document: Document, public_key: str | None = None, digest: str | None = None
) -> str:
    """Return the page of an audit's document.

    Parameters
    ----------
    document : mapping
        As of :func:`privacy.audit.document.for_page`.
    public_key : str, optional
        Of the officer who signed it.
    digest : str, optional
        SHA-256 of the audit's JSON, which binds the page to it.
    """
    ledgers = document["ledgers"]
    looked_at = [*ledgers, *document["servers"]]
    detailed = [one for one in ledgers if one.get("released") or one.get("refused")]
    pictures = {one["region"]: _spending(one) for one in detailed[:PICTURED]}
    page = environment({"page.html": PAGE, "style.css": REPORT_STYLE + STYLE})
    page.filters["file"] = lambda path: Path(path).name
    page.filters["spent"] = _spent
    return page.get_template("page.html").render(
        doc=document,
        ledgers=ledgers,
        servers=document["servers"],
        shown=[_with_fewer_spans(one) for one in ledgers[:SHOWN]]
        if len(ledgers) > IN_FULL
        else ledgers,
        detailed=detailed,
        claim=document["claim"].removeprefix(document["verdict"]).lstrip(":, "),
        units=sorted({one["promise"]["unit"] for one in ledgers if one["promise"]}),
        adjacencies=sorted({one["promise"]["adjacency"] for one in ledgers if one["promise"]}),
        faults=[*_told(looked_at, "faults"), *document["contradictions"]],
        incidents=first_of(_told(looked_at, "incidents")),
        unchecked=first_of([*_told(looked_at, "unchecked"), *document["unchecked"]]),
        noises=_together(ledgers, "noises"),
        programs=_together(ledgers, "programs"),
        encoders=_together(ledgers, "encoders"),
        rules=_rules(detailed),
        pictures={region: picture for region, picture in pictures.items() if picture},
        most_refused=MOST_REFUSED,
        picture_of_all=_side_by_side(ledgers),
        public_key=public_key,
        digest=digest,
    )


def _with_fewer_spans(one: Document) -> Document:
    return {**one, "spans": one["spans"][-2:]}


def _told(ledgers: Sequence[Document], what: str) -> list[str]:
    """Return all sentences of a kind, each once, with the regions that they are about."""
    return together(
        (one["region"] or Path(one["path"]).name, sentence)
        for one in ledgers
        for sentence in one[what]
    )


def _together(ledgers: Sequence[Document], what: str) -> dict[str, int]:
    return dict(sum((Counter(one[what]) for one in ledgers), Counter[str]()))


def _rules(ledgers: Sequence[Document]) -> dict[str, list[str]]:
    """Return the rules in words of their files, each once, with the regions that had them."""
    found: dict[str, list[str]] = {}
    for one in ledgers:
        for rules in one["rules"].values():
            tables = {name: table for name, table in rules.items() if name != "region"}
            text = "; ".join(
                f"{name}: {', '.join(f'{key} = {value}' for key, value in table.items())}"
                for name, table in tables.items()
            )
            found.setdefault(text, []).append(one["region"])
    return found


def _spent(mu: float, delta: float) -> str:
    """Spell epsilon; of noise that protects nobody, none."""
    try:
        return f"{epsilon_of(mu, delta):.4f}"
    except OverflowError:
        return "-"


def _spending(one: Document) -> Markup:
    """Draw a ledger's epsilon after each release, with its windows' limit."""
    delta = one["promise"]["delta"]
    try:
        spent = [epsilon_of(release["window_mu_after"], delta) for release in one["released"]]
    except OverflowError:
        return Markup("")
    if not any(spent):
        return Markup("")
    limits = [span["limit"] for span in one["spans"][:-1] if span["limit"]]
    limit = max(limits) if limits and max(limits) <= 10 * max(spent) else None
    top = 1.05 * max(spent + ([limit] if limit else []))
    points = " ".join(
        f"{_x(place, len(spent)):.1f},{_y(value, top):.1f}" for place, value in enumerate(spent)
    )
    line = Markup('<polyline class="line" points="{}"/>').format(points)
    marks = Markup("").join(_dot(_x(i, len(spent)), _y(v, top)) for i, v in enumerate(spent))
    told = f"epsilon of its window after each of {len(spent)} releases, at most {max(spent):.4f}"
    return _frame(line + (marks if len(spent) <= 60 else "") + _limit(limit, top), told, top)


def _side_by_side(ledgers: Sequence[Document]) -> Markup:
    """Draw what each ledger has spent ever, most first."""
    spent = sorted((one["spans"][-1]["epsilon"] for one in ledgers if one["spans"]), reverse=True)
    if len(spent) < 2 or not spent[0]:
        return Markup("")
    limits = {one["spans"][-1]["limit"] for one in ledgers if one["spans"]}
    limit = limits.pop() if len(limits) == 1 else None
    limit = limit if limit and limit <= 10 * spent[0] else None
    top = 1.05 * max(spent[0], limit or 0.0)
    dots = Markup("").join(_dot(_x(i, len(spent)), _y(v, top)) for i, v in enumerate(spent))
    told = f"epsilon that each of {len(spent)} ledgers has spent ever, most first"
    return _frame(dots + _limit(limit, top), told, top)


def _x(place: int, count: int) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * (place / (count - 1) if count > 1 else 0.5)


def _y(value: float, top: float) -> float:
    return HEIGHT - MARGIN / 2 - (HEIGHT - MARGIN) * value / top


def _dot(x: float, y: float) -> Markup:
    return Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(x, y)


def _limit(limit: float | None, top: float) -> Markup:
    if limit is None:
        return Markup("")
    y = _y(limit, top)
    return Markup(
        '<line class="limit" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>'
        '<text x="{}" y="{:.1f}" text-anchor="end">limit {:g}</text>'
    ).format(MARGIN, WIDTH - MARGIN, WIDTH - MARGIN, y + 13, limit, y=y)


def _frame(inside: Markup, told: str, top: float) -> Markup:
    bottom = _y(0.0, top)
    return Markup(
        '<svg viewBox="0 0 {w} {h}" role="img" aria-label="{told}">'
        '<line class="axis" x1="{m}" x2="{r}" y1="{b}" y2="{b}"/>'
        '<line class="axis" x1="{m}" x2="{m}" y1="8" y2="{b}"/>'
        '<text x="{tm}" y="14" text-anchor="end">{top:.3g}</text>'
        '<text x="{tm}" y="{b}" text-anchor="end">0</text>{inside}</svg>'
        '<p class="soft">{Told}</p>'
    ).format(
        w=WIDTH,
        h=HEIGHT,
        m=MARGIN,
        r=WIDTH - MARGIN,
        b=bottom,
        tm=MARGIN - 5,
        top=top,
        inside=inside,
        told=told,
        Told=told[0].upper() + told[1:] + ".",
    )
