"""A client that is killed somewhere in its answers: a program for the crash tests.

folder  ->  folder/<number>/       the ledger of a killed client
            folder/<number>.json   its site: how it died, and what it had sent

Clients die in three ways: at a line of the privacy layer, at a moment that
their parent chooses, or in the middle of a write to disk.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import select
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch

from privacy import door as the_door
from privacy.door import Door
from privacy.ledger import Ledger
from privacy.mechanism import add_noise
from privacy.query import Contributions, NoiseKind, SumQuery
from privacy.release import Answer, Release
from privacy.sealed_ledger import SealedLedger
from tests.privacy.examples import SEED, a_door, a_query, giving, users

PEOPLE: Mapping[str, Contributions] = {"sums": users([[1, 0], [0, 1]])}
KILLS = {"stage": 4, "line": 32, "moment": 12, "write": 8}
"""For each kind of noise, with and without a witness; ``stage`` of each stage."""
LONGEST_LIFE = 0.12
"""Seconds until a client is killed at a moment."""
FULLEST = 32_768, 300_000
"""Bytes that a file may have before its writer dies: more than the index of SQLite's log."""
STAGES: Mapping[CodeType, str] = {
    SealedLedger._create.__code__: "begin",
    Ledger.reserve.__code__: "reserve",
    the_door._clip_and_sum.__code__: "clip",
    add_noise.__code__: "noise",
    Ledger.commit.__code__: "commit",
    Door._signed.__code__: "sign",
}
STAGE = "stage "
"""Begins the lines from a child that are no answer."""

Send = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a client died.

    Attributes
    ----------
    folder, way, noise, witnessed
    stage : str
        Of the answer that it was at, where that is known.
    sent : list of str
        Every answer that had left, as :func:`spelled`.
    """

    folder: str
    way: str
    noise: NoiseKind
    witnessed: bool
    stage: str = ""
    sent: list[str] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        """The ledger's file; there need not be one yet."""
        return Path(self.folder) / "ledger.sqlite"

    @property
    def witness(self) -> Path | None:
        """The witness, if it has one."""
        return Path(self.folder) / "witness.jsonl" if self.witnessed else None

    def door(self) -> Door:
        """Open the door, whose policy allows more rounds than anybody lives through."""
        return a_door(
            Path(self.folder),
            noise=self.noise,
            witness=self.witness,
            epsilon=1e3,
            most_releases_per_run=10_000,
        )


def asked(round_number: int) -> SumQuery:
    return a_query(round_number=round_number)


def spelled(answer: Answer) -> str:
    """Spell an answer in one short line that no other answer has."""
    told = {
        "type": type(answer).__name__,
        "round": answer.round_number,
        "entry": answer.entry if isinstance(answer, Release) else None,
        "digest": answer.digest(),
        "head": asdict(answer.head) if answer.head else None,
        "signature": answer.signature,
    }
    return json.dumps(told)


def die() -> None:
    """End like a power cut: no handler, no clean-up."""
    os.kill(os.getpid(), signal.SIGKILL)


class LineCounter:
    """A trace function that counts lines of the privacy layer, and can die at one of them.

    Parameters
    ----------
    send : callable
        Told each stage that begins.
    last : int, optional
        Number of the last line, from 1.
    """

    package = os.path.dirname(the_door.__file__) + os.sep

    def __init__(self, send: Send, last: int | None = None) -> None:
        self.send = send
        self.last = last
        self.lines = 0
        self.stage = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Follow calls into the privacy layer."""
        return self.follow if frame.f_code.co_filename.startswith(self.package) else None

    def follow(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Count one line."""
        if event == "line":
            self.lines += 1
            if (stage := stage_of(frame)) != self.stage:
                self.stage = stage
                self.send(f"{STAGE}{stage} {self.lines}")
            if self.lines == self.last:
                die()
        return self.follow


def stage_of(frame: FrameType | None) -> str:
    """Tell which stage of an answer runs in ``frame``."""
    while frame is not None:
        if frame.f_code in STAGES:
            return STAGES[frame.f_code]
        frame = frame.f_back
    return "between"


def answer_rounds(site: Site, rounds: Iterable[int], send: Send) -> None:
    door = site.door()
    for round_number in rounds:
        send(spelled(door.answer(asked(round_number), giving(PEOPLE))))


def die_at_line(site: Site, last: int | None, send: Send) -> None:
    """Answer two rounds, and the first once more."""
    counter = LineCounter(send, last)
    sys.settrace(counter)
    answer_rounds(site, [1, 2, 1], send)
    sys.settrace(None)
    send(f"{STAGE}after {counter.lines + 1}")


def die_at_a_moment(site: Site, send: Send) -> None:
    send(f"{STAGE}unknown")
    answer_rounds(site, itertools.count(1), send)


