"""The executor, which stops in the middle of an answer while a file says so.

``python -m tests.deployment.agent.pausable_executor AGENT_TOML``. The middle is after the charge
and before the sum. While ``pause`` lies beside agent.toml it waits there,
and says so in ``paused``. Where ``fake-encoder`` lies, texts are encoded by counting letters.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from deployment.agent.executor import main
from tests.client.examples import FakeEncoder


def pausable(path: str) -> None:
    folder = Path(path).parent
    answering: Any = import_module("client.answering")
    original = answering.batches_of_contributions

    def batches(*arguments: Any) -> Any:
        while (folder / "pause").exists():
            (folder / "paused").touch()
            time.sleep(0.02)
        return original(*arguments)

    answering.batches_of_contributions = batches
    if (folder / "fake-encoder").exists():
        region: Any = import_module("client.region")
        region.Encoder = FakeEncoder


if __name__ == "__main__":
    pausable(sys.argv[1])
    main(sys.argv[1:])
