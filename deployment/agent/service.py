"""The unit of systemd that keeps an agent running."""

from __future__ import annotations

from pathlib import Path

from client.settings import read_settings
from deployment.agent.host import agent_supervisor
from deployment.agent.settings import Agent
from deployment.hosting.systemd import Service, write_unit
from privacy.ledger import witness_beside

CARDS = Path("/dev/nvidiactl")


def agent_unit(agent: Agent, user: str | None = None) -> str:
    """Return the unit of an agent; may raise HostError.

    Parameters
    ----------
    agent : Agent
    user : str, optional
        Left out, the owner of its folder.
    """
    settings, deployment = read_settings(agent.path), agent.deployment
    written = [
        settings.ledger.parent,
        (settings.witness or witness_beside(settings.ledger)).parent,
        settings.cluster_map.parent,
        settings.rejected_events.parent,
        settings.cache,
        deployment.refusals.parent,
        deployment.supervision,
        *(path.parent for path in (settings.feedback, settings.rejected_feedback) if path),
    ]
    return write_unit(
        Service(
            what=f"fedinterest agent of {agent.region}",
            verb="agent unit",
            name=f"fedinterest-agent-{agent.region}",
            arguments=("agent", "up", "--foreground", "--settings", str(agent.path)),
            folder=agent.path.parent,
            patience=agent_supervisor(agent).patience,
            written=written,
            read=[settings.events, settings.catalogue, settings.policy, deployment.certificate],
            user=user,
            environment={"HF_HUB_OFFLINE": "1"},
            has_graphics_card=CARDS.exists(),
        )
    )
