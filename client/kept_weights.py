"""The weights that a client has tuned, kept beside the map: tuning takes seconds, a list none.

map, usual weights, day  ->  the kept weights, where they are of the same and not old; else tuned

Made of the client's own users' data: the file stays where the map is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from strategies.fusion import Fusion

KEPT = timedelta(days=7)
"""So long; people's latest items are others by then."""

log = logging.getLogger("fedinterest.client")


def kept_or_tuned(
    map_path: Path, usual: Fusion, moment: datetime, tune: Callable[[], Fusion]
) -> Fusion:
    """Return the weights to rank with.

    Parameters
    ----------
    map_path : Path
        Of the map that was pushed back; another map, another tuning.
    usual : Fusion
        What tuning begins with.
    moment : datetime
        Now.
    tune : callable
        Finds them anew.
    """
    path = map_path.with_suffix(".weights.json")
    about = {"map": sha256(map_path.read_bytes()).hexdigest(), "usual": asdict(usual)}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        age = moment - datetime.fromisoformat(kept["tuned"])
        if kept["about"] == about and timedelta(0) <= age < KEPT:
            return Fusion(**{name: float(value) for name, value in kept["weights"].items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass  # none yet, or damaged: they are found anew
    found = tune()
    _keep(path, {"about": about, "tuned": moment.isoformat(), "weights": asdict(found)})
    return found


def _keep(path: Path, content: dict[str, Any]) -> None:
    """Write all or nothing; a client that cannot write tunes again next time."""
    unfinished = path.with_suffix(".unfinished")
    try:
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        log.warning("The tuned weights could not be kept at %s; they are found anew", path)
