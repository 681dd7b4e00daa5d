"""Whether, why and how long the door answers says nothing about anybody's data."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.door import Door
from privacy.query import Contributions, SumQuery, TrustModel
from privacy.release import Answer, Refusal, Release
from tests.privacy.examples import a_block, a_door, a_query, giving, users

QUERY = a_query(a_block(), a_block("counts", width=1))
CENTRAL = TrustModel.CENTRAL
Data = Mapping[str, Contributions]

LENGTHS = st.sampled_from([0.0, 1e-30, 0.5, 1.0, 1e30, np.nan, np.inf])


@st.composite
def data_sets(draw: st.DrawFn) -> Data:
    n = draw(st.integers(0, 5))
    cells = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    lengths = draw(st.lists(LENGTHS, min_size=n, max_size=n))
    return {
        "sums": users([[length, -length] for length in lengths], cells),
        "counts": users(lengths, cells, width=1),
    }


def without(data: Data, user: int) -> Data:
    return {
        name: Contributions(np.delete(part.cells, user), np.delete(part.rows, user, axis=0))
        for name, part in data.items()
    }


def fresh(folder: Path, _: Data) -> Door:
    return a_door(folder, trust_models={TrustModel.LOCAL})


def spent(folder: Path, _: Data) -> Door:
    return a_door(folder, epsilon=0.5)


def asked_before(folder: Path, data: Data) -> Door:
    door = a_door(folder)
    door.answer(replace(QUERY, nonce="another question"), giving(data))
    return door


def crashed_before(folder: Path, _: Data) -> Door:
    door = a_door(folder)
    door.ledger.reserve(QUERY, door.noise.kind)
    return door


def damaged(folder: Path, _: Data) -> Door:
    door = a_door(folder)
    door.ledger.path.write_bytes(b"no database" * 999)
    return door


def central_asked_before(folder: Path, data: Data) -> Door:
    door = a_door(folder, trust_models={CENTRAL})
    door.answer(replace(QUERY, trust_model=CENTRAL), giving(data))
    return door


SITUATIONS: dict[str, tuple[Callable[[Path, Data], Door], SumQuery, str | None]] = {
    "allowed": (fresh, QUERY, None),
    "central": (fresh, replace(QUERY, trust_model=CENTRAL), "trust-model-not-allowed"),
    "too little noise": (fresh, replace(QUERY, sigma=0.5), "too-little-noise"),
    "over budget": (spent, QUERY, "budget-exhausted"),
    "another question": (asked_before, QUERY, "another-question-in-this-round"),
    "crashed": (crashed_before, QUERY, "already-charged"),
    "damaged": (damaged, QUERY, "ledger-unusable"),
    "central again": (
        central_asked_before,
        replace(QUERY, trust_model=CENTRAL),
        "already-charged",
    ),
}


def outcome(situation: str, data: Data) -> tuple[Answer, object]:
    """Return the answer, and all of it that must not depend on the data."""
    prepare, query, _ = SITUATIONS[situation]
    with tempfile.TemporaryDirectory() as folder:
        door = prepare(Path(folder), data)
        answer = door.answer(query, giving(data))
        if isinstance(answer, Release):
            shapes = {name: (array.shape, array.dtype) for name, array in answer.sums.items()}
            return answer, (len(answer.to_bytes()), shapes, door.ledger.spent_epsilon())
        return answer, answer


@pytest.mark.parametrize("situation", SITUATIONS)
@given(data=data_sets(), user=st.integers(0, 4))
@settings(max_examples=8, deadline=None)
def test_neighbouring_data_get_the_same_kind_of_answer(
    situation: str, data: Data, user: int
) -> None:
    n = len(data["sums"].cells)
    neighbour = without(data, user % n) if n else data
    empty = without(data, slice(None))  # type: ignore[arg-type]
    answer, seen = outcome(situation, data)
    for other_data in (neighbour, empty):
        other, also_seen = outcome(situation, other_data)
        assert type(other) is type(answer)
        assert also_seen == seen
    expected = SITUATIONS[situation][2]
    assert (answer.reason if isinstance(answer, Refusal) else None) == expected


@given(data=data_sets())
@settings(max_examples=25, deadline=None)
def test_every_release_is_finite_and_noisy(data: Data) -> None:
    answer, _ = outcome("allowed", data)
    assert isinstance(answer, Release)
    for array in answer.sums.values():
        assert np.isfinite(array).all()
        assert array.all()
