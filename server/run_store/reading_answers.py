"""What pages read of answers and refusals: a part of them, all of them, how many, of which runs.

Store  ->  lines, counts, marks of runs, and all releases in parts that need little memory
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, func, or_, select

from server.run_store.columns import name_of
from server.run_store.opening import Store
from server.run_store.region_records import RefusalLine, ReleaseLine
from server.run_store.schema import Refusal, Release, Run

Line = TypeVar("Line", ReleaseLine, RefusalLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMark:
    """What has to stand beside any number of a run."""

    id: str
    name: str
    trust_model: str
    simulated: bool


def run_marks(store: Store, run_ids: Collection[str]) -> dict[str, RunMark]:
    """Return the marks of those of these runs that are in the store."""
    query = select(Run.id, Run.name, Run.trust_model, Run.simulated)
    with store.read() as connection:
        rows = connection.execute(query.where(Run.id.in_(sorted(set(run_ids))))).mappings()
        return {row["id"]: RunMark(**row) for row in rows}


def releases(
    store: Store,
    *,
    run_id: str | None = None,
    region: str | None = None,
    limit: int = 200,
    offset: int = 0,
) -> list[ReleaseLine]:
    """Return received answers, the latest first; of one run, of one region, or of all."""
    return _answers(store, Release, ReleaseLine, run_id, region, limit, offset)


def refusals(
    store: Store,
    *,
    run_id: str | None = None,
    region: str | None = None,
    limit: int = 200,
    offset: int = 0,
) -> list[RefusalLine]:
    """Return refusals, the latest first; of one run, of one region, or of all."""
    return _answers(store, Refusal, RefusalLine, run_id, region, limit, offset)


def _answers(
    store: Store,
    model: type[Release] | type[Refusal],
    line: type[Line],
    run_id: str | None,
    region: str | None,
    limit: int,
    offset: int,
) -> list[Line]:
    columns = (getattr(model, name) for name in line.__dataclass_fields__)
    query = select(*columns).where(*_chosen(model, run_id, region)).order_by(*_latest_first(model))
    with store.read() as connection:
        rows = connection.execute(query.limit(limit).offset(offset)).mappings()
        return [line(**row) for row in rows]


def count_releases(store: Store, *, run_id: str | None = None, region: str | None = None) -> int:
    """Return how many received answers are kept: of one run, of one region, or of all."""
    return _count(store, Release, run_id, region)


def count_refusals(store: Store, *, run_id: str | None = None, region: str | None = None) -> int:
    """Return how many refusals are kept: of one run, of one region, or of all."""
    return _count(store, Refusal, run_id, region)


def _count(
    store: Store, model: type[Release] | type[Refusal], run_id: str | None, region: str | None
) -> int:
    counted = select(func.count()).select_from(model).where(*_chosen(model, run_id, region))
    with store.read() as connection:
        return int(connection.execute(counted).scalar_one())


def _chosen(
    model: type[Release] | type[Refusal], run_id: str | None, region: str | None
) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = []
    if run_id is not None:
        chosen.append(model.run_id == run_id)
    if region is not None:
        chosen.append(model.region == name_of(region))
    return chosen


def _latest_first(model: type[Release] | type[Refusal]) -> tuple[Any, ...]:
    return model.received.desc(), model.run_id, model.round.desc(), model.region


def all_releases(
    store: Store,
    *,
    run_id: str | None = None,
    region: str | None = None,
    most: int,
    at_once: int = 5000,
) -> Iterator[list[ReleaseLine]]:
    """Go through received answers in parts, the latest first.

    Each part is a query of its own, so that a slow reader holds nothing open; it begins where the
    last one ended, so that answers which come meanwhile move nothing.

    Parameters
    ----------
    store : Store
    run_id, region : str, optional
        Only of this run; only of this region.
    most : int
        How many at most, the latest.
    at_once : int
        How many in a part.
    """
    columns = [getattr(Release, name) for name in ReleaseLine.__dataclass_fields__]
    query = (
        select(*columns).where(*_chosen(Release, run_id, region)).order_by(*_latest_first(Release))
    )
    last: ReleaseLine | None = None
    while most > 0:
        part = query if last is None else query.where(Release.received <= last.received)
        if last is not None:
            part = part.where(_after(last))
        with store.read() as connection:
            rows = connection.execute(part.limit(min(at_once, most))).mappings()
            lines = [ReleaseLine(**row) for row in rows]
        if lines:
            yield lines
            last = lines[-1]
        if len(lines) < at_once:
            return
        most -= len(lines)


def _after(last: ReleaseLine) -> ColumnElement[Any]:
    earlier_round = or_(
        Release.round < last.round,
        and_(Release.round == last.round, Release.region > last.region),
    )
    same_moment = or_(
        Release.run_id > last.run_id, and_(Release.run_id == last.run_id, earlier_round)
    )
    return or_(
        Release.received < last.received, and_(Release.received == last.received, same_moment)
    )
