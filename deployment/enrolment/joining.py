"""A region joins in one step: its folder is laid out, and it asks until somebody has decided.

invitation, events, catalogue  ->  agent's folder  ->  request  ->  waiting ...  ->  approved

Whatever was done is not done again: after an interruption the same step goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deployment.agent.layout import SETTINGS, lay_out
from deployment.agent.settings import Agent, read_agent
from deployment.enrolment.enrolling import Agent as EnrollingAgent
from deployment.enrolment.enrolling import enroll
from deployment.enrolment.errors import EnrolmentError, UnreachableError
from deployment.enrolment.invitation import Invitation
from deployment.hosting.ports import free_port

POLLS = (5.0, 10.0, 20.0, 30.0)
"""Seconds until it is asked again, the last ones from then on: the route takes six a minute."""


def settle(folder: Path, invitation: Invitation, events: Path, catalogue: Path) -> Agent:
    """Lay out the agent's folder for the server that invites, if that has not been done.

    Raises
    ------
    EnrolmentError
        If the folder is another region's, or speaks to another server.
    AgentError, PolicyError, SettingsError, KeyFileError, EventsError, CatalogueError
        As :func:`~deployment.agent.layout.lay_out`.
    """
    path = folder / SETTINGS
    if not path.exists():
        lay_out(
            folder,
            region=invitation.region,
            events=events,
            catalogue=catalogue,
            server=invitation.server,
            port=free_port(),
            authority=invitation.authority,
            server_keys=[invitation.server_key],
        )
    agent = read_agent(path)
    found = (agent.region, agent.deployment.server)
    if found != (invitation.region, invitation.server):
        raise EnrolmentError(
            f"{path} is of region {found[0]!r} and server {found[1]}, the invitation of "
            f"{invitation.region!r} and {invitation.server}. Nothing was sent. Join in another "
            "folder."
        )
    return agent


def ask_until_decided(
    agent: EnrollingAgent,
    invitation: Invitation,
    ca: Path,
    *,
    seconds: float,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Ask to be enrolled, and again while nobody has decided; return the last state.

    Parameters
    ----------
    seconds : float
        How long to wait; 0 asks once.
    tell : callable
        Gets the state each time that it changes.

    Returns
    -------
    str
        ``waiting``, ``approved``, ``declined`` or ``revoked``.

    Raises
    ------
    EnrolmentError
        If the server does not accept the request, or cannot be reached the first time.
    """
    state, waited, polls = "", 0.0, list(POLLS)
    while True:
        try:
            found = enroll(
                agent, invitation.token, server=invitation.server, ca=ca, moment=datetime.now(UTC)
            )
        except UnreachableError:
            if not state:
                raise
            found = state
        if found != state:
            tell(found)
        state = found
        pause = polls.pop(0) if len(polls) > 1 else polls[0]
        if state != "waiting" or waited + pause > seconds:
            return state
        sleep(pause)
        waited += pause
