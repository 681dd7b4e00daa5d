"""The bundled extract is what its README says."""

from __future__ import annotations

import pandas as pd

from client.catalogue import read_catalogue
from simulations.datasets import BUNDLED


def test_extract_is_small_and_whole() -> None:
    events = pd.read_parquet(BUNDLED / "events.parquet")
    catalogue = read_catalogue(BUNDLED / "catalogue.parquet")
    size = sum((BUNDLED / name).stat().st_size for name in ("events.parquet", "catalogue.parquet"))
    assert size <= 4_000_000
    assert events.user_id.nunique() == 2469
    assert len(catalogue.item_ids) == 2378
    assert set(events.item_id) <= set(catalogue.item_ids)
    assert events.value.sum() == 1_469_307 - 6_310  # purchases of products without a type


def test_text_is_department_category_type() -> None:
    catalogue = read_catalogue(BUNDLED / "catalogue.parquet")
    text = dict(zip(catalogue.item_ids, catalogue.texts, strict=True))
    assert text["PECANS SHELLED"] == "produce nuts pecans shelled"
