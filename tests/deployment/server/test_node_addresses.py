"""A node that speaks from two addresses in turn is told; one that stays or moves is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from deployment.server.node_addresses import addresses_in_turn, mark_of

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NORTH, SOUTH = (ec.generate_private_key(ec.SECP384R1()).public_key() for _ in range(2))


def write(path: Path, *spoken: tuple[float, ec.EllipticCurvePublicKey, str]) -> Path:
    """Write nginx' log: hours ago, whose key, from where."""
    lines = [
        f"{(NOW - timedelta(hours=ago)).isoformat(timespec='seconds')} node {mark_of(key)} {where}"
        for ago, key, where in spoken
    ]
    path.write_text("\n".join(["2026-11-26T11:00:00+00:00 10.0.0.9 403 5", *lines, ""]))
    return path


def test_a_node_and_its_copy_are_told(tmp_path: Path) -> None:
    log = write(
        tmp_path / "nginx.log",
        (3, NORTH, "10.0.0.1"),
        (2.5, SOUTH, "10.0.0.7"),
        (2, NORTH, "192.0.2.6"),
        (1, NORTH, "10.0.0.1"),
    )
    assert addresses_in_turn(log, NOW) == {mark_of(NORTH): ["10.0.0.1", "192.0.2.6"]}


def test_the_log_before_counts_too(tmp_path: Path) -> None:
    write(tmp_path / "nginx.log.1", (3, NORTH, "10.0.0.1"), (2, NORTH, "10.0.0.2"))
    log = write(tmp_path / "nginx.log", (1, NORTH, "10.0.0.1"))
    assert list(addresses_in_turn(log, NOW)) == [mark_of(NORTH)]


@pytest.mark.parametrize(
    "spoken",
    [
        [(3, NORTH, "10.0.0.1"), (2, NORTH, "10.0.0.1"), (1, SOUTH, "10.0.0.2")],
        [(3, NORTH, "10.0.0.1"), (2, NORTH, "10.0.0.2"), (1, NORTH, "10.0.0.2")],
        [(30, NORTH, "10.0.0.1"), (2, NORTH, "10.0.0.2"), (1, NORTH, "10.0.0.1")],
        [(3, NORTH, "10.0.0.1"), (2, SOUTH, "10.0.0.2"), (1, NORTH, "10.0.0.1")],
    ],
    ids=["stays", "moved", "long ago", "two nodes at one place and another"],
)
def test_a_node_that_stays_or_moves_is_not_told(
    tmp_path: Path, spoken: list[tuple[float, ec.EllipticCurvePublicKey, str]]
) -> None:
    assert addresses_in_turn(write(tmp_path / "nginx.log", *spoken), NOW) == {}


def test_a_log_that_is_not_there_or_is_nonsense_tells_nothing(tmp_path: Path) -> None:
    log = tmp_path / "nginx.log"
    assert addresses_in_turn(log, NOW) == {}
    log.write_bytes(b"\xff\x00 node\n" + f"yesterday node {mark_of(NORTH)} x\n".encode() * 3)
    assert addresses_in_turn(log, NOW) == {}


def test_keys_have_different_marks() -> None:
    assert mark_of(NORTH) != mark_of(SOUTH)
    assert len(mark_of(NORTH)) == 64
