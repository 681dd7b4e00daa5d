"""``docs/reliability.md`` from the JSON of a long run.

The page's words stand in ``page.md`` beside this; its figures are put in here.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.plan import MEANING, Kind

OUTCOMES = ("completed", "resumed", "failed", "hung")
_WORDS = Path(__file__).with_name("page.md")
Row = Mapping[str, Any]


def write_page(found: Path, page: Path) -> None:
    """Write the page from what ``--out`` has kept."""
    results = json.loads(found.read_text(encoding="utf-8"))
    words = _WORDS.read_text(encoding="utf-8")
    for name, text in _parts(results).items():
        words = words.replace(f"<!-- {name} -->", text)
    page.write_text(words, encoding="utf-8")


def _parts(results: Sequence[Row]) -> dict[str, str]:
    outcomes = Counter(result["outcome"] for result in results)
    counted = ", ".join(f"{outcomes[name]} {name}" for name in OUTCOMES if outcomes[name])
    broken = [result for result in results if result["faults"]]
    return {
        "runs": str(len(results)),
        "outcomes": counted,
        "faults": _faults(broken),
        "table": _table(results),
        "missing": _missing(results),
        "checks": _checks(results),
        "repeated": str(sum(bool(result["repeated"]) for result in results)),
        "unused": str(sum(result["unused"] for result in results)),
        "seconds": f"{statistics.median(result['seconds'] for result in results):.0f}",
    }


def _table(results: Sequence[Row]) -> str:
    head = ["| what happened | runs | completed | resumed | failed | hung | median s | worst s |"]
    head += ["|---|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *filter(None, (_row(kind, results) for kind in Kind))])


def _missing(results: Sequence[Row]) -> str:
    tried = {result["trial"]["kind"] for result in results}
    left = [MEANING[kind] for kind in Kind if kind not in tried and kind is not Kind.NOTHING]
    return f"Not tried in these runs: {'; '.join(left)}." if left else "Every kind was tried."


def _row(kind: Kind, results: Sequence[Row]) -> str:
    found = [result for result in results if result["trial"]["kind"] == kind]
    if not found:
        return ""
    counts = Counter(result["outcome"] for result in found)
    times = [result["to_go_on"] for result in found if result["to_go_on"] is not None]
    cells = [MEANING[kind], str(len(found)), *(str(counts[name] or "") for name in OUTCOMES)]
    cells += [f"{statistics.median(times):.0f}", f"{max(times):.0f}"] if times else ["", ""]
    return "| " + " | ".join(cells) + " |"


def _checks(results: Sequence[Row]) -> str:
    looked: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for result in results:
        looked.update(result["checks"])
        broken.update(fault.partition(":")[0] for fault in result["faults"])
    rows = [f"| {name} | {times} | {broken[name]} |" for name, times in looked.items()]
    return "\n".join(["| invariant | looked at | broken |", "|---|---|---|", *rows])


def _faults(broken: Sequence[Row]) -> str:
    if not broken:
        return "No invariant was broken, and no run hung."
    lines = [
        f"- run {result['trial']['number']} ({result['trial']['kind']}): {fault}"
        for result in broken
        for fault in [*result["faults"], *filter(None, [result.get("note")])]
    ]
    return "\n".join(["What did not hold:", "", *lines])
