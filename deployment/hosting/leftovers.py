"""Which processes of this host belong to a supervised folder, and how they are ended.

Whatever is started under supervision carries the folder and the program in its
environment, and so do its descendants, even those that left their process group
(Flower detaches its executors). Some write over their environment (nginx, whose workers
outlive a killed master): they are known by their process group, which is kept in a file,
together with their working folder, since numbers of groups come again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import psutil

from deployment.hosting.secret_files import replace

FOLDER_MARK = "FEDINTEREST_SUPERVISED_FOLDER"
PROGRAM_MARK = "FEDINTEREST_SUPERVISED_PROGRAM"
_GROUP = ".group"


def keep_group(folder: Path, program: str) -> None:
    """Keep the number of this process' group as that of a program."""
    replace(folder / f"{program}{_GROUP}", str(os.getpgrp()).encode())


def processes_of(folder: Path, program: str | None = None) -> list[psutil.Process]:
    """Return the living processes of a folder, or of one of its programs.

    Without this process and those it descends from.
    """
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    place = str(folder.resolve())
    groups = _groups(folder, program)
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in own and _belongs(process, place, program, groups)
    ]


def _belongs(
    process: psutil.Process, place: str, program: str | None, groups: frozenset[int]
) -> bool:
    try:
        if process.uids().effective != os.geteuid():
            return False
        environment = process.environ()
        if environment.get(FOLDER_MARK) == place:
            return program is None or environment.get(PROGRAM_MARK) == program
        return os.getpgid(process.pid) in groups and process.cwd() == place
    except (psutil.Error, OSError):  # gone, a zombie, or not ours
        return False


def _groups(folder: Path, program: str | None) -> frozenset[int]:
    """Return the numbers of the groups that a folder's programs had at their last start."""
    kept = [file.read_text() for file in folder.glob(f"{program or '*'}{_GROUP}")]
    return frozenset(int(number) for number in kept if number.isdecimal())


def end(processes: Sequence[psutil.Process], seconds: float = 3.0) -> list[psutil.Process]:
    """Ask processes to end, then kill those that do not; return those still alive.

    Parameters
    ----------
    processes : sequence of psutil.Process
    seconds : float
        How long they have after being asked, and again after being killed.
    """
    _signal(processes, "terminate")
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    _signal(alive, "kill")
    _, alive = psutil.wait_procs(alive, timeout=seconds)
    return [process for process in alive if is_alive(process)]


def _signal(processes: Sequence[psutil.Process], verb: str) -> None:
    for process in processes:
        try:
            getattr(process, verb)()  # psutil checks that the number is still the same process
        except psutil.NoSuchProcess:
            continue


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
