"""The public catalogue: every item has an id of its own and a text, or nothing is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from client.catalogue import COLUMNS, SINCE, Catalogue, read_catalogue
from client.errors import CatalogueError
from tests.client.examples import SHOP, a_catalogue

FORMATS = (".csv", ".parquet")
ROWS = [("1", "milk", "SHOP > DAIRY"), ("2", "tea", None)]


def write(
    folder: Path,
    rows: Sequence[Sequence[object]],
    suffix: str = ".csv",
    columns: Sequence[str] = COLUMNS,
) -> Path:
    path = folder / f"catalogue{suffix}"
    table = pd.DataFrame([list(row) for row in rows], columns=list(columns))
    if suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_items_keep_their_order_and_may_lack_a_category(tmp_path: Path, suffix: str) -> None:
    catalogue = read_catalogue(write(tmp_path, ROWS, suffix))
    assert catalogue == Catalogue(
        item_ids=("1", "2"), texts=("milk", "tea"), categories=("SHOP > DAIRY", "")
    )


def test_item_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path, [("007", "milk", ""), ("1.50", "tea", "")])
    assert read_catalogue(path).item_ids == ("007", "1.50")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("column", COLUMNS)
def test_missing_column_is_named_with_what_is_there(
    tmp_path: Path, suffix: str, column: str
) -> None:
    others = [name for name in COLUMNS if name != column]
    path = write(tmp_path, [("a", "b")], suffix, others)
    with pytest.raises(CatalogueError, match=f"no column {column!r}") as caught:
        read_catalogue(path)
    assert f"found: {', '.join(others)}" in str(caught.value)
    assert "Nothing was encoded. It needs item_id, text, category." in str(caught.value)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("text", [None, "", "  "])
def test_item_without_a_text_is_refused(tmp_path: Path, suffix: str, text: str | None) -> None:
    path = write(tmp_path, [*ROWS, ("3", text, "")], suffix)
    with pytest.raises(CatalogueError, match=r"1 items have no id or no text, .* row 2\. Nothing"):
        read_catalogue(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_item_that_occurs_twice_is_refused(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, [*ROWS, ("1", "more milk", "")], suffix)
    with pytest.raises(CatalogueError, match=r"item '1' occurs twice\. Nothing was encoded"):
        read_catalogue(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_catalogue_without_items_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(CatalogueError, match="Nothing was encoded"):
        read_catalogue(write(tmp_path, [], suffix))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00 no table \x9d" * 9], ids=str)
def test_unreadable_file_is_an_error_that_names_it(
    tmp_path: Path, suffix: str, content: bytes | None
) -> None:
    path = tmp_path / f"catalogue{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CatalogueError, match="cannot be read") as caught:
        read_catalogue(path)
    assert str(path) in str(caught.value)


def test_fingerprint_depends_on_every_column_and_on_the_order() -> None:
    one = a_catalogue()
    others = [
        replace(one, item_ids=("rye", *one.item_ids[1:])),
        replace(one, texts=("rye", *one.texts[1:])),
        replace(one, categories=("rye", *one.categories[1:])),
        replace(one, item_ids=one.texts, texts=one.item_ids),
        a_catalogue({item: SHOP[item] for item in reversed(SHOP)}),
        a_catalogue({}),
    ]
    assert len({one.fingerprint(), *(other.fingerprint() for other in others)}) == 7
    assert a_catalogue().fingerprint() == one.fingerprint()


def test_fingerprint_tells_where_one_value_ends() -> None:
    assert (
        a_catalogue({"ab": "c", "d": "e"}).fingerprint()
        != a_catalogue({"a": "bc", "d": "e"}).fingerprint()
    )
    assert (
        a_catalogue({"a": "b", "cd": ""}).fingerprint()
        != a_catalogue({"ac": "b", "d": ""}).fingerprint()
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_catalogue_may_say_since_when_items_can_be_had(tmp_path: Path, suffix: str) -> None:
    columns = (*COLUMNS, SINCE)
    rows = [(*ROWS[0], "2026-01-31"), (*ROWS[1], "")]
    catalogue = read_catalogue(write(tmp_path, rows, suffix, columns))
    ages = catalogue.ages(datetime(2026, 2, 10, 12, tzinfo=UTC))
    np.testing.assert_array_equal(ages, [10.5, np.nan])
    alike = read_catalogue(write(tmp_path, ROWS, suffix))
    assert alike.ages(datetime.now(UTC)) is None
    assert catalogue.fingerprint() == alike.fingerprint()


def test_a_day_that_is_none_is_named(tmp_path: Path) -> None:
    rows = [(*ROWS[0], "2026-01-31"), (*ROWS[1], "soon")]
    with pytest.raises(CatalogueError, match=r"'soon' in row 1\. Nothing was encoded\. Write days"):
        read_catalogue(write(tmp_path, rows, columns=(*COLUMNS, SINCE)))
