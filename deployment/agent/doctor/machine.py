"""What the machine has: room on its disks, the versions that go together, Flower as leant on."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from deployment.agent.doctor.finding import Finding, not_checked, warning, well, wrong
from deployment.agent.doctor.patient import Patient
from deployment.agent.errors import FlowerDriftError

LEAST_BYTES, FEW_BYTES = 100_000_000, 1_000_000_000
"""Free on a disk: with less nothing is promised; with less it should be looked after."""
PROGRAM = "fedinterest"
SHOWN = ("flwr", "opacus", "torch", "transformers")
MOST_TOLD = 8


def look_at_disks(patient: Patient) -> Iterator[Finding]:
    """Look at each place that is written to."""
    settings = patient.settings
    for name, folder in (
        ("disk-ledger", settings.ledger.parent),
        ("disk-witness", patient.witness.parent),
        ("disk-cache", settings.cache),
        ("disk-logs", patient.agent.deployment.supervision),
        ("disk-temporary", Path(tempfile.gettempdir())),
    ):
        yield disk(name, folder)


def disk(name: str, folder: Path) -> Finding:
    """Look whether a folder can be written to, and how much fits; nothing is written."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent  # what is made when it is first needed
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return wrong(
            name,
            f"{existing} cannot be written to by this user.",
            "Give it to the user that the agent runs as, or name another in agent.toml.",
        )
    free = shutil.disk_usage(existing).free
    found = f"{folder}: {free / 1e9:.1f} GB are free"
    remedy = "Make room, or name another disk in agent.toml. Never remove the ledger."
    if free < LEAST_BYTES:
        return wrong(name, f"{found}; on a full disk nothing is answered.", remedy)
    return warning(name, f"{found}.", remedy) if free < FEW_BYTES else well(name, f"{found}.")


def look_at_versions(patient: Patient) -> Iterator[Finding]:
    """Look at the interpreter, the packages and Flower's insides."""
    yield packages()
    yield flower()


def packages(program: str = PROGRAM) -> Finding:
    """Compare what is installed with what the program, and all that it needs, asks for."""
    told = ", ".join(
        f"{name} {found}" for name in (program, *SHOWN) if (found := _version(name)) is not None
    )
    found = f"Python {platform.python_version()}, {told}"
    if _version(program) is None:
        return not_checked("versions", f"{found}. {program} is not installed as a package.")
    skew = list(skewed(program))
    if not skew:
        return well("versions", f"{found}: each as asked for.")
    more = f" and {len(skew) - MOST_TOLD} more" if len(skew) > MOST_TOLD else ""
    return wrong(
        "versions",
        f"{found}. Not as asked for: {'; '.join(skew[:MOST_TOLD])}{more}.",
        "Install the versions of constraints.txt.",
    )


def skewed(program: str) -> Iterator[str]:
    """Yield what the program or a package that it needs asks for, and is not so installed."""
    waiting, seen = [program], {canonicalize_name(program)}
    while waiting:
        name = waiting.pop()
        found = distribution(name)
        if "Requires-Python" in found.metadata:
            python = found.metadata["Requires-Python"]
            if not SpecifierSet(python).contains(platform.python_version(), prereleases=True):
                yield f"{name} wants Python {python}"
        for line in found.requires or []:
            try:
                wanted = Requirement(line)
            except InvalidRequirement:
                continue  # an old package's spelling
            # Optional parts are somebody else's choice.
            if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
                continue
            here = _version(wanted.name)
            if here is None:
                yield f"{name} wants {wanted.name}, which is missing"
            elif not wanted.specifier.contains(here, prereleases=True):
                yield f"{name} wants {wanted.name}{wanted.specifier}, found is {here}"
            if here is not None and canonicalize_name(wanted.name) not in seen:
                seen.add(canonicalize_name(wanted.name))
                waiting.append(wanted.name)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def flower() -> Finding:
    """Compare what the pinning leans on inside Flower; without it the agent does not start."""
    from deployment.agent.flower_internals import LEANT_ON, refuse_drift

    try:
        refuse_drift()
    except FlowerDriftError as error:
        return wrong("flower", str(error), "Install the versions of constraints.txt.")
    return well("flower", f"All {len(LEANT_ON)} places that the pinning leans on are as read.")
