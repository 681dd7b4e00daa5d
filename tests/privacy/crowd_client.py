"""A crowd at one ledger: a program for the test of many processes and threads.

folder, processes, threads  ->  answers-<process>.jsonl: one line for each request
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import torch

from privacy.door import Door
from privacy.query import Contributions, NoiseKind, SumQuery
from privacy.release import Release
from tests.privacy.examples import a_block, a_door, a_query, giving, users

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier as ProcessBarrier

BLOCK = a_block(cells=1, width=1)
PEOPLE: Mapping[str, Contributions] = {"sums": users([1], width=1)}
SERVERS = ("one server's run", "another server's run")
SHARED_ROUND = 0
"""Asked for by every thread."""


def a_member(folder: Path, process: int, epsilon: float) -> Door:
    """Return one process' own door to the common ledger."""
    noise = (NoiseKind.DISCRETE, NoiseKind.SEEDED)[process % 2]
    return a_door(
        folder,
        noise=noise,
        witness=folder / "witness.jsonl",
        epsilon=epsilon,
        most_releases_per_run=10_000,
    )


def asked(process: int, thread: int, threads: int) -> list[SumQuery]:
    """Return what one thread asks: a round of its own, and the one that all ask for.

    Half of them begin with the latter.
    """
    number = process * threads + thread
    own, run = 1 + number // 2, SERVERS[number % 2]
    queries = [
        a_query(BLOCK, run=run, round_number=own),
        a_query(BLOCK, run=SERVERS[0], round_number=SHARED_ROUND),
    ]
    return queries if thread % 4 < 2 else queries[::-1]


def told(door: Door, query: SumQuery) -> dict[str, Any]:
    """Ask, and tell what came of it, whatever it was."""
    line: dict[str, Any] = {"run": query.run, "round": query.round_number}
    try:
        answer = door.answer(query, giving(PEOPLE))
    except Exception as error:
        return line | {"type": type(error).__name__, "sentence": str(error)}
    line |= {"type": type(answer).__name__, "genuine": answer.is_genuine}
    line["head"] = asdict(answer.head) if answer.head else None
    if isinstance(answer, Release):
        line |= {"entry": answer.entry, "digest": answer.digest(), "noise": answer.noise}
        return line | {"sensitivity": answer.sensitivity, "sigma": answer.sigma}
    return line | {"reason": getattr(answer, "reason", "")}


def be_a_crowd(
    folder: Path, process: int, threads: int, epsilon: float, start: ProcessBarrier
) -> None:
    door, barrier = a_member(folder, process, epsilon), Barrier(threads)

    def be_one(thread: int) -> list[dict[str, Any]]:
        barrier.wait()
        return [told(door, query) for query in asked(process, thread, threads)]

    with ThreadPoolExecutor(threads) as pool:
        start.wait()
        lines = [line for lines in pool.map(be_one, range(threads)) for line in lines]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / f"answers-{process}.jsonl").write_text(text)


def main(folder: Path, processes: int, threads: int, epsilon: float) -> int:
    torch.set_num_threads(1)  # forked children have no thread pool
    for process in range(2):  # loads what is loaded at first use
        warm = a_member(folder / f"warm-{process}", process, 100.0)
        told(warm, asked(0, 0, 1)[0])
    context = get_context("fork")
    start = context.Barrier(processes)
    crowd = [
        context.Process(target=be_a_crowd, args=(folder, process, threads, epsilon, start))
        for process in range(processes)
    ]
    for member in crowd:
        member.start()
    for member in crowd:
        member.join()
    return max(abs(member.exitcode or 0) for member in crowd)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
