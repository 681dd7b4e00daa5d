"""A supervised program that must not be started again: it says why, and stays down.

Something is wrong that a person has to put right: rules that cannot be read, a key that the
server no longer takes, another Flower. Starting again would not help, and would fill the log. An
exit status alone is not enough: supervisord takes what ends in its first seconds for a failed
start, whatever its status, and starts it again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from deployment.errors import SecretFileError
from deployment.hosting.leftovers import FOLDER_MARK, PROGRAM_MARK
from deployment.hosting.secret_files import replace
from deployment.hosting.supervisor_files import SOCKET_FILE

LONGEST_REASON = 2000
"""Characters kept."""


def stand_still(reason: str) -> bool:
    """Have this process ended by its supervisor, and not started again until somebody does.

    Does nothing where no supervisor runs this process. The process is asked to end (SIGTERM)
    about when this returns.

    Parameters
    ----------
    reason : str
        A sentence for the operator, without secrets.

    Returns
    -------
    bool
        Whether the supervisor said that it will.
    """
    folder, program = os.environ.get(FOLDER_MARK), os.environ.get(PROGRAM_MARK)
    if not folder or not program:
        return False
    from deployment.hosting.supervisor_remote import SupervisorRemote  # who only starts needs none

    place = Path(folder)
    with suppress(SecretFileError):  # on a full disk the log still has it
        replace(_path(place, program), reason[:LONGEST_REASON].encode())
    return SupervisorRemote(place / SOCKET_FILE).hold(program)


def reason_of(folder: Path, program: str) -> str:
    """Return why a program stands still; empty if it does not."""
    try:
        return _path(folder, program).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def forget_reason(folder: Path, program: str) -> None:
    """Begin anew: the program is being started."""
    _path(folder, program).unlink(missing_ok=True)


def _path(folder: Path, program: str) -> Path:
    return folder / f"{program}.stands-still"
