"""Events come from three formats; what cannot be used is kept apart with its reason."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from pandas.testing import assert_frame_equal

from client.errors import EventsError
from client.events import read_events
from tests.client.examples import SHOP, an_event

FORMATS = (".csv", ".jsonl", ".parquet")
Row = dict[str, object]


def write(folder: Path, rows: Sequence[Row], suffix: str) -> Path:
    path = folder / f"events{suffix}"
    if suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def read(folder: Path, rows: Sequence[Row], suffix: str = ".csv") -> pd.DataFrame:
    return read_events(write(folder, rows, suffix), SHOP, folder / "rejected.csv")


def rejected(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "rejected.csv")


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_table(tmp_path: Path, suffix: str) -> None:
    events = [
        an_event(user_id="bert", timestamp="2017-03-02T00:30:00+01:00", value=0.5),
        an_event(item_id="tea", action="view"),
    ]
    expected = pd.DataFrame(
        {
            "user_id": ["anna", "bert"],
            "item_id": ["tea", "milk"],
            "action": ["view", "purchase"],
            "timestamp": pd.to_datetime(["2017-03-01T12:00:00Z", "2017-03-01T23:30:00Z"]),
            "value": [2.0, 0.5],
        }
    )
    assert_frame_equal(read(tmp_path, events, suffix), expected)


def test_parquet_may_carry_real_timestamps(tmp_path: Path) -> None:
    noon = pd.Timestamp("2017-03-01T12:00:00+01:00")
    read_back = read(tmp_path, [an_event(timestamp=noon)], ".parquet")
    assert read_back.timestamp.tolist() == [noon]
    assert str(read_back.timestamp.dt.tz) == "UTC"


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_row_without_ids_changes_no_other_rows_ids(tmp_path: Path, suffix: str) -> None:
    rows = [an_event(user_id=17, item_id=7), an_event(user_id=None, item_id=None)]
    events = read_events(write(tmp_path, rows, suffix), {"7"}, tmp_path / "rejected.csv")
    assert events[["user_id", "item_id"]].to_numpy().tolist() == [["17", "7"]]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_missing_column_is_an_error_that_says_what_is_there(tmp_path: Path, suffix: str) -> None:
    row = an_event()
    del row["action"]
    with pytest.raises(EventsError, match="no column 'action'") as caught:
        read(tmp_path, [row], suffix)
    assert "found: user_id, item_id, timestamp, value" in str(caught.value)
    assert "need user_id, item_id, action, timestamp" in str(caught.value)
    assert not (tmp_path / "rejected.csv").exists()


def test_json_lines_that_lack_a_key_are_rejected_one_by_one(tmp_path: Path) -> None:
    row = an_event()
    del row["action"]
    assert len(read(tmp_path, [row, an_event()], ".jsonl")) == 1
    assert read(tmp_path, [row], ".jsonl").empty


@pytest.mark.parametrize(
    "bad",
    ['{"user_id": "\\ud800"}', "[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "nonsense"],
)
def test_no_line_of_json_keeps_the_others_from_counting(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "events.jsonl"
    good = '{"user_id":"a","item_id":"milk","action":"view","timestamp":"2017-03-01T00:00:00Z"}'
    path.write_text(f"{bad}\n{good}\n")
    assert len(read_events(path, SHOP, tmp_path / "rejected.csv")) == 1


@pytest.mark.parametrize("bad", ['"open,milk,view,2017-03-01T00:00:00Z', '"' + "x" * 200_000 + '"'])
def test_no_line_of_csv_keeps_the_others_from_counting(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "events.csv"
    good = "a,milk,view,2017-03-01T00:00:00Z"
    path.write_text(f"user_id,item_id,action,timestamp\n{bad}\n{good}\n")
    assert len(read_events(path, SHOP, tmp_path / "rejected.csv")) == 1


def test_timestamps_that_cannot_have_a_time_zone_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(EventsError, match=r"without a time zone\. Nothing was read"):
        read(tmp_path, [an_event(timestamp=pd.Timestamp("2017-03-01"))], ".parquet")
    assert not (tmp_path / "rejected.csv").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": "2017-03-01T12:00:00"}, "timestamp is not a time with a time zone"),
        ({"timestamp": "2017-03-01"}, "timestamp is not a time with a time zone"),
        ({"timestamp": "yesterday"}, "timestamp is not a time with a time zone"),
        ({"timestamp": "2017-13-01T12:00:00Z"}, "timestamp is not a time with a time zone"),
        ({"timestamp": None}, "timestamp is not a time with a time zone"),
        ({"value": -1.0}, "value is not a positive number"),
        ({"value": 0.0}, "value is not a positive number"),
        ({"value": float("inf")}, "value is not a positive number"),
        ({"value": "many"}, "value is not a positive number"),
        ({"action": "stare"}, "unknown action"),
        ({"action": None}, "unknown action"),
        ({"item_id": "caviar"}, "item is not in the catalogue"),
        ({"item_id": None}, "no item"),
        ({"user_id": None}, "no user"),
        ({"user_id": None, "item_id": None, "value": -1.0}, "no user"),
    ],
)
def test_unusable_row_is_kept_with_its_reason_and_the_rest_goes_on(
    tmp_path: Path, change: Row, reason: str
) -> None:
    events = read(tmp_path, [an_event(), an_event(**change), an_event(item_id="tea")])
    assert events.item_id.tolist() == ["milk", "tea"]
    assert rejected(tmp_path).reason.tolist() == [reason]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_an_empty_id_is_no_id(tmp_path: Path, suffix: str, column: str) -> None:
    events = read(tmp_path, [an_event(), an_event(**{column: ""})], suffix)
    assert len(events) == 1
    assert rejected(tmp_path).reason.tolist() == [f"no {column.removesuffix('_id')}"]


@pytest.mark.parametrize("column", ["user_id", "item_id", "action", "timestamp", "value"])
def test_no_row_of_one_person_stops_the_others(tmp_path: Path, column: str) -> None:
    rows = [an_event(), an_event(**{column: ["nested", {"deep": 1}]})]
    assert len(read(tmp_path, rows, ".jsonl")) >= 1


@pytest.mark.parametrize(
    ("suffix", "line"),
    [
        (".csv", b"anna,tea,view,2017-03-01T12:00:00Z,1,and more\n"),
        (".csv", b"J\xfcrgen,tea,view,2017-03-01T12:00:00Z,1\n"),
        (".jsonl", b'{"user_id": "anna", "item_id": \n'),
        (".jsonl", b'{"user_id": 123456789012345678901234567890}\n'),
    ],
    ids=["too many fields", "another encoding", "cut off", "huge number"],
)
def test_a_line_that_cannot_be_parsed_does_not_stop_the_others(
    tmp_path: Path, suffix: str, line: bytes
) -> None:
    """Nor does it tell the server that it is there, by a client that fails."""
    path = write(tmp_path, [an_event(), an_event()], suffix)
    path.write_bytes(path.read_bytes() + line)
    assert read_events(path, SHOP, tmp_path / "rejected.csv").item_id.tolist()[:2] == ["milk"] * 2


def test_rejected_rows_keep_what_they_said(tmp_path: Path) -> None:
    read(tmp_path, [an_event(item_id="caviar"), an_event()])
    (row,) = rejected(tmp_path).to_dict("records")
    assert row == an_event(item_id="caviar") | {"reason": "item is not in the catalogue"}


def test_rejects_file_disappears_when_nothing_is_rejected(tmp_path: Path) -> None:
    read(tmp_path, [an_event(action="stare")])
    assert (tmp_path / "rejected.csv").exists()
    read(tmp_path, [an_event()])
    assert [file.name for file in tmp_path.iterdir()] == ["events.csv"]


def test_folder_of_the_rejects_file_is_made(tmp_path: Path) -> None:
    path = write(tmp_path, [an_event(action="stare")], ".csv")
    read_events(path, SHOP, tmp_path / "new" / "rejected.csv")
    assert (tmp_path / "new" / "rejected.csv").exists()


@pytest.mark.parametrize(
    "ending", ["Z", "+00:00", "+0100", pytest.param("+00", id="+00, as PostgreSQL writes it")]
)
def test_every_iso_8601_time_zone_is_understood(tmp_path: Path, ending: str) -> None:
    assert len(read(tmp_path, [an_event(timestamp=f"2017-03-01 12:00:00{ending}")])) == 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_value_counts_one(tmp_path: Path, suffix: str) -> None:
    events = read(tmp_path, [an_event(value=None), an_event(value=3.0)], suffix)
    assert events.value.tolist() == [1.0, 3.0]


def test_missing_value_column_counts_one(tmp_path: Path) -> None:
    row = an_event()
    del row["value"]
    assert read(tmp_path, [row, row]).value.tolist() == [1.0, 1.0]


def test_a_value_that_is_not_a_number_counts_as_missing(tmp_path: Path) -> None:
    assert read(tmp_path, [an_event(value=np.nan)], ".parquet").value.tolist() == [1.0]


def test_huge_and_tiny_values_are_usable(tmp_path: Path) -> None:
    values = [1e300, 1e-300]
    assert read(tmp_path, [an_event(value=value) for value in values]).value.tolist() == values


def test_duplicates_are_events_of_their_own(tmp_path: Path) -> None:
    assert len(read(tmp_path, [an_event()] * 3)) == 3


def test_events_come_oldest_first_and_ties_in_the_files_order(tmp_path: Path) -> None:
    times = ["2017-03-02T00:00:00Z", "2017-03-01T12:00:00Z", "2017-03-01T13:00:00+01:00"] * 30
    rows = [an_event(user_id=str(number), timestamp=time) for number, time in enumerate(times)]
    first = [number for number in range(90) if number % 3]
    last = [number for number in range(90) if not number % 3]
    assert read(tmp_path, rows).user_id.astype(int).tolist() == first + last


def test_a_file_with_a_header_only_has_no_events(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(",".join(an_event()) + "\n")
    events = read_events(path, SHOP, tmp_path / "rejected.csv")
    assert len(events) == 0
    assert list(events) == list(an_event())


def test_json_lines_without_a_line_have_no_events(tmp_path: Path) -> None:
    """There is no header that could be missing: it is what a region without events writes."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"")
    events = read_events(path, SHOP, tmp_path / "rejected.csv")
    assert len(events) == 0
    assert list(events) == list(an_event())


