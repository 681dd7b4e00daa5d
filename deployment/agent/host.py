"""Start an agent's two processes, look at them, and end them.

agent.toml  ->  node and executor under one supervisor  ->  what is killed is started again
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import NoReturn

from deployment.agent.approvals import read_approvals
from deployment.agent.errors import AgentError
from deployment.agent.refusals import RefusedBundle, read_refusals
from deployment.agent.settings import Agent, read_rules, server_of
from deployment.hosting.flower_environment import flower_environment
from deployment.hosting.supervision import Program, ProgramState, Supervisor

NODE, EXECUTOR = "node", "executor"
ANSWER_SECONDS = 120.0
"""An answer that is under way is waited for so long when the agent is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """How an agent fares.

    Attributes
    ----------
    programs : tuple of ProgramState
        Empty if no supervisor runs.
    approved : int
        Bundles on the operator's list.
    refused : list of RefusedBundle
        The latest that came and were not let in.
    """

    programs: tuple[ProgramState, ...]
    approved: int
    refused: list[RefusedBundle]

    @property
    def is_well(self) -> bool:
        """Whether both processes run."""
        running = {one.name for one in self.programs if one.state in ("RUNNING", "STARTING")}
        return running == {NODE, EXECUTOR}


def up(agent: Agent) -> None:
    """Start the node and the executor, and return once both are up.

    Raises
    ------
    DeploymentError, PolicyError
        If the server is not known, the policy cannot be used, they run already, or one does not
        come up; nothing is left running then.
    """
    _check(agent).start()


def run(agent: Agent) -> NoReturn:
    """Become the supervisor of node and executor; raises what ``up`` raises."""
    _check(agent).run()


def _check(agent: Agent) -> Supervisor:
    """Tell now what would keep the processes from working; return their supervisor."""
    server_of(agent)
    read_approvals(agent.deployment.approvals)
    read_rules(agent)
    supervisor = agent_supervisor(agent)
    if supervisor.states():
        raise AgentError(
            f"The agent of {agent.region} runs already. Nothing was started. "
            "`fedinterest agent status` tells how it fares."
        )
    return supervisor


def status(agent: Agent) -> AgentStatus:
    """Tell how the agent fares, without changing anything."""
    return AgentStatus(
        programs=tuple(agent_supervisor(agent).states()),
        approved=len(read_approvals(agent.deployment.approvals).approved),
        refused=read_refusals(agent.deployment.refusals),
    )


def down(agent: Agent) -> bool:
    """End the agent after the answer that is under way; tell whether it ran.

    Raises
    ------
    SupervisionError
        If a process could not be ended.
    """
    supervisor = agent_supervisor(agent)
    ran = bool(supervisor.states())
    supervisor.stop()
    return ran


def agent_supervisor(agent: Agent) -> Supervisor:
    """Return the supervisor of an agent's two processes."""
    environment = flower_environment(agent.path.with_name("flower-home"))

    def program(name: str, module: str, stop_seconds: float) -> Program:
        return Program(
            name=name,
            command=(sys.executable, "-m", f"deployment.agent.{module}", str(agent.path)),
            environment=environment,
            stop_seconds=stop_seconds,
        )

    # The executor, the last to start, ends first: it still hands its answer over.
    programs = [program(NODE, "supernode", 20.0), program(EXECUTOR, "executor", ANSWER_SECONDS)]
    return Supervisor(agent.deployment.supervision, programs)
