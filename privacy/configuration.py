"""Configuration files: TOML in kebab-case, checked by pydantic, with errors that name the key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError


def kebab(name: str) -> str:
    """Spell a field's name as configuration files do."""
    return name.replace("_", "-")


def read_toml(path: Path, what: str, error: type[Exception], otherwise: str) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : Path
    what : str
        What the file is, as the error begins.
    error : exception type
        Raised if the file cannot be read or is not TOML.
    otherwise : str
        What is not done then, as the error ends.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        message = f"{what} {path} cannot be read ({problem.strerror}). {otherwise}"
        raise error(message) from problem
    except ValueError as problem:  # no TOML, or no text at all
        raise error(f"{what} {path} is not valid TOML: {problem}. {otherwise}") from problem


def describe(error: ValidationError) -> str:
    """Say which keys are wrong, with the values found and what would be right."""
    return "; ".join(_describe_one(problem) for problem in error.errors())


def _describe_one(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r} (found {problem['input']!r})"
    if problem["type"] == "missing":
        return f"key {key!r} is missing"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    if problem["type"] == "value_error":  # about several keys together
        return str(message).removeprefix("value error, ")
    return f"key {key!r}: found {problem['input']!r}, {message}"
