"""A bundle, read as what it is: a zip file from somebody who may be hostile.

bytes  ->  bounded, checked entries  ->  files by name

Nothing is written to the disk, and nothing is run. A bundle that Flower would not have built
(absolute paths, links, names twice, more than it says, ...) is not read at all: what an operator
is shown and what somebody else may unpack have to be the same.
"""

from __future__ import annotations

import stat
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from deployment.agent.approvals import content_hash
from deployment.agent.errors import BundleError
from deployment.agent.shown_text import shown

LARGEST_BUNDLE = 20_000_000
"""Bytes; Flower builds at most 10 MB."""
LARGEST_CONTENT = 50_000_000
"""Bytes of all files together, unpacked."""
MOST_FILES = 5000
LONGEST_NAME = 255
"""Characters of a file's path."""
LONGEST_PROJECT = 100_000
"""Bytes of a pyproject.toml that is parsed, for the name: some take long."""
LONGEST_WORD = 64
"""Characters kept of a name or version that a bundle gives itself."""
COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED = 0x1
"""Flag of an entry that needs a password."""


@dataclass(frozen=True)
class Bundle:
    """One bundle's content.

    Attributes
    ----------
    content : bytes
        As it is sent over the network.
    files : dict of str to bytes
        By path, in the bundle's order.
    """

    content: bytes
    files: dict[str, bytes]

    @property
    def hash(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return content_hash(self.content)

    @property
    def name(self) -> str:
        """What the bundle calls itself."""
        return _word(self._project().get("name"))

    @property
    def version(self) -> str:
        """Which version it says to be."""
        return _word(self._project().get("version"))

    def _project(self) -> dict[str, Any]:
        content = self.files.get("pyproject.toml", b"")
        if len(content) > LONGEST_PROJECT:
            return {}
        try:
            told = tomllib.loads(content.decode("utf-8"))
        except (ValueError, RecursionError):
            return {}
        project = told.get("project")
        return project if isinstance(project, dict) else {}


def _word(value: object) -> str:
    return value[:LONGEST_WORD] if isinstance(value, str) and value else "unknown"


def load_bundle(path: Path) -> Bundle:
    """Read a bundle from a file.

    Raises
    ------
    BundleError
        If it cannot be read, is too large, or is not what Flower builds.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BUNDLE + 1)
    except OSError as error:
        raise BundleError(
            f"Bundle {path} cannot be read ({error.strerror}). Nothing was approved."
        ) from error
    return read_bundle(content)


def read_bundle(content: bytes) -> Bundle:
    """Read a bundle from its bytes.

    Raises
    ------
    BundleError
        If it is too large, or not what Flower builds.
    """
    if len(content) > LARGEST_BUNDLE:
        raise _no_bundle(f"it has more than {LARGEST_BUNDLE} bytes")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return Bundle(content, _files(archive))
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise _no_bundle(f"it is no sound zip file ({type(error).__name__})") from error


def _files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise _no_bundle(f"it has {len(entries)} entries, more than {MOST_FILES}")
    files: dict[str, bytes] = {}
    names: set[str] = set()
    left = LARGEST_CONTENT
    for entry in entries:
        _check_entry(entry)
        # Some disks do not tell Client.py from client.py.
        if entry.filename.casefold() in names:
            raise _no_bundle(f"{shown(entry.filename)!r} is in it twice")
        names.add(entry.filename.casefold())
        with archive.open(entry) as file:
            # What an entry says of its size is not believed: a small one can unpack to anything.
            files[entry.filename] = file.read(left + 1)
        left -= len(files[entry.filename])
        if left < 0:
            raise _no_bundle(f"it unpacks to more than {LARGEST_CONTENT} bytes")
    return files


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    # zipfile cuts a name at a zero byte: what it was before tells.
    if entry.orig_filename != name or not name or len(name) > LONGEST_NAME:
        raise _no_bundle("an entry has a name that cannot be a file's")
    if shown(name) != name:
        raise _no_bundle(f"an entry's name has characters that do not show: {shown(name)}")
    if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise _no_bundle(f"{name!r} is no path inside a bundle")
    if kind not in (0, stat.S_IFREG):
        raise _no_bundle(f"{name!r} is a link or another special file")
    if entry.flag_bits & ENCRYPTED or entry.compress_type not in COMPRESSIONS:
        raise _no_bundle(f"{name!r} is packed in a way that Flower does not use")


def _no_bundle(why: str) -> BundleError:
    return BundleError(
        f"This is no bundle that Flower builds: {why}. Nothing was unpacked or approved. "
        "Ask whoever sent it for one made by `flwr build`."
    )
