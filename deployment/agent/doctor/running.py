"""What runs: the two processes, how often they were started, and what was left behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from deployment.agent.doctor.finding import Finding, warning, well, wrong
from deployment.agent.doctor.patient import Patient
from deployment.agent.errors import AgentError
from deployment.agent.host import EXECUTOR, NODE, agent_supervisor
from deployment.agent.refusals import read_refusals
from deployment.hosting.leftovers import processes_of
from deployment.hosting.supervision import ProgramState
from deployment.hosting.supervisor_files import LOG_FILE

MANY = 3
"""Starts of one process within an hour, that many, are not chance."""
LATELY = timedelta(days=7)


def look_at_processes(patient: Patient) -> Iterator[Finding]:
    """Look at what runs, and what should not."""
    folder = patient.agent.deployment.supervision
    states = {one.name: one for one in agent_supervisor(patient.agent).states()}
    if not states:
        yield warning("agent", "The agent does not run.", "fedinterest agent up.")
        yield leftovers(folder)
    for name in (NODE, EXECUTOR) if states else ():
        yield process(name, states.get(name))
    yield restarts(folder / LOG_FILE, patient.moment)
    yield refused(patient)


def process(name: str, state: ProgramState | None) -> Finding:
    """Look at one process."""
    log = f"supervision/logs/{name}.log says why."
    if state is None:
        return wrong(name, "It is not supervised.", "fedinterest agent down, then up.")
    if state.reason:
        return wrong(
            name, f"It waits for you: {state.reason}", "Do what it says, then agent down and up."
        )
    if state.pid is None:
        return wrong(name, f"It does not run ({state.state.lower()}).", log)
    return well(name, f"Process {state.pid}, up for {state.seconds} s.")


def restarts(log: Path, moment: datetime) -> Finding:
    """Count the starts within the last hour, in supervisord's log."""
    counted = dict.fromkeys((NODE, EXECUTOR), 0)
    since = (moment - timedelta(hours=1)).astimezone().replace(tzinfo=None)  # the log's own time
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in lines:
        for name in counted:
            if f"spawned: '{name}'" in line and _is_since(line, since):
                counted[name] += 1
    told = ", ".join(f"{name} {times}" for name, times in counted.items())
    found = f"Starts within the last hour: {told}."
    if max(counted.values()) >= MANY:
        return warning("restarts", found, "Their logs in supervision/logs say why they ended.")
    return well("restarts", found)


def _is_since(line: str, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(line[:19]) >= since
    except ValueError:
        return False


def leftovers(folder: Path) -> Finding:
    """Look for processes of an agent whose supervisor is gone."""
    left = [one.pid for one in processes_of(folder)] if folder.is_dir() else []
    if left:
        return wrong(
            "leftovers",
            f"Processes {left} were left behind by a supervisor that is gone.",
            "`fedinterest agent down` ends them.",
        )
    return well("leftovers", "No process was left behind.")


def refused(patient: Patient) -> Finding:
    """Tell of bundles that came lately and were not let in."""
    name, path = "refused-bundles", patient.agent.deployment.refusals
    try:
        found = [
            one
            for one in read_refusals(path)
            if datetime.fromisoformat(one.time) > patient.moment - LATELY
        ]
    except (OSError, ValueError) as error:
        raise AgentError(f"{path} cannot be read ({type(error).__name__}).") from error
    if not found:
        return well(name, "None within a week.")
    last = found[-1]
    return warning(
        name,
        f"{len(found)} within a week, the last on {last.time}: {last.reason}, {last.shown_hash}",
        "If it is the server's new release, get it and look: agent approve BUNDLE.fab. If nobody "
        "announced one, call the server's operator.",
    )
