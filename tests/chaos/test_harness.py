"""The harness itself: what it draws, how its links fail, and that it sees what is broken."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.network import CUT, WHOLE, Link, Relay
from tests.chaos.page import write_page
from tests.chaos.plan import Kind, draw
from tests.chaos.trials import _SENTENCE


def test_one_seed_draws_the_same_trials_and_each_kind_as_often() -> None:
    kinds = list(Kind)
    trials = draw(1, 3 * len(kinds), kinds)
    assert trials == draw(1, 3 * len(kinds), kinds)
    assert trials[:5] != draw(2, 5, kinds)
    assert set(Counter(trial.kind for trial in trials).values()) == {3}


@pytest.fixture
def echo() -> Iterator[int]:
    """A port that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    near, _ = listener.accept()
                    threading.Thread(target=_echo, args=(near,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


def _echo(near: socket.socket) -> None:
    with near, suppress(OSError):
        while piece := near.recv(65536):
            near.sendall(piece)


@pytest.fixture
def relay(echo: int) -> Iterator[Relay]:
    made = Relay(echo)
    yield made
    made.close()


def said(relay: Relay, word: bytes, seconds: float = 5.0) -> bytes:
    with socket.create_connection(("127.0.0.1", relay.port), timeout=seconds) as near:
        near.sendall(word)
        near.shutdown(socket.SHUT_WR)
        found = b""
        while piece := near.recv(65536):
            found += piece
        return found


def test_a_whole_link_passes_everything_on(relay: Relay) -> None:
    word = bytes(range(256)) * 1000
    assert said(relay, word) == word


def test_a_cut_link_says_nothing_and_goes_on_where_it_was(relay: Relay) -> None:
    with socket.create_connection(("127.0.0.1", relay.port), timeout=5) as near:
        near.sendall(b"one")
        assert near.recv(10) == b"one"
        relay.link = CUT
        near.sendall(b"two")
        near.settimeout(0.5)
        with pytest.raises(TimeoutError):
            near.recv(10)
        with pytest.raises(TimeoutError):
            said(relay, b"three", seconds=0.5)
        relay.link = WHOLE
        near.settimeout(5)
        assert near.recv(10) == b"two"


def test_a_slow_link_takes_its_time(relay: Relay) -> None:
    relay.link = Link(delay=0.2)
    began = time.monotonic()
    assert said(relay, b"one") == b"one"
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize(
    ("words", "tells"),
    [
        ("2 regions are connected. Nothing was asked of them. Start the others.", True),
        ("its process is gone", False),
        ("StrategyError", False),
        ("It failed.", False),
    ],
)
def test_an_error_has_to_tell_cause_and_remedy(words: str, tells: bool) -> None:
    assert (_SENTENCE.search(words) is not None) is tells


def test_the_page_tells_what_was_broken(tmp_path: Path) -> None:
    trial = {"number": 7, "kind": "node-killed", "region": "north", "phase": 1, "delay": 0.5}
    result = {
        "trial": trial,
        "outcome": "resumed",
        "to_go_on": 12.0,
        "seconds": 60.0,
        "unused": 1,
        "repeated": False,
        "checks": {"charged once": 3},
        "faults": ["charged once: north has charged rounds [2] twice"],
    }
    (tmp_path / "found.json").write_text(json.dumps([result]))
    write_page(tmp_path / "found.json", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| a region's node killed | 1 |  | 1 |  |  | 12 | 12 |" in page
    assert "| charged once | 3 | 1 |" in page
    assert "run 7 (node-killed): charged once: north has charged rounds [2] twice" in page
    assert "<!--" not in page
