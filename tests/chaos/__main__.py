"""Runs that things happen to: ``python -m tests.chaos [--runs 30] [--seed 1] [--out FILE]``.

trials, drawn  ->  one deployment, one run after the other, each struck  ->  invariants  ->  JSON

As root it goes into namespaces of its own first: network, mounts and processes are nobody else's,
and are gone with it, however it ends.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.plan import Kind, draw

_INSIDE = "FEDINTEREST_CHAOS_NAMESPACES"
# The first process of a namespace has to wait for others' orphans, which a shell does.
_SHELL = 'ip link set lo up; "$@"; exit $?'
_SPACES = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1, help="go on with this one of the runs")
    parser.add_argument("--only", action="append", type=Kind, help="a kind of fault; repeatable")
    parser.add_argument("--out", type=Path, help="JSON file; what is in it already stays")
    parser.add_argument("--page", type=Path, help="write a page from --out, and run nothing")
    told = parser.parse_args(arguments)
    if told.page:
        from tests.chaos.page import write_page

        write_page(told.out, told.page)
        return 0
    _enter_namespaces()
    from tests.chaos.trials import run_trials

    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("flwr").setLevel(logging.WARNING)  # servers that are run again in here
    kinds = told.only or [kind for kind in Kind if kind is not Kind.NOTHING]
    trials = draw(told.seed, told.runs, kinds)[told.first - 1 :]
    folder = Path(tempfile.mkdtemp(prefix="chaos."))
    try:
        results = run_trials(trials, folder, own_disks=_INSIDE in os.environ, out=told.out)
    finally:
        for place in filter(os.path.ismount, folder.iterdir()):
            subprocess.run(["/bin/umount", "--lazy", str(place)], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    bad = [result for result in results if result.faults or result.outcome == "hung"]
    print(json.dumps({"runs": len(results), "bad": len(bad)}))
    return 1 if bad else 0


def _enter_namespaces() -> None:
    """Run this program again in namespaces of its own, where that can be had."""
    if _INSIDE in os.environ or os.geteuid() != 0 or shutil.which("unshare") is None:
        return
    command = ["unshare", *_SPACES, "bash", "-c", _SHELL, "bash"]
    command += [sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})  # noqa: S606


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