NO_TABLE = b"\xff\x00 no table \x9d" * 9


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        *((suffix, None) for suffix in FORMATS),
        (".csv", NO_TABLE),
        (".parquet", NO_TABLE),
        (".csv", b""),
        (".parquet", b""),
    ],
)
def test_unreadable_file_is_an_error_that_names_it(
    tmp_path: Path, suffix: str, content: bytes | None
) -> None:
    path = tmp_path / f"events{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EventsError, match="Nothing was read") as caught:
        read_events(path, SHOP, tmp_path / "rejected.csv")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "rejected.csv").exists()


def test_nanoseconds_in_one_row_change_no_other_row(tmp_path: Path) -> None:
    """They would narrow the years that all rows can have, and drop those with placeholders."""
    usual = "".join(f"user-{n},milk,view,0001-01-01T00:00:00Z\n" for n in range(5))
    hostile = "x,milk,view,2017-01-01T00:00:00.123456789Z\n"
    path = tmp_path / "events.csv"
    found = []
    for rows in (usual, usual + hostile):
        path.write_text("user_id,item_id,action,timestamp\n" + rows)
        table = read_events(path, SHOP, tmp_path / "rejected.csv")
        found.append(table[table.user_id != "x"].reset_index(drop=True))
    assert len(found[0]) == 5
    pd.testing.assert_frame_equal(found[0], found[1])


@pytest.mark.parametrize(
    "value", ["1" + "0" * 400, "-" + "9" * 400, "1e999", '"1"', "[1]", "{}", "true"]
)
def test_no_value_of_one_row_stops_the_others(tmp_path: Path, value: str) -> None:
    path = tmp_path / "events.jsonl"
    row = '{"user_id":"%s","item_id":"milk","action":"view","timestamp":"2017-03-01T00:00:00Z"%s}\n'
    path.write_text(row % ("a", "") + row % ("b", f',"value":{value}'))
    table = read_events(path, SHOP, tmp_path / "rejected.csv")
    assert "a" in set(table.user_id)
