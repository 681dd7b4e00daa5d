"""Feedback at a terminal: lists by arms, what came of them, a look, an import, an erasure."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w

from client.region import open_region
from tests.end_to_end.conftest import Finished
from tests.end_to_end.test_command_line import Command, assert_fails, fedinterest

__all__ = ["fedinterest"]
USER = "household-0900"
EXPERIMENT = {"name": "lists", "arms": [{"name": "plain"}, {"name": "varied", "variety": 0.6}]}


@pytest.fixture
def settings(finished: Finished, tmp_path: Path) -> Path:
    """A region of the sample that has begun an experiment since."""
    name = str(finished.world.region_of[USER])
    folder = tmp_path / "regions" / name
    shutil.copytree(finished.world.folder / "regions" / name, folder)
    change(folder / "agent.toml", feedback="feedback.sqlite", experiment=EXPERIMENT)
    return folder / "agent.toml"


def change(path: Path, **changes: Any) -> None:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    path.write_text(tomli_w.dumps(content | changes), encoding="utf-8")


def shown_to(settings: Path, user: str) -> list[str]:
    """Return the items of the list that ``user`` was shown by an arm."""
    region = open_region(settings)
    lists = pd.read_parquet(settings.parent / "everybody.parquet")
    assert region.assignment is not None
    return lists[lists.user_id == user].item_id.tolist()


def test_from_everybodys_lists_to_counts_and_an_erasure(
    fedinterest: Command, settings: Path
) -> None:
    out = settings.parent / "everybody.parquet"
    made = fedinterest("recommend-all", "--settings", settings, "--out", out, "--k", 3)
    assert made.returncode == 0, made.stderr
    first, second, third = shown_to(settings, USER)
    told = fedinterest("feedback", settings, USER, first, "--accepted", "--dwell", "12.5")
    assert told.returncode == 0, told.stderr
    assert f"Kept: {USER}, {first}, accepted." in told.stdout
    as_of = open_region(settings).settings.moment.isoformat()
    responses = settings.parent / "responses.csv"
    rows = [(USER, second, "skipped", 1.0), (USER, third, "loved", 2.0)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "response", "dwell"])
    table.assign(timestamp=as_of).to_csv(responses, index=False)
    imported = fedinterest("feedback", settings, "--from", responses)
    assert imported.returncode == 0, imported.stderr
    assert "Responses kept: 1." in imported.stdout
    assert "Rows that cannot be used: 1 (unknown response)." in imported.stdout
    assert pd.read_csv(settings.parent / "responses-rejected.csv").item_id.tolist() == [third]
    looked = fedinterest("feedback", settings, "--show").stdout
    region = open_region(settings)
    arm = region.arm_of(USER)
    assert arm is not None
    (line,) = [line for line in looked.splitlines() if arm.name in line]
    assert line.split()[0] == "lists"
    assert line.split()[-2:] == ["1", "1"]
    assert "not for passing on" in looked
    assert USER not in looked
    erased = fedinterest("feedback", settings, "--erase", USER)
    assert "3 shown items of household-0900 are erased" in erased.stdout
    assert USER.encode() not in (settings.parent / "feedback.sqlite").read_bytes()


def test_a_list_is_made_by_the_own_arm_and_kept(fedinterest: Command, settings: Path) -> None:
    arm = open_region(settings).arm_of(USER)
    assert arm is not None
    by_arm = fedinterest("recommend", USER, "--settings", settings)
    assert by_arm.returncode == 0, by_arm.stderr
    counts = fedinterest("feedback", settings, "--show").stdout
    lines = [line.split() for line in counts.splitlines()]
    assert ["lists", arm.name, "1", "10", "0", "0"] in lines
    assert ["(none)", "(none)", "1", "10", "0", "0"] in lines  # the usuals
    same = fedinterest("recommend", USER, "--settings", settings, "--variety", arm.variety)
    assert same.stdout == by_arm.stdout
    lines = [
        line.split() for line in fedinterest("feedback", settings, "--show").stdout.splitlines()
    ]
    assert ["lists", arm.name, "1", "10", "0", "0"] in lines
    assert ["(none)", "(none)", "1", "30", "0", "0"] in lines
    other = fedinterest("recommend", USER, "--settings", settings, "--variety", 0.9)
    assert other.stdout != by_arm.stdout


def test_arms_make_different_lists(fedinterest: Command, settings: Path) -> None:
    plain, out = settings.parent / "plain.parquet", settings.parent / "everybody.parquet"
    fedinterest("recommend-all", "--settings", settings, "--out", out, "--k", 5)
    change(settings, experiment=EXPERIMENT | {"arms": [{"name": "plain"}, {"name": "varied"}]})
    fedinterest("recommend-all", "--settings", settings, "--out", plain, "--k", 5)
    region = open_region(settings)
    assert region.assignment is not None
    lists = {
        path.stem: pd.read_parquet(path).groupby("user_id").item_id.apply(list)
        for path in (plain, out)
    }
    differ = lists["plain"] != lists["everybody"]
    arms = pd.Series({user: region.assignment.number_of(user) for user in differ.index})
    assert not differ[arms == 0].any()
    assert differ[arms == 1].mean() > 0.5


def test_what_was_not_shown_or_said_is_told(fedinterest: Command, settings: Path) -> None:
    assert_fails(
        fedinterest("feedback", settings, USER, "NOTHING", "--accepted"),
        "'NOTHING' was not shown to 'household-0900'",
        "Nothing was kept",
    )
    assert_fails(
        fedinterest("feedback", settings, USER, "TEA", "--skipped", "--dwell", "nan"),
        "A dwell of nan is no number of seconds. Nothing was kept.",
    )
    for wrong in ([], [USER], [USER, "TEA"], ["--show", "--erase", USER], ["--show", "--accepted"]):
        result = fedinterest("feedback", settings, *wrong)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
    without = settings.parent / "without.toml"
    content = tomllib.loads(settings.read_text(encoding="utf-8"))
    del content["feedback"]
    without.write_text(tomli_w.dumps(content), encoding="utf-8")
    assert_fails(fedinterest("feedback", without, "--show"), "keeps no feedback", "agent.toml")
