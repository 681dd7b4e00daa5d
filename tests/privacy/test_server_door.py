"""Under ``central`` the server adds one noise to the sum of the clients' clipped sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy.accountant import epsilon_of
from privacy.door import ServerDoor
from privacy.errors import ContributionError, LedgerError, RefusalError
from privacy.ledger import Ledger
from privacy.query import FloatArray, NoiseKind, TrustModel
from privacy.release import ClippedSum, Release
from privacy.signed_head import SignedHead
from tests.privacy.examples import a_block, a_ledger, a_noise, a_query

QUERY = a_query(a_block(cells=300, width=50), trust_model=TrustModel.CENTRAL)


def clipped(region: str, value: float = 1.0, **changes: Any) -> ClippedSum:
    sums = {"sums": np.full((300, 50), round(value / QUERY.step), dtype=np.int64)}
    part = ClippedSum(
        region=region,
        run=QUERY.run,
        round_number=QUERY.round_number,
        purpose=QUERY.purpose,
        window="2026",
        sums=sums,
        sensitivity=QUERY.sensitivity,
        sigma=QUERY.sigma,
        entry=1,
    )
    return replace(part, **changes)


def a_server(folder: Path, *, noise: NoiseKind = NoiseKind.SEEDED, **changes: Any) -> ServerDoor:
    ledger = a_ledger(folder, region="server", trust_models={TrustModel.CENTRAL}, **changes)
    return ServerDoor(ledger, a_noise(noise))


THREE = (clipped("north", 1.0), clipped("south", 10.0), clipped("west", 100.0))


@pytest.mark.parametrize("noise_kind", list(NoiseKind))
def test_server_adds_one_noise_to_the_sum_of_all(tmp_path: Path, noise_kind: NoiseKind) -> None:
    release = a_server(tmp_path, noise=noise_kind).release(QUERY, THREE)
    noise = release.sums["sums"].astype(np.float64) - 111.0
    assert noise.std() == pytest.approx(QUERY.sigma, rel=0.05)
    assert noise.mean() == pytest.approx(0, abs=0.1)


def test_servers_release_is_charged_once_in_its_ledger(tmp_path: Path) -> None:
    server = a_server(tmp_path)
    release = server.release(QUERY, THREE)
    (entry,) = server.ledger.entries()
    assert (entry.entry, entry.state) == (release.entry, "committed")
    assert server.ledger.spent_epsilon() == pytest.approx(epsilon_of(1 / 2.0, 1e-6))
    assert (release.region, release.noise) == ("server", NoiseKind.SEEDED)


def test_server_over_budget_releases_nothing(tmp_path: Path) -> None:
    server = a_server(tmp_path, epsilon=0.1)
    with pytest.raises(RefusalError, match="epsilon"):
        server.release(QUERY, THREE)
    assert server.ledger.entries() == []


def test_server_does_not_change_what_clients_sent(tmp_path: Path) -> None:
    part = clipped("north")
    a_server(tmp_path).release(QUERY, [part])
    assert (part.sums["sums"] == 1 / QUERY.step).all()


def refuses(folder: Path, parts: Sequence[ClippedSum], words: str) -> None:
    server = a_server(folder)
    with pytest.raises(ContributionError, match=words):
        server.release(QUERY, parts)
    assert server.ledger.entries() == []


@pytest.mark.parametrize(
    "sums",
    [
        {"sums": np.zeros((3, 2), np.float32)},
        {"counts": np.zeros((300, 50), np.float32)},
        {},
    ],
    ids=["shape", "name", "none"],
)
def test_arrays_that_do_not_fit_are_refused_before_any_charge(
    tmp_path: Path, sums: dict[str, FloatArray]
) -> None:
    refuses(tmp_path, [*THREE, clipped("east", sums=sums)], "east")


@pytest.mark.parametrize("most", [-(2**63), 2**63 - 1, 2**61])
def test_sums_that_would_run_over_are_refused_before_any_charge(tmp_path: Path, most: int) -> None:
    # An overflow before the noise would show the signs of the honest sums.
    huge = {"sums": np.full((300, 50), most, dtype=np.int64)}
    refuses(tmp_path, [*THREE, clipped("east", sums=huge)], "east")


def test_sums_of_another_number_type_are_refused_before_any_charge(tmp_path: Path) -> None:
    doubles: Any = {"sums": np.zeros((300, 50))}
    refuses(tmp_path, [*THREE, clipped("east", sums=doubles)], "east")


def test_one_region_counted_twice_is_refused(tmp_path: Path) -> None:
    # Its users would move the sum by twice the sensitivity.
    refuses(tmp_path, [*THREE, clipped("north")], "north")


@pytest.mark.parametrize(
    "change", [{"sensitivity": 5.0}, {"sigma": 0.5}, {"run": "run-2"}, {"round_number": 2}]
)
def test_sums_clipped_for_another_query_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    refuses(tmp_path, [*THREE, clipped("east", **change)], "east")


def test_server_without_any_sums_is_refused_before_any_charge(tmp_path: Path) -> None:
    refuses(tmp_path, [], "Nothing was released")


@pytest.mark.parametrize("noise_kind", [NoiseKind.DISCRETE, NoiseKind.SEEDED])
def test_noise_that_was_drawn_and_lost_before_the_release_is_drawn_again_under_one_charge(
    tmp_path: Path, noise_kind: NoiseKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was killed before anything had left the door."""

    class KilledError(Exception):
        pass

    def die(ledger: Ledger, entry: int, reply: bytes | None) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "commit", die)
        with pytest.raises(KilledError):
            a_server(tmp_path, noise=noise_kind).release(QUERY, THREE)
    server = a_server(tmp_path, noise=noise_kind)
    assert server.released(QUERY) is None
    release = server.release(QUERY, THREE)
    (entry,) = server.ledger.entries()
    assert (entry.entry, entry.state) == (release.entry, "committed")
    found = server.released(QUERY)
    assert found is not None
    assert found.to_bytes() == release.to_bytes()


def test_two_servers_that_release_at_once_do_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run was resumed while its first server was still alive: the second to commit fails."""
    slow, quick = a_server(tmp_path), a_server(tmp_path)
    commit = Ledger.commit

    def late(ledger: Ledger, entry: int, reply: bytes | None) -> SignedHead:
        monkeypatch.setattr(Ledger, "commit", commit)
        quick.release(QUERY, THREE)
        return commit(ledger, entry, reply)

    monkeypatch.setattr(Ledger, "commit", late)
    with pytest.raises(LedgerError, match="entry 1 is not reserved"):
        slow.release(QUERY, THREE)
    assert len(quick.ledger.entries()) == 1


def test_whatever_comes_the_second_time_the_release_is_the_first(tmp_path: Path) -> None:
    first = a_server(tmp_path).release(QUERY, THREE)
    again = a_server(tmp_path).release(QUERY, [clipped("east", 1e4)])
    assert again.to_bytes() == first.to_bytes()


def test_a_release_of_another_query_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    server = a_server(tmp_path)
    server.release(QUERY, THREE)
    assert server.released(replace(QUERY, nonce="another")) is None
    assert server.released(replace(QUERY, round_number=2)) is None


def test_repeated_release_of_the_servers_has_identical_bytes(tmp_path: Path) -> None:
    first = a_server(tmp_path).release(QUERY, THREE)
    again = a_server(tmp_path).release(QUERY, THREE)
    assert isinstance(again, Release)
    assert again.to_bytes() == first.to_bytes()
