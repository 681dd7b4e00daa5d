"""The node of an agent: ``python -m deployment.agent.supernode AGENT_TOML``.

It speaks with the server, lets in approved bundles only, and hands each message to the executor
(:mod:`deployment.agent.executor`). It runs none of the server's code, and reads no behaviour.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from deployment.agent.gate import BundleGate
from deployment.agent.pausing import NodePauses
from deployment.agent.private_files import read_secret
from deployment.agent.process import agent_of, prepare_process, stops_on_errors
from deployment.agent.settings import RUNTIME_HOST, Agent, server_of


def command_line(agent: Agent) -> list[str]:
    """Return what Flower's SuperNode is told: names of files, never what is in them.

    Raises
    ------
    AgentError
        If the server is not known, or the shared secret cannot be used.
    """
    deployment = agent.deployment
    read_secret(deployment.runtime_secret)  # Flower would take one that others can read
    tls = ["--insecure"]
    if not deployment.insecure:
        read_secret(deployment.node_key)
        tls = [
            "--root-certificates",
            str(deployment.certificate),
            "--auth-supernode-private-key",
            str(deployment.node_key),
        ]
    return [
        "--superlink",
        server_of(agent),
        *tls,
        "--isolation",
        "process",
        "--superexec-auth-secret-file",
        str(deployment.runtime_secret),
        "--host",
        RUNTIME_HOST,
        "--port",
        str(deployment.runtime_port),
    ]


@stops_on_errors
def main(arguments: Sequence[str]) -> None:
    """Run the node until it is stopped or its connection ends."""
    agent = agent_of(arguments)
    prepare_process(agent)
    options = command_line(agent)
    from flwr.supercore.exit import ExitCode, flwr_exit

    from deployment.agent.admission import Admission
    from deployment.agent.node_pinning import pin_node

    deployment = agent.deployment
    gate = BundleGate(approvals=deployment.approvals, refusals=deployment.refusals, where="node")
    admission = Admission(deployment.supervision / "node.not-let-in")
    command = pin_node(gate, NodePauses(), admission)
    sys.argv = ["flower-supernode", *options]
    ended = "The connection with the server has ended."
    try:
        command.flower_supernode()
    except Exception as error:
        ended = f"The node has failed ({type(error).__name__}: {error})."
    # Either way Flower's local service still runs: as a process that does nothing, nobody would
    # start it anew.
    flwr_exit(ExitCode.SUPERNODE_CONNECTION_ERROR, ended)


if __name__ == "__main__":
    main(sys.argv[1:])