def die_in_a_write(site: Site, largest: int, send: Send) -> None:
    """Answer until a file would grow beyond ``largest`` bytes."""
    site.door().ledger.account()
    idle = sqlite3.connect(site.ledger)  # as long as it is open, SQLite's log only grows
    idle.execute("SELECT count(*) FROM records").fetchall()
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    answer_rounds(site, itertools.count(1), send)


def killed(program: Callable[[Send], None], life: float | None = None) -> list[str]:
    """Run ``program`` in a child until it dies; return the lines that it sent.

    Parameters
    ----------
    program : callable
        Given a function that sends a line.
    life : float, optional
        Seconds from the first line until the child is killed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        run_and_die(program, lambda line: send_at_once(writing, line))
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        lines = [pipe.readline()]
        if life is not None:
            time.sleep(life)
            os.kill(child, signal.SIGKILL)
        lines += pipe.readlines()
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) not in (signal.SIGKILL, signal.SIGXFSZ):
        raise RuntimeError(f"A client was not killed, but ended with status {status}.")
    return [line.rstrip("\n") for line in lines if line]


def run_and_die(program: Callable[[Send], None], send: Send) -> None:
    try:
        program(send)
        die()
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def send_at_once(pipe: int, line: str) -> None:
    """Write a line that arrives as a whole or not at all, whenever its sender dies."""
    content = f"{line}\n".encode()
    if len(content) > select.PIPE_BUF:
        raise RuntimeError(f"A line is {len(content)} bytes long: {line[:80]}")
    os.write(pipe, content)


def lines_to_die_at(transitions: list[str], rng: np.random.Generator) -> list[int]:
    """Choose lines from all of an answer, and some more from each of its stages.

    Parameters
    ----------
    transitions : list of str
        Stages and their first lines, as a :class:`LineCounter` told them.
    """
    stages, firsts = zip(*(line.removeprefix(STAGE).split() for line in transitions), strict=True)
    begins = [int(first) for first in firsts]
    lines: dict[str, list[int]] = {}
    for stage, begin, end in zip(stages, begins, begins[1:], strict=False):
        lines.setdefault(stage, []).extend(range(begin, end))
    count = KILLS["line"]
    # One out of each stretch of equal length: all of the answer gets its turn.
    chosen = 1 + (np.arange(count) + rng.random(count)) * begins[-1] / count
    for stage in STAGES.values():
        chosen = np.append(chosen, rng.choice(lines[stage], KILLS["stage"]))
    return [int(line) for line in chosen]


def kill_all(site: Site, rng: np.random.Generator) -> Iterator[tuple[str, list[str]]]:
    """Kill clients like ``site`` in every way; yield the way and what was sent."""
    number = itertools.count()

    def the_next() -> Site:
        return replace(site, folder=f"{site.folder}{next(number):03d}")

    probe = killed(partial(die_at_line, the_next(), None))
    yield "probe", probe
    for last in lines_to_die_at([line for line in probe if line.startswith(STAGE)], rng):
        yield "line", killed(partial(die_at_line, the_next(), last))
    for life in rng.uniform(0, LONGEST_LIFE, KILLS["moment"]):
        yield "moment", killed(partial(die_at_a_moment, the_next()), life)
    for largest in rng.integers(*FULLEST, KILLS["write"]):
        yield "write", killed(partial(die_in_a_write, the_next(), int(largest)))


def visit(start: Path, noise: NoiseKind, witnessed: bool, seed: int) -> None:
    """Kill all clients of one kind and keep what was found."""
    site = Site(folder=str(start), way="", noise=noise, witnessed=witnessed)
    for number, (way, lines) in enumerate(kill_all(site, np.random.default_rng(seed))):
        stages = [line.split()[1] for line in lines if line.startswith(STAGE)]
        found = replace(
            site,
            folder=f"{start}{number:03d}",
            way=way,
            stage=stages[-1] if stages else "unknown",
            sent=[line for line in lines if not line.startswith(STAGE)],
        )
        Path(f"{found.folder}.json").write_text(json.dumps(asdict(found)))


def main(folder: Path) -> int:
    torch.set_num_threads(1)  # forked children have no thread pool
    visits: list[BaseProcess] = []
    for noise, witnessed in itertools.product((NoiseKind.DISCRETE, NoiseKind.SEEDED), (0, 1)):
        # Loads what is loaded at first use, so that it is not loaded in each child.
        a_door(folder / "warm" / noise, noise=noise).answer(asked(len(visits) + 1), giving(PEOPLE))
        start = folder / f"{noise}-{('alone', 'witnessed')[witnessed]}-"
        arguments = (start, noise, bool(witnessed), SEED + len(visits))
        visits.append(get_context("fork").Process(target=visit, args=arguments))
    for process in visits:
        process.start()
    for process in visits:
        process.join()
    return max(abs(process.exitcode or 0) for process in visits)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
