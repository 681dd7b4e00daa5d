"""Record a run as it goes, so that a crash loses at most the round under way.

strategy keeps its state  ->  Snapshot  ->  one transaction that adds what is missing

A store that is away never ends a run: regions have been charged for it. What could not be
written is written with what comes next, or with the next sign of life.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, select, update

from server.report import Report
from server.resuming import Progress
from server.run_config import ConfigError, RunConfig
from server.run_store.errors import StoreAwayError, StoreError
from server.run_store.opening import Store, open_store
from server.run_store.putting import put
from server.run_store.results import Results, put_results, results_of
from server.run_store.schema import Refusal, Region, Round, Run
from server.run_store.snapshot import Snapshot, Status, snapshot_of
from server.run_store.spending import put_releases
from server.run_store.states import COMPLETED, RUNNING
from strategies.federated_kmeans import FederatedKMeans

log = logging.getLogger("flwr")

BEAT_SECONDS = 10.0
"""Between two signs of life."""
LAST_TRIES, LAST_PAUSE = 6, 10.0
"""After its end, a run tries so often to be recorded, with so many seconds in between."""


@contextmanager
def recorded(
    strategy: FederatedKMeans, config: RunConfig, progress: Progress
) -> Iterator[Callable[[Report], None]]:
    """Record what ``strategy`` does meanwhile; what is given takes the report of a finished run.

    Raises
    ------
    ConfigError
        If the store cannot be used, and waiting would not help; nothing was asked then.
    """
    recorder = Recorder(strategy, config, progress)
    try:
        recorder.begin()
    except StoreError as error:
        raise ConfigError(f"run.store: {error} Nothing was asked of any region.") from error
    try:
        yield recorder.complete
    except BaseException as error:
        recorder.fail(error)
        raise
    finally:
        recorder.stop()


@dataclass(frozen=True, slots=True)
class _Left:
    """How a recorder has left the store: which snapshot it wrote, and when."""

    snapshot: Snapshot
    results: Results | None
    updated: datetime


class Recorder:
    """Writes one run into a store, again and again.

    Parameters
    ----------
    strategy : FederatedKMeans
        Ready to begin, or to go on.
    config : RunConfig
        With a store.
    progress : Progress
        Keeps the run's checkpoint and its clock.
    beat_seconds, last_pause : float
        Between signs of life, and between tries after the end.
    """

    def __init__(
        self,
        strategy: FederatedKMeans,
        config: RunConfig,
        progress: Progress,
        *,
        beat_seconds: float = BEAT_SECONDS,
        last_pause: float = LAST_PAUSE,
    ) -> None:
        self._strategy = strategy
        self._config = config
        self._progress = progress
        self._beat_seconds = beat_seconds
        self._last_pause = last_pause
        self._status = Status(status=RUNNING)
        self._report: Report | None = None
        self._results: Results | None = None
        self._store: Store | None = None
        self._left: _Left | None = None
        self._is_away = False
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._snapshot = self._look()
        self._thread = threading.Thread(target=self._live, name="sign of life", daemon=True)

    def begin(self) -> None:
        """Open the store, note that the run has begun, and follow it from now on.

        Raises
        ------
        StoreError
            If the store has to be seen to; one that is only away is tried again later.
        """
        try:
            self._write()
        except StoreAwayError as error:
            self._away(error)
        keep = self._strategy.keep

        def keep_both() -> None:
            if keep is not None:
                keep()  # first: from it the run can go on
            self.keep()

        self._strategy.keep = keep_both
        self._thread.start()

    def keep(self) -> None:
        """Write what is known now; where that fails, say so and go on."""
        with self._lock:
            self._try_to_write(look=True)

    def complete(self, report: Report) -> None:
        """Write the end of a run, and its results."""
        self._status, self._report = Status(status=COMPLETED), report
        self._end(tries=LAST_TRIES)

    def fail(self, error: BaseException) -> None:
        """Write that ``error`` has ended the run."""
        if self._status.status == RUNNING:
            self._status = Status.of(error)
            self._end(tries=LAST_TRIES if isinstance(error, Exception) else 1)

    def stop(self) -> None:
        """Give no further sign of life, and let go of the store."""
        self._stopped.set()
        self._thread.join()
        self._close()

    def _end(self, *, tries: int) -> None:
        for left in reversed(range(tries)):
            self.keep()
            if not self._is_away:
                return
            if left:
                time.sleep(self._last_pause)
        log.warning(
            "\t     The end of run %s is not in the run store. Its files are in %s.",
            self._strategy.known.run,
            self._config.out,
        )

    def _look(self) -> Snapshot:
        return snapshot_of(self._strategy, self._config, self._progress.started, self._status)

    def _live(self) -> None:
        while not self._stopped.wait(self._beat_seconds):
            with self._lock:
                self._try_to_write()

    def _try_to_write(self, *, look: bool = False) -> None:
        """Write softly; unless it is to ``look``, a store that stays away is no news."""
        try:
            if look:
                self._snapshot = self._look()
                if self._report is not None:
                    self._results = results_of(self._report, self._strategy.known.centroids)
            self._write()
        except Exception as error:  # whatever it is, regions have been charged for this run
            if look or not self._is_away:
                self._away(error)
        else:
            if self._is_away:
                log.info("\t     The run store can be written again; nothing is missing there.")
            self._is_away = False

    def _away(self, error: Exception) -> None:
        self._is_away, self._left = True, None
        self._close()
        told = error if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
        history = self._strategy.history
        log.warning(
            "\t     %s What run %s does from %s on is missing there until it can be written. The "
            "run goes on.",
            told,
            self._strategy.known.run,
            f"round {history[-1].number}" if history else "its beginning",
        )

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _write(self) -> None:
        if self._store is None:
            self._store = open_store(self._config.run.store)
        snapshot, results, now = self._snapshot, self._results, datetime.now(UTC)
        with self._store.write() as connection:
            before = self._as_left(connection)
            self._put(connection, before, now)
        self._left = _Left(snapshot, results, now)

    def _as_left(self, connection: Connection) -> _Left | None:
        """Return how this recorder has left the store, if it is still so.

        Else it is another one, or an older copy: all is written again.
        """
        run = self._snapshot.run
        found = connection.execute(
            select(Run.started, Run.updated).where(Run.id == run["id"])
        ).one_or_none()
        if found is None:
            return None
        if found.started != run["started"]:
            raise StoreError(
                f"There is another run {run['id']} in the store, which began "
                f"{found.started.isoformat(timespec='seconds')}. Nothing was written over."
            )
        return self._left if self._left and self._left.updated == found.updated else None

    def _put(self, connection: Connection, left: _Left | None, now: datetime) -> None:
        snapshot, results, seconds = self._snapshot, self._results, self._progress.seconds
        key = snapshot.run["id"]
        if left and left.snapshot is snapshot and left.results is results:
            alive = update(Run).where(Run.id == key).values(updated=now, seconds=seconds)
            connection.execute(alive)
            return
        put(connection, Run, [{**snapshot.run, "updated": now, "seconds": seconds}])
        put(connection, Round, snapshot.rounds)
        done = left.snapshot.done if left else 0
        put_releases(
            connection,
            key,
            [row for row in snapshot.releases if row["round"] > done],
            delta=snapshot.run["delta"],
            now=now,
        )
        put(connection, Refusal, [row for row in snapshot.refusals if row["round"] > done])
        put(
            connection,
            Region,
            snapshot.regions,
            keep=("first_seen",),
            unless_before="last_seen",
        )
        if results is not None:
            put_results(connection, results, name=snapshot.run["name"])
