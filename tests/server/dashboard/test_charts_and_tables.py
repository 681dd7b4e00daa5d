"""What is drawn and what is read out are the same rows; addresses that make no sense do no harm."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from server.dashboard.charts import Chart
from server.dashboard.listing import MOST_PAGE, asked_listing
from server.dashboard.settings import Settings
from tests.server.dashboard.site import ATTACK, browser, charts, made


def test_drawing_and_table_have_the_same_rows(tmp_path: Path) -> None:
    text = browser(made(Settings(data=tmp_path)), "http://127.0.0.1:8600").get("/overview").text
    for chart in charts().values():
        block = re.search(rf'<script type="application/json" id="{chart.id}">(.*?)</script>', text)
        assert block
        drawn = json.loads(block[1])
        assert [tuple(row) for row in drawn["rows"]] == list(chart.rows)
        table = text.partition(f'id="{chart.id}"')[2].partition("</figure>")[0]
        assert table.count('<th scope="row">') == len(chart.rows)


def test_label_cannot_end_the_block_of_a_chart() -> None:
    from jinja2.utils import htmlsafe_json_dumps

    chart = Chart(
        id="a", kind="intervals", title="t", columns=("a", "b", "c"), rows=((ATTACK, 1.0, 2.0),)
    )
    written = str(htmlsafe_json_dumps(chart.drawing()))
    assert "<" not in written
    assert json.loads(written)["rows"][0][0] == ATTACK


def test_what_json_cannot_hold_is_unknown() -> None:
    chart = Chart(
        id="a",
        kind="intervals",
        title="t",
        columns=("a", "b", "c"),
        rows=(("x", float("nan"), float("inf")),),
    )
    assert chart.drawing()["rows"] == [["x", None, None]]


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (("a", "b"), ("x", 1.0)),
        (("a", "b", "c"), ("x", 1.0)),
        (("a", "b", "c"), ("x", "y", 1.0)),
        (("a", "b", "c"), (1.0, 1.0, 1.0)),
    ],
    ids=["columns", "cells", "text for a number", "number for a text"],
)
def test_rows_of_another_form_are_refused(columns: tuple[str, ...], row: Any) -> None:
    with pytest.raises(ValueError, match=r"columns|row"):
        Chart(id="a", kind="intervals", title="t", columns=columns, rows=(row,))


def asked(query: str) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/runs",
            "headers": [],
            "server": ("a", 1),
            "query_string": query.encode(),
            "scheme": "http",
            "root_path": "",
        }
    )


@pytest.mark.parametrize(
    "query",
    [
        "",
        "page=0",
        "page=-1",
        "page=x",
        "page=%D9%A1",
        "page=" + "9" * 5000,
        "sort=started;drop",
        "sort=' or 1=1 --",
        "order=sideways",
        "sort=&order=&page=",
        "page=1e3",
        "page=%00",
    ],
    ids=str,
)
def test_nonsense_in_an_address_is_as_if_it_were_not_there(query: str) -> None:
    listing = asked_listing(asked(query), ("started", "name"), descending=True)
    assert (listing.sort, listing.page) == ("started", 1)
    assert listing.descending


def test_links_keep_the_order_and_turn_it_round() -> None:
    listing = asked_listing(asked("sort=name&order=down&page=3"), ("started", "name"))
    assert (listing.sort, listing.descending, listing.page) == ("name", True, 3)
    assert listing.offset == 100
    assert listing.sort_link("name") == "/runs?sort=name&order=up&page=1"
    assert listing.sort_link("started") == "/runs?sort=started&order=up&page=1"
    assert listing.page_link(4) == "/runs?sort=name&order=down&page=4"
    assert [listing.pages(n) for n in (0, 50, 51)] == [1, 1, 2]
    assert asked_listing(asked("page=9999999"), ("a",)).page == MOST_PAGE
