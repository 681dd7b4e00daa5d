"""A node that cannot go on ends, so that its supervisor starts another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.agent.world import ROOT, TestedAgent

NODE = """
import sys, threading, time
from types import SimpleNamespace
import deployment.agent.node_pinning as pinning

def flower_supernode():
    threading.Thread(target=time.sleep, args=(600,)).start()  # as Flower's local service
    {end}

pinning.pin_node = lambda *_: SimpleNamespace(flower_supernode=flower_supernode)
from deployment.agent.supernode import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("raise OSError(22, 'Invalid argument')", "The node has failed (OSError: [Errno 22]"),
        ("return", "The connection with the server has ended."),
    ],
)
def test_a_node_whose_work_is_over_does_not_stay(end: str, told: str, tmp_path: Path) -> None:
    agent = TestedAgent(tmp_path / "north", "127.0.0.1:1")
    ended = subprocess.run(
        [sys.executable, "-c", NODE.format(end=end), str(agent.settings)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert told in ended.stderr + ended.stdout
