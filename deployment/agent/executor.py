"""The executor of an agent: ``python -m deployment.agent.executor AGENT_TOML``.

task from the node  ->  gate, once more  ->  the installed ``client.app``  ->  reply to the node

The region's program is imported once, from what is installed, and stays warm between messages.
Of a bundle nothing but its hash is looked at. SIGTERM ends the process after the answer that is
under way; SIGKILL at any moment loses an answer at most, never the ledger.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

from deployment.agent.gate import BundleGate
from deployment.agent.pausing import pause_after
from deployment.agent.private_files import read_secret
from deployment.agent.process import agent_of, prepare_process, stops_on_errors
from deployment.agent.settings import Agent, read_rules

SHORTEST, LONGEST = 0.02, 0.5
"""Seconds between two questions to the node: while there is work, and after a long quiet."""
AFTER_FAILURE = 1.0
"""Seconds until a node that gives no tasks is asked again."""

log = logging.getLogger("fedinterest.agent")


@stops_on_errors
def main(arguments: Sequence[str]) -> None:
    """Answer what the node hands out, until told to stop."""
    agent = agent_of(arguments)
    prepare_process(agent)
    secret = read_secret(agent.deployment.runtime_secret)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    work(agent, secret, stop)
    log.info("Stopped.")


def work(agent: Agent, secret: bytes, stop: threading.Event) -> None:
    """Import the region's program and Flower, and answer.

    Raises
    ------
    FlowerDriftError
        If Flower is built otherwise than supposed here.
    PolicyError
        If the region's rules cannot be used: every answer would need them.
    """
    read_rules(agent)
    from client import app as program
    from deployment.agent.flower_internals import refuse_drift
    from deployment.agent.tasks import TaskAnswering, TaskSource, fetch_soon

    refuse_drift()
    fetch_soon()
    deployment = agent.deployment
    answering = TaskAnswering(
        app=program.app,
        gate=BundleGate(
            approvals=deployment.approvals, refusals=deployment.refusals, where="executor"
        ),
        node_config={"agent-settings": str(agent.path)},
        address=agent.runtime_address,
    )
    source = TaskSource(agent.runtime_address, secret)
    log.info("Ready: tasks of %s are answered by %s", agent.runtime_address, program.__file__)
    try:
        serve(source.acquire, answering.answer, stop)
    finally:
        source.close()


def serve(
    acquire: Callable[[], str | None], answer: Callable[[str], None], stop: threading.Event
) -> None:
    """Answer one task after another, until ``stop`` is set; a task under way is finished.

    Parameters
    ----------
    acquire : callable
        Returns the token of a task, or None; may raise what Flower's clients raise.
    answer : callable
        Answers the task of a token; does not raise for what is in it.
    stop : threading.Event
    """
    last, reachable = time.monotonic(), True
    while not stop.is_set():
        try:
            token = acquire()
        except Exception as error:
            if reachable:
                log.warning(
                    "The node gives no tasks (%s). It is asked until it does.",
                    type(error).__name__,
                )
            reachable = False
            stop.wait(AFTER_FAILURE)
            continue
        reachable = True
        if token is None:
            quiet = time.monotonic() - last
            stop.wait(pause_after(quiet, shortest=SHORTEST, longest=LONGEST))
            continue
        answer(token)
        last = time.monotonic()


if __name__ == "__main__":
    main(sys.argv[1:])
