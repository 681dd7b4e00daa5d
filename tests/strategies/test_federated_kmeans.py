"""What the strategy does with answers, refusals, nonsense and silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from privacy.query import NoiseKind, TrustModel
from privacy.release import Answer, Refusal, Release
from simulations.in_process_grid import InProcessGrid
from strategies.clustering import Clustering
from strategies.federated_kmeans import FederatedKMeans, StrategyError
from strategies.messages import answer_to_records, records_to_request
from strategies.plan import plan
from strategies.questions import Request

Respond = Callable[[Request, int], RecordDict]


def strategy_over(known: Clustering, n_clients: int = 2) -> FederatedKMeans:
    return FederatedKMeans(
        known=known,
        phases=plan(),
        epsilon=4.0,
        delta=1e-6,
        trust_model=TrustModel.LOCAL,
        n_clients=n_clients,
        wait_seconds=0.3,
    )


def release_for(request: Request, region: str, *, value: float = 1.0) -> Release:
    query = request.query()
    return Release(
        region=region,
        run=request.run,
        round_number=request.round_number,
        purpose=request.purpose,
        sums={
            block.name: np.full((block.cells, block.width), value, np.float32)
            for block in query.blocks
        },
        sensitivity=query.sensitivity,
        sigma=query.sigma,
        noise=NoiseKind.SEEDED,
        entry=1,
    )


def first_round(strategy: FederatedKMeans, respond: Respond) -> None:
    """Play the first round with two clients; ``respond`` makes each one's reply."""
    clients = ClientApp()

    @clients.train()
    def reply(message: Message, context: Context) -> Message:
        request = records_to_request(message.content)
        return Message(respond(request, context.node_id), reply_to=message)

    grid = InProcessGrid(clients, [{}, {}])
    messages = strategy.configure_train(1, strategy.initial_arrays(), ConfigRecord(), grid)
    strategy.aggregate_train(1, grid.send_and_receive(messages))


def answer(request: Request, node: int) -> RecordDict:
    return answer_to_records(release_for(request, f"region-{node}"))


def refusal(request: Request, node: int) -> Answer:
    return Refusal(
        region=f"region-{node}",
        run=request.run,
        round_number=request.round_number,
        purpose=request.purpose,
        reason="budget-exhausted",
        sentence="Enough.",
    )


def test_answers_are_added_up(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(strategy, answer)
    assert strategy.history[0].answered == 2
    assert strategy.history[0].bytes_up > 0
    assert strategy.history[0].bytes_down > 0


def test_refusing_region_is_recorded_and_the_others_go_on(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(
        strategy,
        lambda request, node: (
            answer(request, node) if node == 2 else answer_to_records(refusal(request, node))
        ),
    )
    assert strategy.history[0].answered == 1
    assert [one.region for one in strategy.history[0].refusals] == ["region-3"]


def test_nobody_answering_stops_the_run_with_the_reasons(known: Clustering) -> None:
    with pytest.raises(
        StrategyError, match=r"No region answered phase 'mean' \(budget-exhausted\)"
    ):
        first_round(
            strategy_over(known), lambda request, node: answer_to_records(refusal(request, node))
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_poisonous_values_are_left_out(known: Clustering, value: float) -> None:
    strategy = strategy_over(known)

    def respond(request: Request, node: int) -> RecordDict:
        region = f"region-{node}"
        poison = value if node == 3 else 1.0
        return answer_to_records(release_for(request, region, value=poison))

    first_round(strategy, respond)
    assert (strategy.history[0].answered, strategy.history[0].malformed) == (1, 1)
    assert np.isfinite(known.mean).all()


def test_arrays_of_another_shape_are_left_out(known: Clustering) -> None:
    strategy = strategy_over(known)

    def respond(request: Request, node: int) -> RecordDict:
        honest = release_for(request, f"region-{node}")
        if node == 2:
            return answer_to_records(honest)
        sums = {name: array[:, :1] for name, array in honest.sums.items()}
        return answer_to_records(
            Release(
                region=honest.region,
                run=honest.run,
                round_number=honest.round_number,
                purpose=honest.purpose,
                sums=sums,
                sensitivity=honest.sensitivity,
                sigma=honest.sigma,
                noise=honest.noise,
                entry=honest.entry,
            )
        )

    first_round(strategy, respond)
    assert strategy.history[0].malformed == 1


def test_answer_to_another_round_is_left_out(known: Clustering) -> None:
    strategy = strategy_over(known)

    def respond(request: Request, node: int) -> RecordDict:
        records = answer(request, node)
        if node == 3:
            records.config_records["answer"]["round-number"] = 7
        return records

    first_round(strategy, respond)
    assert strategy.history[0].malformed == 1


def test_reply_that_is_no_answer_is_left_out(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(
        strategy, lambda request, node: answer(request, node) if node == 2 else RecordDict()
    )
    assert strategy.history[0].malformed == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sigma", 1e9),
        ("sigma", float("nan")),
        ("sigma", "wide"),
        ("sensitivity", 0.5),
        ("purpose", "items"),
        ("region", 5),
        ("entry", "first"),
        ("noise", "none"),
        ("type", "Gift"),
    ],
)
def test_release_that_says_something_else_than_was_asked_is_left_out(
    known: Clustering, key: str, value: Any
) -> None:
    strategy = strategy_over(known)

    def respond(request: Request, node: int) -> RecordDict:
        records = answer(request, node)
        if node == 3:
            records.config_records["answer"][key] = value
        return records

    first_round(strategy, respond)
    assert (strategy.history[0].answered, strategy.history[0].malformed) == (1, 1)


def test_sums_that_no_number_of_users_could_give_are_left_out(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(
        strategy,
        lambda request, node: answer_to_records(
            release_for(request, f"region-{node}", value=3e38 if node == 3 else 1.0)
        ),
    )
    assert strategy.history[0].malformed == 1


def test_budget_too_small_for_the_users_is_said(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(strategy, answer)
    assert strategy.warning is not None
    assert "worse than one mean" in strategy.warning


def test_a_region_that_answers_twice_counts_once(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(strategy, lambda request, node: answer_to_records(release_for(request, "region-2")))
    assert (strategy.history[0].answered, strategy.history[0].malformed) == (1, 1)


def test_missing_regions_are_waited_for_and_then_named(known: Clustering) -> None:
    strategy = strategy_over(known, n_clients=3)
    with pytest.raises(StrategyError, match="2 of 3 regions are connected"):
        first_round(strategy, answer)


def test_plan_spends_exactly_the_epsilon_asked_for(known: Clustering) -> None:
    from privacy.accountant import GaussianEvent, compose, epsilon_of

    strategy = strategy_over(known)
    events = [GaussianEvent(1.0, multiplier) for multiplier in strategy.multipliers.values()]
    spent = epsilon_of(compose(events), 1e-6)
    assert 3.9999 < spent <= 4.0
