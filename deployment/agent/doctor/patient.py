"""The agent that is looked at: its settings, its rules where they can be read, and the moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from client.settings import AgentSettings, read_settings
from deployment.agent.settings import Agent, read_agent
from privacy.errors import PolicyError
from privacy.ledger import key_beside, witness_beside
from privacy.policy import Policy, read_policy


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One agent.

    Attributes
    ----------
    agent : Agent
    settings : AgentSettings
    policy : Policy or None
        None if it cannot be used; ``policy_fault`` says why.
    moment : datetime
    """

    agent: Agent
    settings: AgentSettings
    policy: Policy | None
    policy_fault: str
    moment: datetime

    @property
    def ledger_key(self) -> Path:
        """The key that signs releases and the ledger."""
        return self.settings.signing_key or key_beside(self.settings.ledger)

    @property
    def witness(self) -> Path:
        """Where the ledger's heads are kept."""
        return self.settings.witness or witness_beside(self.settings.ledger)


def read_patient(path: Path) -> Patient:
    """Read an agent's settings, and its policy if it can be used.

    Raises
    ------
    SettingsError, AgentError
        If agent.toml cannot be used: then there is nothing to look at.
    """
    agent = read_agent(path)
    settings = read_settings(agent.path)
    policy, fault = None, ""
    try:
        policy = read_policy(settings.policy)
    except PolicyError as error:
        fault = str(error)
    return Patient(
        agent=agent,
        settings=settings,
        policy=policy,
        policy_fault=fault,
        moment=datetime.now(UTC),
    )
