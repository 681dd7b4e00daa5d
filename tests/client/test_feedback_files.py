"""An import keeps what can be used, and says of the rest what is wrong with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from client.errors import FeedbackError
from client.feedback_files import Imported, import_feedback
from client.feedback_store import FeedbackStore, Outcome, ShownList

NOW = datetime(2026, 5, 2, tzinfo=UTC)
SHOWN = datetime(2026, 5, 1, tzinfo=UTC)
LATER = "2026-05-01T08:00:00+02:00"


@pytest.fixture
def store(tmp_path: Path) -> FeedbackStore:
    made = FeedbackStore(tmp_path / "feedback.sqlite", keep_days=30)
    items = [("tea", ""), ("milk", "")]
    lists = [
        ShownList(user_id=user, items=items, experiment="lists", arm="plain")
        for user in ("anna", "007")
    ]
    made.record(lists, SHOWN)
    return made


def a_row(**changes: object) -> dict[str, object]:
    return {
        "user_id": "anna",
        "item_id": "tea",
        "response": "accepted",
        "dwell": 4.5,
        "timestamp": LATER,
    } | changes


def outcomes(store: FeedbackStore) -> dict[tuple[str, str], Outcome]:
    return store.outcomes("lists", SHOWN, NOW, 60.0)


ROWS = [
    a_row(),
    a_row(user_id="007", response="skipped", dwell=None),
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_and_a_second_time_changes_nothing(
    store: FeedbackStore, tmp_path: Path, suffix: str
) -> None:
    path, rejected = write(tmp_path / f"given{suffix}", ROWS), tmp_path / "rejected.csv"
    for _ in range(2):
        found = import_feedback(store, path, rejected, moment=NOW)
        assert found == Imported(kept=2, rejected={})
        assert outcomes(store) == {
            ("anna", "plain"): Outcome(shown=2, accepted=1, skipped=0, dwell_ms=4500),
            ("007", "plain"): Outcome(shown=2, accepted=0, skipped=1, dwell_ms=0),
        }
    assert not rejected.exists()


BAD = {
    "no user": {"user_id": ""},
    "no item": {"item_id": ""},
    "unknown response": {"response": "loved"},
    "timestamp is not a time with a time zone": {"timestamp": "2026-05-01T08:00:00"},
    "timestamp lies in the future": {"timestamp": "2026-05-02T00:00:01Z"},
    "dwell is not a number of seconds": {"dwell": "long"},
    "item was not shown to this user before": {"item_id": "soap"},
}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_bad_rows_are_counted_by_reason_and_kept(
    store: FeedbackStore, tmp_path: Path, suffix: str
) -> None:
    rows = [a_row(**changes) for changes in BAD.values()] + [
        a_row(dwell=dwell) for dwell in (-1, "inf")
    ]
    path = write(tmp_path / f"given{suffix}", [*rows, a_row()])
    with path.open("a", encoding="utf-8") as file:
        file.write('"no record, and no object\n')
    rejected = tmp_path / "rejected.csv"
    found = import_feedback(store, path, rejected, moment=NOW)
    assert found.kept == 1
    expected = dict.fromkeys([*BAD, "line cannot be parsed"], 1)
    assert found.rejected == expected | {"dwell is not a number of seconds": 3}
    kept = pd.read_csv(rejected)
    assert kept.reason.value_counts().to_dict() == found.rejected
    assert kept.item_id.tolist().count("soap") == 1
    assert outcomes(store)["anna", "plain"].accepted == 1


def test_odd_values_are_rejected_and_stop_nothing(store: FeedbackStore, tmp_path: Path) -> None:
    odd: list[object] = [[1], {"a": 1}, 3, None, True]
    rows = [a_row(**{name: value}) for name in a_row() for value in odd]
    path = write(tmp_path / "given.jsonl", [*rows, a_row(dwell="")])
    found = import_feedback(store, path, tmp_path / "rejected.csv", moment=NOW)
    fine = 3  # 3, nothing and true are numbers of seconds, or say nothing
    assert found.kept == 1 + fine
    assert sum(found.rejected.values()) == len(rows) - fine


def test_a_missing_column_is_named(store: FeedbackStore, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"user_id": "anna", "item_id": "tea", "timestamp": LATER}]
    path = write(tmp_path / "given.csv", rows)
    with pytest.raises(FeedbackError, match=r"no column 'response'.*Nothing was kept"):
        import_feedback(store, path, tmp_path / "rejected.csv", moment=NOW)


def test_a_missing_file_is_named(store: FeedbackStore, tmp_path: Path) -> None:
    with pytest.raises(FeedbackError, match=r"Feedback .*given.csv cannot be read"):
        import_feedback(store, tmp_path / "given.csv", tmp_path / "rejected.csv", moment=NOW)


def test_where_rejected_rows_cannot_be_written_nothing_is_kept(
    store: FeedbackStore, tmp_path: Path
) -> None:
    (tmp_path / "blocked").write_text("in the way")
    path = write(tmp_path / "given.csv", [*ROWS, a_row(item_id="soap")])
    with pytest.raises(FeedbackError, match="Nothing was kept"):
        import_feedback(store, path, tmp_path / "blocked" / "rejected.csv", moment=NOW)
    assert outcomes(store)["anna", "plain"].accepted == 0


def test_rows_in_any_order_leave_the_latest_response(store: FeedbackStore, tmp_path: Path) -> None:
    late = (SHOWN + timedelta(hours=9)).isoformat()
    rows = [a_row(response="skipped", timestamp=late), a_row()]
    path = write(tmp_path / "given.csv", rows)
    found = import_feedback(store, path, tmp_path / "rejected.csv", moment=NOW)
    assert found == Imported(kept=2, rejected={})
    assert outcomes(store)["anna", "plain"].skipped == 1
