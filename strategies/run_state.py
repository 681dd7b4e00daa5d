"""What an interrupted run needs to go on, taken from its strategy and given back to another.

strategy  ->  RunState: what is known, which phases are done, the question under way  ->  strategy

All of it is public or released: neither users' data nor clipped sums are in it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from privacy.query import NoiseKind, TrustModel
from privacy.release import Refusal
from privacy.signed_head import SignedHead
from strategies import arm_comparison
from strategies.cluster_map import ClusterMap
from strategies.clustering import Clustering
from strategies.directions import Directions
from strategies.federated_kmeans import AcceptedAnswer, FederatedKMeans, RoundRecord
from strategies.fusion import Fusion
from strategies.interest_tree import InterestTree
from strategies.item_space import ItemSpace, Space
from strategies.k_curve import KCurve
from strategies.labels import ClusterWords
from strategies.phases.phase import Memory
from strategies.plain_values import named
from strategies.private_evaluation import PrivateEvaluation
from strategies.questions import QUESTION_TYPES, Request
from strategies.taste import Taste
from strategies.taste_subspace import Answered, Subspace

NOT_KEPT = frozenset({"catalogue", "placed"})
"""Of what the server knows: public, in a file of its own, and large."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunState:
    """A run between two messages.

    Attributes
    ----------
    run : str
    plan : list of (str, float)
        The phases' names and shares, in their order.
    done : int
        So many of them were absorbed, or are gone without.
    request : Request, optional
        Asked, or about to be, and not absorbed: kept before it is sent.
    known : dict
        The fields of :class:`Clustering` but for those of the catalogue.
    memories : list of dict
        What phases share, in the order in which they come first.
    history : list of RoundRecord
    heads : dict
        Of the regions' ledgers.
    noises, windows : lists
    resumed : int
        How often the run was interrupted and went on.
    """

    run: str
    plan: list[tuple[str, float]]
    done: int
    request: Request | None
    known: dict[str, Any]
    memories: list[dict[str, Any]]
    history: list[RoundRecord]
    heads: dict[str, Any]
    noises: list[NoiseKind]
    windows: list[str]
    resumed: int


CLASSES = named(
    [
        AcceptedAnswer,
        Answered,
        ClusterMap,
        ClusterWords,
        Directions,
        Fusion,
        InterestTree,
        ItemSpace,
        KCurve,
        NoiseKind,
        PrivateEvaluation,
        Refusal,
        Request,
        RoundRecord,
        RunState,
        SignedHead,
        Space,
        Subspace,
        Taste,
        TrustModel,
        arm_comparison.ArmFigures,
        arm_comparison.Difference,
        arm_comparison.Experiment,
        arm_comparison.Mean,
        *QUESTION_TYPES.values(),
    ]
)
"""All that a state can be made of."""


def state_of(strategy: FederatedKMeans) -> RunState:
    """Return where ``strategy`` is."""
    return RunState(
        run=strategy.known.run,
        plan=plan_of(strategy),
        done=strategy.done,
        request=strategy.pending,
        known={name: getattr(strategy.known, name) for name in _kept_fields()},
        memories=[memory.kept() for memory in _memories(strategy)],
        history=list(strategy.history),
        heads=strategy.heads.kept(),
        noises=sorted(strategy.noises),
        windows=sorted(strategy.windows),
        resumed=strategy.resumed,
    )


def restore(strategy: FederatedKMeans, state: RunState) -> None:
    """Let a strategy that was built anew from the same configuration go on from ``state``.

    Raises
    ------
    ValueError
        If the state is of another run or plan; the strategy is as it was.
    """
    memories = _memories(strategy)
    known = strategy.known
    if (state.run, state.plan) != (known.run, plan_of(strategy)):
        raise ValueError(f"The state is of run {state.run!r}, with another plan.")
    if set(state.known) != set(_kept_fields()) or len(state.memories) != len(memories):
        raise ValueError("The state holds other values than this version of the program keeps.")
    for name, value in state.known.items():
        setattr(known, name, value)
    known.place()
    for memory, kept in zip(memories, state.memories, strict=True):
        memory.restore(kept)
    strategy.heads.restore(state.heads)
    strategy.history = list(state.history)
    strategy.noises, strategy.windows = set(state.noises), set(state.windows)
    strategy.go_on(done=state.done, pending=state.request, resumed=state.resumed + 1)


def plan_of(strategy: FederatedKMeans) -> list[tuple[str, float]]:
    """Return the phases' names and shares, in their order."""
    return [(phase.name, phase.share) for phase in strategy.phases]


def _kept_fields() -> list[str]:
    return [field.name for field in fields(Clustering) if field.name not in NOT_KEPT]


def _memories(strategy: FederatedKMeans) -> list[Memory]:
    """Return what phases share, each once, in the order in which they come first."""
    found = {id(memory): memory for phase in strategy.phases if (memory := phase.memory)}
    return list(found.values())
