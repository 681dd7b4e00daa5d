"""What the agent's two processes have in common: their argument, environment, log and end."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path

from client.errors import ClientError
from deployment.agent.errors import AgentError
from deployment.agent.settings import Agent, read_agent
from deployment.errors import DeploymentError
from deployment.hosting.flower_environment import QUIET_FLOWER
from deployment.hosting.standing_still import stand_still
from privacy.errors import PrivacyError

CANNOT_START = 2
"""Exit status: starting again would not help, somebody has to act."""


def agent_of(arguments: Sequence[str]) -> Agent:
    """Read the agent that a process is for, from its only argument.

    Raises
    ------
    AgentError, SettingsError
        If there is none, or it cannot be used.
    """
    if len(arguments) != 1:
        raise AgentError(f"{len(arguments)} arguments were given, one is wanted: AGENT_TOML.")
    return read_agent(Path(arguments[0]))


def prepare_process(agent: Agent) -> None:
    """Set this process up: nothing of Flower may have been imported, it reads its environment."""
    os.umask(0o077)
    os.environ |= QUIET_FLOWER
    os.environ.setdefault("FLWR_HOME", str(agent.path.with_name("flower-home")))
    import flwr.supercore  # noqa: F401  (it sets its own log up)

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name in ("fedinterest", "flwr"):  # the lines of both with their time
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.INFO)


def stops_on_errors(main: Callable[[Sequence[str]], None]) -> Callable[[Sequence[str]], None]:
    """Let an error that the operator has to see to end the process with one sentence, for good."""

    @wraps(main)
    def run(arguments: Sequence[str]) -> None:
        try:
            main(arguments)
        except (DeploymentError, ClientError, PrivacyError) as error:
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            stand_still(str(error))
            raise SystemExit(CANNOT_START) from None

    return run
