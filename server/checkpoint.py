"""``run.checkpoint``: one file from which an interrupted run goes on.

Checkpoint  ->  first line: format and SHA-256  +  an archive of JSON and arrays (npz)

Written beside its place, synced to disk and then put there, so that whatever strikes,
the file is the old one or the new one. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from privacy.signed_head import SignedHead
from server.run_config import ConfigError
from strategies.plain_values import Packer, named, unpack
from strategies.run_state import CLASSES, RunState

CHECKPOINT = "run.checkpoint"
MAGIC = b"fedinterest-checkpoint"
FORMAT = 3
LONGEST_LINE = 200
"""Bytes of the first line."""
_HEADER = "checkpoint"
_ARRAY = "array-"


class CheckpointError(ConfigError):
    """A checkpoint from which no run goes on; nothing was asked of any region."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A run that was interrupted.

    Attributes
    ----------
    identity : dict of str to plain value
        What a run that goes on must have in common with it.
    started : str
        When it began, ISO 8601.
    seconds : float
        How long it has been running.
    server_head : SignedHead, optional
        Under ``central``, of the server's own ledger.
    state : RunState
    """

    identity: dict[str, Any]
    started: str
    seconds: float
    server_head: SignedHead | None
    state: RunState


_CLASSES = CLASSES | named([Checkpoint])


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Put a checkpoint in its place, durably; the one before it stays until then.

    Raises
    ------
    OSError
        If it cannot be written, as on a full disk; the one before it is whole.
    """
    body = _pack(checkpoint)
    digest = hashlib.sha256(body).hexdigest().encode()
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        with unfinished.open("wb") as file:
            file.write(b"%s %d %s\n" % (MAGIC, FORMAT, digest) + body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(path.parent)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, all of it or nothing.

    Raises
    ------
    CheckpointError
        If it cannot be read, is of another program or version, or has been damaged.
    """
    try:
        first, _, body = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror})") from error
    words = first[:LONGEST_LINE].split(b" ")
    if words[0] != MAGIC or len(words) != 3 or not words[1].isdigit():
        raise _unusable(path, "is no checkpoint of this program, or its first line is damaged")
    if int(words[1]) != FORMAT:
        raise _unusable(path, f"is of format {int(words[1])}, and this version reads {FORMAT}")
    if hashlib.sha256(body).hexdigest().encode() != words[2]:
        raise _unusable(path, "has been damaged or cut off: its checksum is that of other contents")
    try:
        return _unpack(body)
    except (
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        OSError,
        RecursionError,
        zipfile.BadZipFile,
    ) as error:
        raise _unusable(path, f"was written by another version ({error})") from error


def _pack(checkpoint: Checkpoint) -> bytes:
    packer = Packer(_CLASSES)
    header = json.dumps(packer.pack(checkpoint))
    arrays: dict[str, Any] = {_ARRAY + name: array for name, array in packer.arrays.items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{_HEADER: np.array(header)}, **arrays)
    return buffer.getvalue()


def _unpack(body: bytes) -> Checkpoint:
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        arrays = {
            name.removeprefix(_ARRAY): archive[name]
            for name in archive.files
            if name.startswith(_ARRAY)
        }
        found = unpack(json.loads(str(archive[_HEADER])), arrays, _CLASSES)
    if not (isinstance(found, Checkpoint) and isinstance(found.state, RunState)):
        raise TypeError("it holds something else")
    return found


def _unusable(path: Path, found: str) -> CheckpointError:
    return CheckpointError(
        f"{path} {found}. The run was not resumed, and nothing was asked of any region. Restore "
        "the file and start the run again; or set run.resume = false to begin a new run: what "
        "regions have released stays charged there."
    )


def _sync_folder(folder: Path) -> None:
    """Let a file's new name survive a power cut; not every system knows how."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
