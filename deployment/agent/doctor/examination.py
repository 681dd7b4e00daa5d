"""All checks, in the order in which an operator would look.

agent.toml  ->  machine, server, data, rules, records, processes  ->  findings
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from client.errors import ClientError
from deployment.agent.doctor.data import look_at_data
from deployment.agent.doctor.finding import Finding, well, wrong
from deployment.agent.doctor.machine import look_at_disks, look_at_versions
from deployment.agent.doctor.patient import Patient, read_patient
from deployment.agent.doctor.records import look_at_keys, look_at_ledger
from deployment.agent.doctor.rules import approvals, budget, look_at_policy
from deployment.agent.doctor.running import look_at_processes
from deployment.agent.doctor.server import look_at_server
from deployment.errors import DeploymentError

Look = Callable[[Patient], Iterable[Finding]]


def examine(path: Path) -> Iterator[Finding]:
    """Look at the agent of an agent.toml; changes nothing, and spends nothing.

    Parameters
    ----------
    path : Path

    Yields
    ------
    Finding
        Each as soon as it is there: some take seconds.
    """
    try:
        patient = read_patient(path)
    except (ClientError, DeploymentError) as error:
        yield wrong("settings", str(error), "Put agent.toml right; nothing else was looked at.")
        return
    yield well("settings", f"{patient.agent.path} is region {patient.settings.region}'s.")
    looks: tuple[tuple[str, Look], ...] = (
        ("versions", look_at_versions),
        ("disks", look_at_disks),
        ("server", look_at_server),
        ("keys", look_at_keys),
        ("policy", look_at_policy),
        ("approvals", approvals),
        ("ledger", ledger_and_budget),
        ("data", look_at_data),
        ("processes", look_at_processes),
    )
    for name, look in looks:
        yield from _guarded(name, look, patient)


def ledger_and_budget(patient: Patient) -> Iterator[Finding]:
    """Look at the ledger, and at what is left according to it."""
    findings, account = look_at_ledger(patient)
    yield from findings
    yield budget(patient, account)


def _guarded(name: str, look: Look, patient: Patient) -> Iterator[Finding]:
    """Let no check that fails keep the others from being made; its words could hold data."""
    try:
        yield from look(patient)
    except Exception as error:
        yield wrong(
            name,
            f"The check itself failed ({type(error).__name__}).",
            "Look whether this user may read the agent's files; if so, report it as a mistake of "
            "this program.",
        )
