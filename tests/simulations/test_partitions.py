"""Who lives where."""

from __future__ import annotations

import numpy as np

from simulations.partitions import partition_by_interest


def people(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 6)).astype(np.float32)


def test_everybody_lives_somewhere_and_no_region_is_empty() -> None:
    regions = partition_by_interest(people(300), 8, concentration=0.1, seed=1)
    assert len(regions) == 300
    assert set(regions) == set(range(8))


def test_same_seed_same_homes() -> None:
    first = partition_by_interest(people(300), 8, concentration=0.5, seed=1)
    again = partition_by_interest(people(300), 8, concentration=0.5, seed=1)
    other = partition_by_interest(people(300), 8, concentration=0.5, seed=2)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_one_region_takes_everybody() -> None:
    assert set(partition_by_interest(people(20), 1, concentration=0.5, seed=1)) == {0}
