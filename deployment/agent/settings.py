"""What an agent's two processes need to know, from the section ``[deployment]`` of agent.toml."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from client.settings import DeploymentSettings, read_settings
from deployment.agent.errors import AgentError
from privacy.errors import PolicyError
from privacy.policy import Policy, read_policy

RUNTIME_HOST = "127.0.0.1"
"""Tasks are given out on this machine only."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One agent, as its operator has set it up.

    Attributes
    ----------
    path : Path
        Its agent.toml, absolute.
    region : str
    deployment : DeploymentSettings
        All of its paths are absolute.
    """

    path: Path
    region: str
    deployment: DeploymentSettings

    @property
    def runtime_address(self) -> str:
        """Where the node gives tasks to the executor."""
        return f"{RUNTIME_HOST}:{self.deployment.runtime_port}"

    @property
    def bundles(self) -> Path:
        """Folder with copies of approved bundles."""
        return self.deployment.approvals.with_name("approved-bundles")


def read_agent(path: Path) -> Agent:
    """Read how an agent is deployed.

    Raises
    ------
    SettingsError
        If agent.toml cannot be used.
    AgentError
        If it does not say how this agent is deployed.
    """
    path = path.resolve()
    settings = read_settings(path)
    if settings.deployment is None:
        raise AgentError(
            f"{path} has no section [deployment]. Nothing was started. "
            "`fedinterest agent init` writes one; an empty section takes all defaults."
        )
    return Agent(path=path, region=settings.region, deployment=settings.deployment)


def server_of(agent: Agent) -> str:
    """Return the server's address.

    Raises
    ------
    AgentError
        If there is none, or it would be spoken to without TLS over a network.
    """
    server = agent.deployment.server
    if server is None:
        raise AgentError(
            f"{agent.path} names no server. Nothing was started. "
            'Write server = "HOST:PORT" into its section [deployment].'
        )
    if agent.deployment.insecure and not _is_this_machine(server.rpartition(":")[0]):
        raise AgentError(
            f"{agent.path} asks for insecure = true with {server}, which is not this machine. "
            "Nothing was started. Leave it out, and name the certificate of the server's authority."
        )
    return server


def read_rules(agent: Agent) -> Policy:
    """Return the region's policy.

    Raises
    ------
    PolicyError
        If it cannot be used, or is another region's.
    """
    path = read_settings(agent.path).policy
    policy = read_policy(path)
    if policy.region != agent.region:
        raise PolicyError(
            f"Policy {path} is for region {policy.region!r}, the agent is {agent.region!r}. "
            "Nothing is answered. Name the right policy in agent.toml."
        )
    return policy


def _is_this_machine(host: str) -> bool:
    """Tell whether ``host`` is a loopback address; names other than localhost are not looked up."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
