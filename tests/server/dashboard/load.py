"""How long each page takes under 20 readers at once, on a store as years would fill it.

python -m tests.server.dashboard.load [PLACE]   without one: SQLite, and PostgreSQL if installed

1,000 runs, maps of 200 clusters, 500 regions, 100,000 releases. The server is a process of its
own, started by its command; so are the readers. Each page is read in turn by all readers,
who ask again as soon as they have an answer: first on a store at rest, then while a run changes
it once a second, so that what was built has to be built anew.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import quote

import httpx
from sqlalchemy import update

from server.run_store.opening import open_store
from server.run_store.schema import Run
from tests.server.dashboard.test_process import address, free_port, started
from tests.server.run_store import scale
from tests.server.run_store.postgres import is_installed, postgres

READERS = 20
SECONDS = 3.0
LAST = f"weekly-{scale.RUNS - 1:04}"
PATHS = [
    "/overview",
    f"/clusters?run={LAST}",
    f"/clusters/compare?left=weekly-{scale.RUNS - 3:04}&right={LAST}",
    "/runs",
    "/runs?page=30",
    f"/runs/{LAST}",
    "/regions",
    "/regions?page=10",
    f"/regions/detail?name={quote(scale.NAMES[7])}",
    "/privacy",
    f"/privacy?region={quote(scale.NAMES[7])}",
    f"/quality?run={LAST}",
    "/api/v1/overview",
    "/api/v1/runs?limit=200",
    "/api/v1/regions",
]


def read(base: str, path: str) -> list[float]:
    """Read one page by all readers for :data:`SECONDS`; return what each answer took."""
    return asyncio.run(_read(base, path))


async def _read(base: str, path: str) -> list[float]:
    times: list[float] = []
    end = 0.0

    async def reader(client: httpx.AsyncClient) -> None:
        while (begun := time.perf_counter()) < end:
            answer = await client.get(path)
            answer.raise_for_status()
            times.append(time.perf_counter() - begun)

    limits = httpx.Limits(max_connections=READERS)
    headers = {"accept": "text/html"}
    async with httpx.AsyncClient(base_url=base, limits=limits, timeout=60, headers=headers) as one:
        (await one.get(path)).raise_for_status()  # the first pays for what all others find
        end = time.perf_counter() + SECONDS
        await asyncio.gather(*(reader(one) for _ in range(READERS)))
    return times


@contextmanager
def changing(place: str) -> Iterator[None]:
    """Have a run give a sign of life every second."""
    store, over = open_store(place), threading.Event()

    def beat() -> None:
        while not over.wait(1.0):
            alive = {"updated": datetime.now(UTC), "status": "running"}
            with store.write() as connection:
                connection.execute(update(Run).where(Run.id == LAST).values(**alive))

    thread = threading.Thread(target=beat)
    thread.start()
    yield
    over.set()
    thread.join()
    store.close()


def measure(place: str) -> None:
    """Print what each page takes."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--store", place, "--port", str(free_port())]
        with started(Path(folder), *words) as server:
            base = address(server)
            print("  milliseconds, median and 95th percentile: at rest; with a run under way")
            with get_context("spawn").Pool(1) as readers:
                for path in PATHS:
                    found = readers.apply(read, (base, path))
                    with changing(place):
                        busy = readers.apply(read, (base, path))
                    told = [f"{_median(some):6.0f} {_late(some):6.0f}" for some in (found, busy)]
                    print(f"  {path:<48} {'   '.join(told)}   {len(found)} answers", flush=True)


def _median(seconds: list[float]) -> float:
    return 1000 * statistics.median(seconds)


def _late(seconds: list[float]) -> float:
    return 1000 * statistics.quantiles(seconds, n=20)[-1]


def fill(place: str) -> str:
    """Fill a new store; return its place."""
    store = open_store(place)
    scale.fill(store)
    store.close()
    print(f"\n{place.partition('://')[0] if '://' in place else 'SQLite'}")
    return place


def main() -> None:
    """Measure on the given place, which is filled already, or on both databases."""
    if sys.argv[1:]:
        measure(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(fill(str(Path(folder) / "store.sqlite")))
    if is_installed():
        with postgres() as server:
            measure(fill(server.new_database()))


if __name__ == "__main__":
    main()
