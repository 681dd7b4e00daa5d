"""Flower's SuperLink, which ends when it has lost the process that starts runs.

``python -m deployment.server.superlink ARGUMENTS``: those of ``flower-superlink``.

The SuperLink starts ``flower-superexec`` once, and never looks again. Where that has ended (a
database that was locked for some seconds is enough), the SuperLink answers as before, takes runs,
and starts none. Here it is missed: the SuperLink ends, and its supervisor starts both anew.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import psutil

from deployment.hosting.leftovers import is_alive

EXECUTOR = "flower-superexec"
LOOK_SECONDS = 2.0
END_SECONDS = 15.0
"""How long the SuperLink has to end by itself."""


def watch(
    executors: Callable[[], list[psutil.Process]],
    end: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for the process that starts runs, and call ``end`` once it has gone.

    Parameters
    ----------
    executors : callable
        Returns the processes that start runs, dead ones that nobody has reaped too.
    end, sleep : callable
    """
    seen = False
    while True:
        alive = any(is_alive(process) for process in executors())
        if seen and not alive:
            end()
            return
        seen = seen or alive
        sleep(LOOK_SECONDS)


def own_executors() -> list[psutil.Process]:
    """Return this process' children that start runs."""
    return [child for child in psutil.Process().children() if _is_executor(child)]


def _is_executor(process: psutil.Process) -> bool:
    try:
        return any(EXECUTOR in word for word in process.cmdline())
    except psutil.Error:
        return False


def _end() -> None:
    sys.stderr.write(
        f"{EXECUTOR}, which starts runs, has ended. The SuperLink ends too, so that both are "
        "started anew. A run that was under way goes on when it is started again.\n"
    )
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_SECONDS)
    os._exit(1)


def main() -> None:
    """Run the SuperLink until it is stopped, or has lost what starts runs."""
    from flwr.superlink.cli import flower_superlink

    threading.Thread(target=watch, args=(own_executors, _end), daemon=True).start()
    sys.argv[0] = "flower-superlink"
    flower_superlink()


if __name__ == "__main__":
    main()
