"""What a chart shows: rows, from which both the drawing and the table beside it are made.

So the two cannot disagree, and a screen reader is told what eyes are shown.
``assets/charts.js`` draws them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["scatter", "treemap", "intervals", "lines"]
Cell = str | float | int | None

COLUMNS: dict[Kind, tuple[type | tuple[type, ...], ...]] = {
    "scatter": (str, float, float, float, float, float),
    "treemap": (str, str, float, float),
    "intervals": (str, float, float),
    "lines": (str, float, float, float),
}
"""What the cells of a row are. scatter: label, x, y, noise of x, noise of y, weight (area of the
point); treemap: label, group, value, noise; intervals: label, value, noise; lines: series, x, y,
noise. Numbers may be None; noise is a standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart.

    Attributes
    ----------
    id : str
        Of its element; unique on the page.
    kind : str
        One of :data:`COLUMNS`.
    title : str
        Says what it shows: figure caption, and name for screen readers.
    columns : tuple of str
        Head of the table, one for each cell of a row.
    rows : tuple of tuples
        As :data:`COLUMNS` says.
    x_label, y_label : str
        Of the axes, where there are some.
    """

    id: str
    kind: Kind
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    x_label: str = ""
    y_label: str = ""

    def __post_init__(self) -> None:
        expected = COLUMNS[self.kind]
        if len(self.columns) != len(expected):
            raise ValueError(
                f"A chart of kind {self.kind} has {len(expected)} columns, not {len(self.columns)}."
            )
        for row in self.rows:
            if len(row) != len(expected):
                raise ValueError(f"A row of {len(row)} cells, where there are {len(expected)}.")
            for cell, kind in zip(row, expected, strict=True):
                if isinstance(cell, str) != (kind is str):
                    raise ValueError(f"Cell {cell!r} of row {row!r} should be {kind}.")

    def drawing(self) -> dict[str, Any]:
        """Return what the script draws, as plain values for JSON."""
        return {
            "kind": self.kind,
            "title": self.title,
            "x": self.x_label,
            "y": self.y_label,
            "columns": list(self.columns),
            "rows": [[_plain(cell) for cell in row] for row in self.rows],
        }


def _plain(cell: Cell) -> Cell:
    """Return a cell as JSON can hold it: it knows neither NaN nor infinity."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
