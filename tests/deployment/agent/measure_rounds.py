"""Seconds per round: an agent of ours beside Flower's own node, in turn, over one SuperLink.

``python -m tests.deployment.agent.measure_rounds [ROUNDS]``. A round is one question of sums in
384 dimensions to one node, from sending to reply, asked without the pauses of Flower's Grid. The
first answer of each node, which loads models, does not count.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from client.region import open_region
from privacy.release import Release
from tests.client.examples import a_request, cell_sums
from tests.deployment.agent.world import (
    TOOLS,
    Link,
    TestedAgent,
    free_port,
    node_id_in,
    running,
    superlink,
    wait_for,
    write_bundle,
    write_region,
)


def start_stock(folder: Path, link: Link, stack: ExitStack) -> Path:
    """Start Flower's node, which starts a process for each message; return its log."""
    write_region(folder)
    command = [
        str(TOOLS / "flower-supernode"),
        "--insecure",
        "--superlink",
        link.address,
        "--isolation",
        "subprocess",
        "--host",
        "127.0.0.1",
        "--port",
        str(free_port()),
        "--node-config",
        f"agent-settings='{folder / 'agent.toml'}'",
    ]
    log = folder / "processes.log"
    stack.enter_context(running(command, log, FLWR_HOME=str(folder / "flower-home")))
    return log


def measure(rounds: int) -> dict[str, list[float]]:
    """Return seconds per round, by kind of node; the nodes are asked in turn."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        link = stack.enter_context(superlink(folder / "link"))
        agent = TestedAgent(folder / "ours", link.address)
        stack.callback(agent.stack.close)
        app = folder / "good"
        agent.approve(
            write_bundle(app, canary=folder / "canary", events=agent.folder / "events.csv")
        )
        agent.start_node()
        agent.launch_executor()
        log = start_stock(folder / "stock", link, stack)
        relay = link.run(app)
        agent.wait_until_ready()
        write_region(folder / "twin")
        twin = open_region(folder / "twin" / "agent.toml")
        nodes = {"pinned": agent.node_id(), "stock": str(wait_for(lambda: node_id_in(log)))}
        seconds: dict[str, list[float]] = {kind: [] for kind in nodes}
        for number in range(rounds + 1):
            for kind, node in nodes.items():
                request = a_request(twin, cell_sums(384), round_number=number + 1)
                reply = relay.ask(node, request, 120)
                if not isinstance(reply.answer(), Release):
                    raise SystemExit(f"{kind}: {reply.raw}")
                seconds[kind].append(reply.seconds)
        relay.finish()
    return {kind: found[1:] for kind, found in seconds.items()}


if __name__ == "__main__":
    for kind, found in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).items():
        told = ", ".join(f"{value:.2f}" for value in found)
        print(f"{kind}: median {median(found):.2f} s a round ({told})")
