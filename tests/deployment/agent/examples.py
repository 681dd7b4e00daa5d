"""Bundles and agents that the tests share."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import tomli_w

from deployment.agent.approvals import Approval, Approvals, content_hash, write_approvals
from deployment.agent.settings import Agent, read_agent

PROJECT = '[project]\nname = "fedinterest"\nversion = "0.1.0"\n'


def zipped(files: Mapping[str, bytes | str], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip file with these entries."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
    return buffer.getvalue()


def a_bundle(**files: str) -> bytes:
    """Return a bundle; keyword ``code`` is the content of ``client/code.py``."""
    return zipped(
        {"pyproject.toml": PROJECT} | {f"client/{name}.py": text for name, text in files.items()}
    )


def an_approval(bundle: bytes, **changes: object) -> Approval:
    fields: dict[str, object] = {
        "hash": content_hash(bundle),
        "name": "fedinterest",
        "version": "0.1.0",
        "size": len(bundle),
        "approved": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Approval.model_validate(fields | changes)


def approvals_file(folder: Path, *bundles: bytes) -> Path:
    path = folder / "approvals.toml"
    write_approvals(path, Approvals(approved=tuple(an_approval(one) for one in bundles)))
    return path


def an_agent(folder: Path, *bundles: bytes, **deployment: object) -> Agent:
    """Lay out an agent with these bundles approved; its other files are not there."""
    approvals_file(folder, *bundles)
    content = {
        "region": "north",
        "events": "events.csv",
        "catalogue": "catalogue.csv",
        "policy": "policy.toml",
        "ledger": "ledger.sqlite",
        "cluster-map": "cluster-map.npz",
        "rejected-events": "rejected.csv",
        "cache": "cache",
        "deployment": {key.replace("_", "-"): value for key, value in deployment.items()},
    }
    path = folder / "agent.toml"
    path.write_text(tomli_w.dumps(content), encoding="utf-8")
    return read_agent(path)
