"""A client that is killed at a chosen instruction: a program for the crash tests.

folder, instants  ->  one child for each instant, killed in the middle of its answer
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from privacy.door import Door
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.query import Contributions
from tests.privacy.examples import SEED, a_policy, a_query, users

PEOPLE: Mapping[str, Contributions] = {"sums": users([[1, 0], [0, 1]])}


def die(*_: Any) -> Any:
    """End like a power cut: no handler, no clean-up."""
    os.kill(os.getpid(), signal.SIGKILL)


class LedgerThatDies(Ledger):
    """Kills its process just before or just after a commit."""

    instant: str

    def commit(self, entry: int, reply: bytes | None) -> None:
        if self.instant == "before-commit":
            die()
        super().commit(entry, reply)
        if self.instant == "after-commit":
            die()


def die_while_computing(instant: str) -> Mapping[str, Contributions]:
    if instant == "while-computing":
        die()
    return PEOPLE


def answer_until_killed(folder: Path, instant: str) -> None:
    ledger = LedgerThatDies(folder / instant / "ledger.sqlite", a_policy())
    ledger.instant = instant
    Door(ledger, NoiseSource(SEED)).answer(a_query(), partial(die_while_computing, instant))


def killed(program: Callable[[], None]) -> bool:
    child = os.fork()
    if child == 0:
        program()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def main(folder: Path, instants: list[str]) -> int:
    torch.set_num_threads(1)  # forked children have no thread pool
    return 0 if all(killed(partial(answer_until_killed, folder, one)) for one in instants) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
