"""Parameters of the summary's estimators, checked when they are fitted: one sentence each."""

from __future__ import annotations

import math
from numbers import Integral, Real


def check_number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    whole: bool = False,
) -> None:
    """Refuse what is no finite number between ``least`` and ``most``, and above ``above``.

    Raises
    ------
    ValueError
        If it is none, or no whole number where ``whole`` is asked for.
    """
    is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if is_number and math.isfinite(float(value)) and least <= value <= most and value > above:  # type: ignore[arg-type, operator]
        return
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("at least", least), ("above", above), ("at most", most))
        if math.isfinite(bound)
    ]
    kind = "a whole number" if whole else "a number"
    raise ValueError(
        f"{name} is {value!r}. Nothing was fitted. Give {kind} {' and '.join(bounds)}".rstrip()
        + "."
    )
