"""One trial after the other: start a run, let it be struck, follow it to its end, check.

Outcomes: ``completed`` (nobody had to do anything), ``resumed`` (started again, and then
completed), ``failed`` (ended, with an error that names cause and remedy), ``hung``.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from deployment.agent import host as agent_host
from deployment.hosting.leftovers import processes_of
from deployment.hosting.ports import is_listening
from deployment.server import host as server_host
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.faults import cannot, later, strike
from tests.chaos.invariants import check_run
from tests.chaos.plan import PHASES, Kind, Trial
from tests.chaos.running import Run

RUN_SECONDS = 420.0
"""A run that has not ended by then hangs."""
READY_SECONDS = 120.0
DOWN_EVERY = 6
"""After so many runs everything is ended, and nothing may be left."""
_SENTENCE = re.compile(r"[A-Z][^.]*\. .*[A-Z].*\.", re.DOTALL)
"""What was found, and what to do: at least two sentences."""

log = logging.getLogger("tests.chaos")


@dataclass(kw_only=True)
class Result:
    """What became of one trial.

    Attributes
    ----------
    trial : Trial
    outcome : str
    struck_at : int
        Phases done when it was struck; -1: it was never.
    to_go_on : float, optional
        Seconds from the fault until the run was a phase further.
    seconds : float
        Of the run, from its start to its end.
    starts : int
        How often it was started.
    unused : int
        Charges whose answers the server did not use.
    repeated : bool
    said : list of str
        Last words of starts that ended early.
    checks : dict of str to int
    faults : list of str
    """

    trial: Trial
    outcome: str = "hung"
    struck_at: int = -1
    to_go_on: float | None = None
    seconds: float = 0.0
    starts: int = 0
    unused: int = 0
    repeated: bool = False
    said: list[str] = field(default_factory=list)
    checks: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def run_trials(
    trials: Sequence[Trial], folder: Path, *, own_disks: bool, out: Path | None
) -> list[Result]:
    """Run trials on one deployment; write each result as soon as it is there."""
    results: list[Result] = []
    with deployed(folder, own_disks=own_disks) as deployment:
        for trial in trials:
            if reason := cannot(trial.kind, own_disks=own_disks):
                print(f"{trial.number:3} {trial.kind} skipped: {reason}", flush=True)
                continue
            result = _try(trial, deployment)
            if len(results) % DOWN_EVERY == DOWN_EVERY - 1 or trial is trials[-1]:
                deployment.down()
                _check_nothing_is_left(deployment, result, alone=own_disks)
            results.append(result)
            _tell(result)
            if out is not None:
                _add(out, result)
    return results


def _try(trial: Trial, deployment: Deployment) -> Result:
    result = Result(trial=trial)
    _make_ready(deployment)
    run = Run(deployment, deployment.server.folder / "runs" / str(trial.number))
    run.out.mkdir(parents=True)
    began = time.monotonic()
    run.start()
    reached = run.follow(lambda: run.phase() >= trial.phase or run.is_done, RUN_SECONDS)
    mender = None
    if reached and not run.is_done:
        time.sleep(trial.delay)
        mender = _strike(trial, deployment, run, result)
    is_done = run.follow(lambda: run.is_done, RUN_SECONDS)
    result.seconds = round(time.monotonic() - began, 1)
    if mender is not None:
        mender.join()
    _name_outcome(result, run, is_done=is_done)
    checked = check_run(deployment, run, is_done=is_done)
    result.starts, result.said = len(run.starts), run.failures
    result.unused, result.repeated = checked.unused, checked.repeated
    result.checks, result.faults = dict(checked.checks), [*result.faults, *checked.faults]
    return result


def _make_ready(deployment: Deployment) -> None:
    """Start what does not run, as an operator's watch would, and wait for the regions."""
    if not server_host.status(deployment.server.folder).programs:
        server_host.up(deployment.server.folder)
    for region in deployment.regions.values():
        if not agent_host.status(region.agent).programs:
            agent_host.up(region.agent)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        nodes = server_host.status(deployment.server.folder).nodes
        if nodes is not None and nodes.online == len(deployment.regions):
            return
        time.sleep(0.5)


def _strike(
    trial: Trial, deployment: Deployment, run: Run, result: Result
) -> threading.Thread | None:
    """Strike; mend in the background, and note when the run has gone on."""
    struck, before = time.monotonic(), run.phase()
    try:
        mend = strike(trial, deployment, run)
    except (RuntimeError, psutil.Error, ValueError) as error:
        result.faults.append(f"not struck: {error}")
        return None
    result.struck_at = before

    def watch() -> None:
        while not (run.is_done or run.phase() > before):
            if time.monotonic() - struck > RUN_SECONDS:
                return
            time.sleep(0.1)
        result.to_go_on = round(time.monotonic() - struck, 1)

    def mend_later() -> None:
        try:
            later(mend, trial.kind, lambda: run.is_done)
        except Exception as error:
            result.faults.append(f"not mended: {type(error).__name__}: {error}")

    if trial.kind is not Kind.NOTHING:
        threading.Thread(target=watch, daemon=True).start()
    thread = threading.Thread(target=mend_later)
    thread.start()
    return thread


def _name_outcome(result: Result, run: Run, *, is_done: bool) -> None:
    if is_done:
        result.outcome = "completed" if len(run.starts) == 1 else "resumed"
        return
    last = run.failures[-1] if run.failures else ""
    result.outcome = "failed" if _SENTENCE.search(last) else "hung"
    if result.outcome == "hung":
        result.faults.append(f"it did not end with cause and remedy: {last!r}")


def _check_nothing_is_left(deployment: Deployment, result: Result, *, alone: bool) -> None:
    left = [process for folder in deployment.supervised() for process in processes_of(folder)]
    if alone:  # in this namespace there is nobody else
        own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
        left += [process for process in psutil.process_iter() if process.pid not in own]
    server = deployment.server
    ports = [server.port, server.superlink_port, server.enrolment_port]
    ports += [region.agent.deployment.runtime_port for region in deployment.regions.values()]
    listening = [port for port in ports if is_listening(port)]
    drafts = [
        str(path.relative_to(deployment.folder))
        for path in deployment.folder.rglob(".*")
        if path.is_file() and not path.is_relative_to(server.flower_home)
    ]
    names = ("no process left", "no port open", "no unfinished file")
    for name, found in zip(names, (left, listening, drafts), strict=True):
        result.checks[name] = result.checks.get(name, 0) + 1
        if found:
            result.faults.append(f"{name}: {found}")


def _tell(result: Result) -> None:
    trial = result.trial
    print(
        f"{trial.number:3} {trial.kind:26} {trial.region:6} phase {result.struck_at:2}/{PHASES} "
        f"{result.outcome:10} {result.seconds:6.1f} s, to go on {result.to_go_on} s, "
        f"starts {result.starts}, unused {result.unused}, repeated {result.repeated}",
        *result.said,
        *result.faults,
        sep="\n      ",
        flush=True,
    )


def _add(out: Path, result: Result) -> None:
    before = json.loads(out.read_text()) if out.exists() else []
    out.write_text(json.dumps([*before, asdict(result)], indent=1) + "\n")
