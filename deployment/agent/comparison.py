"""What a bundle would change: against the last approved one, and against what is installed.

The second matters more. An agent runs the program that is installed, whatever the bundle says; a
bundle of other code asks questions that this program may not understand as they are meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import privacy
from deployment.agent.bundle import Bundle
from deployment.agent.shown_text import shown
from privacy.code_identity import PACKAGES

HOME = Path(privacy.__file__).parents[1]
"""Folder of the installed packages."""
OTHERS = ("server",)
"""Packages of the program that do not run at an agent."""


@dataclass(frozen=True)
class CodeComparison:
    """A bundle's files beside the installed ones, by path.

    Attributes
    ----------
    same, different, only_bundle, only_installed : tuple of str
        Of the packages that run at an agent.
    others_differ : tuple of str
        Of the server's packages; they do not run here.
    """

    same: tuple[str, ...]
    different: tuple[str, ...]
    only_bundle: tuple[str, ...]
    only_installed: tuple[str, ...]
    others_differ: tuple[str, ...]

    @property
    def is_installed(self) -> bool:
        """Whether all that runs at an agent is the same."""
        return bool(self.same) and not (self.different or self.only_bundle or self.only_installed)


def compare_with_installed(bundle: Bundle, home: Path = HOME) -> CodeComparison:
    """Compare a bundle's program with the installed one, file by file; may raise OSError."""
    bundled = _of_packages(bundle.files, PACKAGES)
    installed = _installed(home, PACKAGES)
    both = sorted(bundled.keys() & installed.keys())
    others, others_here = _of_packages(bundle.files, OTHERS), _installed(home, OTHERS)
    return CodeComparison(
        same=tuple(name for name in both if bundled[name] == installed[name]),
        different=tuple(name for name in both if bundled[name] != installed[name]),
        only_bundle=tuple(sorted(bundled.keys() - installed.keys())),
        only_installed=tuple(sorted(installed.keys() - bundled.keys())),
        others_differ=tuple(
            name
            for name in sorted(others.keys() | others_here.keys())
            if others.get(name) != others_here.get(name)
        ),
    )


def _of_packages(files: dict[str, bytes], packages: tuple[str, ...]) -> dict[str, bytes]:
    return {
        name: content
        for name, content in files.items()
        if name.partition("/")[0] in packages and name.endswith(".py")
    }


def _installed(home: Path, packages: tuple[str, ...]) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for package in packages
        for path in sorted((home / package).rglob("*.py"))
    }


def changes(old: Bundle | None, new: Bundle) -> Iterator[str]:
    """Yield what ``new`` changes, as lines of a unified diff that are safe to show."""
    before = old.files if old else {}
    for name in sorted(before.keys() | new.files.keys()):
        first, second = before.get(name), new.files.get(name)
        if first != second:
            yield from _changes_of(name, first, second)


def _changes_of(name: str, before: bytes | None, after: bytes | None) -> Iterator[str]:
    texts = _text(before), _text(after)
    if None in texts:
        yield f"{name}: no text; {_size(before)} before, {_size(after)} now"
        return
    first, second = (text or "" for text in texts)
    lines = difflib.unified_diff(
        first.split("\n"),  # not splitlines: a hidden line break must show
        second.split("\n"),
        f"approved/{name}" if before is not None else "/dev/null",
        f"new/{name}" if after is not None else "/dev/null",
        lineterm="",
    )
    for line in lines:
        yield shown(line, keep="\t")  # whole, however long: what is cut off can hide


def _text(content: bytes | None) -> str | None:
    """Return a file as text; None, if it is none. A file that is not there is an empty one."""
    try:
        return (content or b"").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _size(content: bytes | None) -> str:
    return "nothing" if content is None else f"{len(content)} bytes"
