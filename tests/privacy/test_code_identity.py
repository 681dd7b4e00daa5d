"""One hash for the installed program and for what a bundle carries of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from privacy.code_identity import PACKAGES

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_every_package_that_is_hashed_is_in_the_bundle() -> None:
    """Else a region that pins the installed program refuses the same program in a bundle."""
    content = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    included = content["tool"]["flwr"]["app"]["fab-include"]
    assert {f"{package}/**/*.py" for package in PACKAGES} <= set(included)
