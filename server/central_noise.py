"""Under trust model ``central``: the server's own door, with a ledger of the noise it adds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from privacy.door import ServerDoor
from privacy.errors import LedgerError
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.policy import Answers, Budget, Policy, Windows
from privacy.query import LEAST_NOISE, NoiseKind
from server.run_config import ConfigError
from strategies.questions import QUESTION_TYPES

SERVER_LEDGER = "server-ledger.sqlite"


def open_server_door(
    path: Path,
    *,
    epsilon: float,
    delta: float,
    noise: NoiseSource,
    simulated: bool = False,
    resumed: str = "",
) -> ServerDoor:
    """Return the door of one run, whose budget is the run's.

    Parameters
    ----------
    path : Path
        The server's ledger.
    epsilon, delta : float
        Budget of the run; epsilon finite.
    noise : NoiseSource
    simulated : bool
        Marks the ledger of a run whose clients do not exist; seeded noise does so, too.
    resumed : str
        Name of the run that goes on, whose charges are there already; empty for a new one.

    Raises
    ------
    ConfigError
        If the ledger cannot be used, or another run has charged it.
    """
    budget = Budget(epsilon=epsilon, delta=delta, lifetime_epsilon=epsilon, lifetime_delta=delta)
    policy = Policy(
        region="server",
        budget=budget,
        window=Windows(start=datetime(2000, 1, 1, tzinfo=UTC), days=36500),
        answers=Answers(questions=frozenset(QUESTION_TYPES), least_noise_multiplier=LEAST_NOISE),
    )
    ledger = Ledger(path, policy, simulated=simulated or noise.kind is NoiseKind.SEEDED)
    try:
        charged = any(entry.run != resumed for entry in ledger.entries())
    except LedgerError as error:
        raise ConfigError(f"{error} Nothing was asked of any region.") from error
    if charged:
        raise ConfigError(
            f"{ledger.path} has been charged by another run already. Nothing was asked of any "
            "region. Choose another folder with run.out."
        )
    return ServerDoor(ledger, noise)
