"""A tiny world: twelve people, six items, two regions, and a fake language model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from simulations.scenario import SAMPLE, Scenario, read_scenario

ITEMS = {
    "bread": "dark bread, baked",
    "cake": "a cake, baked",
    "milk": "milk",
    "tea": "a pack of black tea",
    "soap": "soap bar",
    "brush": "a brush, black",
}


def a_scenario(folder: Path, *overrides: str) -> Scenario:
    """Return a scenario of the tiny world, whose public files and people lie in ``folder``."""
    items = {"item_id": list(ITEMS), "text": list(ITEMS.values()), "category": "SHOP"}
    pd.DataFrame(items).to_csv(folder / "catalogue.csv", index=False)
    events = [
        (f"user-{user:02}", list(ITEMS)[(user + step) % len(ITEMS)], f"2017-{month:02}-0{day}")
        for user in range(12)
        for step, (month, day) in enumerate([(3, 1), (6, 2), (12, 3)])
    ]
    table = pd.DataFrame(events, columns=["user_id", "item_id", "day"])
    table.assign(action="purchase", timestamp=table.day + "T12:00:00Z").drop(columns="day").to_csv(
        folder / "events.csv", index=False
    )
    tiny = (
        f"simulation.events={folder / 'events.csv'}",
        f"simulation.catalogue={folder / 'catalogue.csv'}",
        f"simulation.cache={folder / 'cache'}",
        "run.n-clients=2",
        "clustering.k=2",
        "privacy.declared-users=12",
    )
    return read_scenario(SAMPLE, [*tiny, *overrides])
