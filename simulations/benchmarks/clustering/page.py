"""``docs/benchmarks.md``: the comparison as tables and a picture.

figures (JSON)  ->  mean and spread by setting and method  ->  Markdown, SVG
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from simulations.benchmarks.clustering.comparison import OURS, Figure, Setting
from simulations.benchmarks.clustering.peers import FEDDP

Costs = Mapping[Setting, Mapping[str, Sequence[float]]]

BEST_FEDDP = "FedDP-KMeans (best of 3)"
COLUMNS = (OURS, BEST_FEDDP, "FastLloyd", "DP-Lloyd", "one private mean", "k-FED, not private")
BEGIN, END = "<!-- clustering: made by make bench -->", "<!-- clustering: end -->"
PICTURE = "benchmarks/clustering.svg"
EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0)
PICTURED = ("embeddings", "mixture")


def costs_of(figures: Iterable[Figure]) -> Costs:
    """Return the costs over all seeds by setting and method; FedDP-KMeans as its best variant."""
    found: dict[Setting, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for figure in figures:
        found[figure.setting][figure.method].append(figure.cost)
    for by_method in found.values():
        variants = [by_method.pop(name) for name in FEDDP if name in by_method]
        if variants:
            by_method[BEST_FEDDP] = min(variants, key=lambda costs: float(np.mean(costs)))
    return found


def table(costs: Costs) -> str:
    """Return the Markdown table: mean and standard deviation over the seeds."""
    lines = [
        "| population | users | silos | epsilon | " + " | ".join(COLUMNS) + " |",
        "|---|---|---|---|" + "---|" * len(COLUMNS),
    ]
    for setting, by_method in costs.items():
        cells = [_cell(by_method.get(column)) for column in COLUMNS]
        spread = f", Dirichlet {setting.concentration:g}" if setting.concentration else ""
        noise = ", discrete noise" if setting.noise == "discrete" else ""
        silos = f"{setting.silos}{spread}{noise}" if setting.silos else "server"
        where = f"{setting.population} | {setting.n:,} | {silos} | {setting.epsilon:g}"
        lines.append(f"| {where} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(costs: Sequence[float] | None) -> str:
    if not costs:
        return "-"
    return f"{np.mean(costs):.4f} ± {np.std(costs, ddof=1) if len(costs) > 1 else 0:.4f}"


def picture(costs: Costs, path: Path) -> None:
    """Draw cost over epsilon for two populations, at all sizes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fedinterest"
    from matplotlib import pyplot

    sizes = sorted({setting.n for setting in costs if setting.population in PICTURED})
    shape = (len(PICTURED), len(sizes))
    drawn, axes = pyplot.subplots(*shape, figsize=(4 * len(sizes), 6), squeeze=False, sharex=True)
    for row, population in enumerate(PICTURED):
        for column, n in enumerate(sizes):
            axis = axes[row][column]
            for method in COLUMNS:
                points = [
                    (setting.epsilon, float(np.mean(by_method[method])) - 1)
                    for setting, by_method in costs.items()
                    if (setting.population, setting.n, setting.silos) == (population, n, 0)
                    and method in by_method
                ]
                if points:
                    epsilons, excess = zip(*sorted(points), strict=True)
                    axis.plot(epsilons, np.maximum(excess, 1e-4), marker="o", label=method)
            axis.set(xscale="log", yscale="log", title=f"{population}, {n:,} users")
            axis.set_xticks(EPSILONS, [f"{epsilon:g}" for epsilon in EPSILONS])
            axis.minorticks_off()
            axis.grid(visible=True, alpha=0.3)
    axes[0][0].legend(fontsize=7)
    drawn.supxlabel("epsilon")
    drawn.supylabel("excess cost over the best without privacy\n(1e-4 and below drawn as 1e-4)")
    drawn.tight_layout()
    drawn.savefig(path, metadata={"Date": None})
    pyplot.close(drawn)


def write_page(figures: Sequence[Figure]) -> None:
    """Write the clustering's part of ``docs/benchmarks.md``, and its picture."""
    costs = costs_of(figures)
    page = Path("docs") / "benchmarks.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    picture(costs, page.parent / PICTURE)
    text = f"{before}{BEGIN}\n{table(costs)}\n\n![Cost over epsilon]({PICTURE})\n{END}{after}"
    page.write_text(text, encoding="utf-8")
