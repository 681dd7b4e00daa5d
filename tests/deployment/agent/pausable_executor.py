"""The executor, which stops in the middle of an answer while a file says so.

``python -m tests.deployment.agent.pausable_executor AGENT_TOML``. The middle is after the charge
and before the sum. While ``pause`` lies beside agent.toml it waits there,
and says so in ``paused``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import client.answering
from deployment.agent.executor import main


def pausable(path: str) -> None:
    folder = Path(path).parent
    original = client.answering.batches_of_contributions

    def batches(*arguments: Any) -> Any:
        while (folder / "pause").exists():
            (folder / "paused").touch()
            time.sleep(0.02)
        return original(*arguments)

    client.answering.batches_of_contributions = batches


if __name__ == "__main__":
    pausable(sys.argv[1])
    main(sys.argv[1:])
