"""A run that was interrupted goes on: found, checked, and kept up with.

run.checkpoint  ->  the same run?  ->  strategy after its last phase  ->  new checkpoints

Where the folder of the results holds an unfinished run, starting it again goes on with it
(``run.resume``): that is what a supervisor does that starts a killed process again. What is
other than it was is an error that says so; nothing is ever mixed.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacy.errors import LedgerError
from server.central_noise import SERVER_LEDGER
from server.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    CheckpointError,
    read_checkpoint,
    write_checkpoint,
)
from server.run_config import ConfigError, RunConfig
from strategies.federated_kmeans import FederatedKMeans
from strategies.run_state import plan_of, restore, state_of

log = logging.getLogger("flwr")

MAY_DIFFER = frozenset(
    {
        "run.out",
        "run.resume",
        "run.wait-seconds",
        "run.round-seconds",
        "run.least-answers",
        "run.request-hours",
        "run.signing-key",
        "run.known-regions",
        "run.store",
        "public.catalogue",
    }
)
"""Keys that a resumed run may have otherwise; of the key and the
catalogue, what is in the files may not; of the known regions it may."""


class Progress:
    """Keeps a run's checkpoint.

    Parameters
    ----------
    path : Path
    strategy : FederatedKMeans
    identity : dict of str to plain value
    kept : Checkpoint, optional
        Of the run that goes on.
    """

    def __init__(
        self,
        path: Path,
        strategy: FederatedKMeans,
        identity: dict[str, Any],
        kept: Checkpoint | None,
    ) -> None:
        self.path = path
        self.strategy = strategy
        self.identity = identity
        self.started = datetime.fromisoformat(kept.started) if kept else datetime.now(UTC)
        self._before = kept.seconds if kept else 0.0
        self._clock = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the run has been running, without the time in between."""
        return self._before + time.monotonic() - self._clock

    def keep(self) -> None:
        """Write the checkpoint.

        Where that fails the run goes on: regions have been charged for it, and the checkpoint
        before this one stays true. From there the same questions follow, for which regions
        give the same answers and are charged nothing.
        """
        door = self.strategy.server_door
        checkpoint = Checkpoint(
            identity=self.identity,
            started=self.started.isoformat(),
            seconds=self.seconds,
            server_head=door.ledger.head() if door else None,
            state=state_of(self.strategy),
        )
        try:
            write_checkpoint(self.path, checkpoint)
        except OSError as error:
            log.warning(
                "\t     %s cannot be written (%s). The run goes on; interrupted now, it could %s.",
                self.path,
                error.strerror,
                "only be resumed from an earlier phase" if self.path.exists() else "not be resumed",
            )

    def finish(self) -> None:
        """Remove the checkpoint: the results are there."""
        self.path.unlink(missing_ok=True)


def unfinished_run(config: RunConfig) -> Checkpoint | None:
    """Return the interrupted run that ``config`` goes on with, if there is one.

    Raises
    ------
    CheckpointError
        If its checkpoint, or the server's ledger beside it, cannot be used.
    """
    path = config.out / CHECKPOINT
    if not path.exists():
        return None
    if not config.run.resume:
        log.warning("%s is of an unfinished run; a new one begins (run.resume = false)", path)
        return None
    kept = read_checkpoint(path)
    if kept.server_head and not (config.out / SERVER_LEDGER).exists():
        raise CheckpointError(_ledger_is_other(config, "is not there"))
    return kept


def follow(strategy: FederatedKMeans, config: RunConfig, kept: Checkpoint | None) -> Progress:
    """Let ``strategy`` go on with the interrupted run, if there is one, and keep what it does.

    Raises
    ------
    CheckpointError
        If the interrupted run is another one.
    """
    identity = identity_of(strategy, config)
    path = config.out / CHECKPOINT
    if kept is not None:
        _check_same(path, kept.identity, identity)
        _check_server_ledger(strategy, config, kept)
        try:
            restore(strategy, kept.state)
        except ValueError as error:
            raise CheckpointError(
                f"{path} cannot be used: {error} Nothing was asked of any region."
            ) from error
        _tell(strategy, kept)
    progress = Progress(path, strategy, identity, kept)
    strategy.keep = progress.keep
    return progress


def identity_of(strategy: FederatedKMeans, config: RunConfig) -> dict[str, Any]:
    """Return what a run that goes on must have in common with the interrupted one."""
    settings = {key: value for key, value in config.flat().items() if key not in MAY_DIFFER}
    catalogue, key = strategy.known.catalogue, strategy.signing_key
    return settings | {
        "the catalogue": catalogue.fingerprint,
        "the encoder": catalogue.encoder,
        "the server's key": key.public if key else "none",
        "the plan": ", ".join(f"{name} {share:g}" for name, share in plan_of(strategy)),
    }


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder of results until this one ends, however it ends.

    Raises
    ------
    ConfigError
        If there is one already.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"Another run is writing to {folder}. Nothing was asked of any region. Wait for "
                "it, end it, or choose another folder with run.out."
            ) from error
        except OSError as error:  # some file systems know no locks
            log.warning("%s cannot be locked (%s): let no other run use it", folder, error.strerror)
        yield
    finally:
        os.close(descriptor)


def _check_same(path: Path, kept: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    other = [
        f"{key} was {kept.get(key)!r} and is {now.get(key)!r}"
        for key in sorted({*kept, *now})
        if kept.get(key) != now.get(key)
    ]
    if other:
        raise CheckpointError(
            f"{path} is of an unfinished run with another configuration: {'; '.join(other)}. "
            "Nothing was asked of any region. Set it as it was to go on; or begin a new run in "
            "another folder (run.out), or here with run.resume = false: what regions have "
            "released stays charged there."
        )


def _check_server_ledger(strategy: FederatedKMeans, config: RunConfig, kept: Checkpoint) -> None:
    """Under ``central``: with another ledger, the same sums could be released twice."""
    if strategy.server_door is None or kept.server_head is None:
        return
    try:
        same = strategy.server_door.ledger.has_been_at(kept.server_head)
    except LedgerError as error:
        raise CheckpointError(f"{error} Nothing was asked of any region.") from error
    if not same:
        raise CheckpointError(_ledger_is_other(config, "is another one, or has been rolled back"))


def _ledger_is_other(config: RunConfig, found: str) -> str:
    return (
        f"The run was interrupted, and the ledger of its own noise, {config.out / SERVER_LEDGER}, "
        f"{found}. The run was not resumed, and nothing was asked of any region: what the server "
        "released could be released a second time. Restore the ledger."
    )


def _tell(strategy: FederatedKMeans, kept: Checkpoint) -> None:
    names = [phase.name for phase in strategy.phases]
    log.info("Run %s goes on; it began %s", strategy.known.run, kept.started)
    log.info("\t├──> done, and not asked again: %s", ", ".join(names[: strategy.done]) or "nothing")
    if strategy.pending is not None:
        log.info("\t└──> asked again, with the same request: %s", strategy.pending.purpose)
