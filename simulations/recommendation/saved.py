"""What the benchmark has found so far, on disk: a killed benchmark goes on from there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from simulations.recommendation.figures import Part

FOLDER = Path("docs") / "benchmarks" / "recommendation"

Kept = TypeVar("Kept", bound=Part)


def keep(folder: Path, name: str, found: Part) -> None:
    """Write to ``folder``, all or nothing."""
    path = _path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(found.model_dump_json(indent=1), encoding="utf-8")
    unfinished.replace(path)


def kept(folder: Path, name: str, kind: type[Kept]) -> Kept | None:
    """Return what was kept under a name; None where there is nothing, or of another form."""
    try:
        return kind.model_validate_json(_path(folder, name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return None


def _path(folder: Path, name: str) -> Path:
    return folder / f"{re.sub(r'[^a-z0-9.]+', '-', name.lower())}.json"
