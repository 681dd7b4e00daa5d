"""What the strategy does with answers, refusals, nonsense and silence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.app.constants import DEFAULT_TTL
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode

from privacy.accountant import Adjacency, GaussianEvent, compose, epsilon_of
from privacy.door import ServerDoor
from privacy.query import NoiseKind, TrustModel
from privacy.release import LEDGER_UNUSABLE, Answer, ClippedSum, Refusal, Release
from privacy.signing import is_signed
from simulations.in_process_grid import InProcessGrid
from strategies.clustering import Clustering
from strategies.federated_kmeans import SLACK_SECONDS, FederatedKMeans, StrategyError
from strategies.messages import answer_to_records, records_to_request
from strategies.phases.calibration import Mean
from strategies.phases.experiment import Asked, Feedback
from strategies.plan import plan, planned_releases
from strategies.questions import Request
from tests.privacy.examples import a_ledger, a_noise
from tests.strategies.examples import a_head, a_key, signed

Respond = Callable[[Request, int], RecordDict]


def strategy_over(known: Clustering, n_clients: int = 2, **more: Any) -> FederatedKMeans:
    settings: dict[str, Any] = {"trust_model": TrustModel.LOCAL, "wait_seconds": 0.3} | more
    return FederatedKMeans(
        known=known, phases=plan(), epsilon=4.0, delta=1e-6, n_clients=n_clients, **settings
    )


def release_for(request: Request, region: str, *, value: float = 1.0, **changes: Any) -> Release:
    """Return what ``region`` answers, signed by it."""
    query = request.query()
    release = Release(
        region=region,
        run=request.run,
        round_number=request.round_number,
        purpose=request.purpose,
        window="2026-01-01/2027-01-01",
        sums={
            block.name: np.full((block.cells, block.width), value, np.float32)
            for block in query.blocks
        },
        sensitivity=query.sensitivity,
        sigma=query.sigma,
        noise=NoiseKind.SEEDED,
        entry=1,
    )
    return signed(replace(release, **changes))


def clipped_for(request: Request, region: str, *, people: int = 10, **changes: Any) -> ClippedSum:
    """Return the exact answer of so many ``people`` at one point, signed by their region."""
    query = request.query()
    exact = ClippedSum(
        region=region,
        run=request.run,
        round_number=request.round_number,
        purpose=request.purpose,
        window="2026-01-01/2027-01-01",
        sums={
            block.name: np.full(
                (block.cells, block.width),
                people * round(block.clipping_norm / query.step / block.width**0.5),
                np.int64,
            )
            for block in query.blocks
        },
        sensitivity=query.sensitivity,
        sigma=query.sigma,
        entry=1,
    )
    return signed(replace(exact, **changes))


def refusal_for(request: Request, region: str, reason: str = "budget-exhausted") -> Refusal:
    return Refusal(
        region=region,
        run=request.run,
        round_number=request.round_number,
        purpose=request.purpose,
        reason=reason,
        sentence="Enough.",
    )


def window_at(node: int) -> str:
    return f"202{node}-01-01/202{node + 1}-01-01"


def first_round(strategy: FederatedKMeans, respond: Respond) -> list[Request]:
    """Play the first round with two clients; ``respond`` makes each one's reply.

    Return the requests as the clients received them.
    """
    clients, asked = ClientApp(), []

    @clients.train()
    def reply(message: Message, context: Context) -> Message:
        asked.append(records_to_request(message.content))
        return Message(respond(asked[-1], context.node_id), reply_to=message)

    grid = InProcessGrid(clients, [{}, {}])
    messages = strategy.configure_train(1, strategy.initial_arrays(), ConfigRecord(), grid)
    strategy.aggregate_train(1, grid.send_and_receive(messages))
    return asked


def answer(request: Request, node: int) -> RecordDict:
    return answer_to_records(release_for(request, f"region-{node}"))


def refusal(request: Request, node: int) -> Answer:
    return signed(refusal_for(request, f"region-{node}"))


def with_one_answer_changed(change: Callable[[Release], Answer]) -> Respond:
    """Let the second region's answer be changed after it was signed."""

    def respond(request: Request, node: int) -> RecordDict:
        honest = release_for(request, f"region-{node}")
        return answer_to_records(change(honest) if node == 3 else honest)

    return respond


def assert_one_of_two_is_left_out(strategy: FederatedKMeans) -> None:
    assert (strategy.history[0].answered, strategy.history[0].malformed) == (1, 1)
    assert np.isfinite(strategy.known.mean).all()


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


def test_an_experiment_that_no_region_runs_does_not_stop_the_run(
    known: Clustering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)
    strategy = strategy_over(known)
    asked = Asked(name="lists", arms=("plain", "varied"), window_days=30.0, dwell_cap=60.0)
    strategy.phases[0] = Feedback("mean", strategy.phases[0].share, asked)
    first_round(strategy, lambda request, node: answer_to_records(refusal(request, node)))
    assert known.experiment is None
    assert "No region answered phase 'mean' (budget-exhausted). The run goes on" in caplog.text
    assert len(strategy.history[0].refusals) == 2


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
        narrow = {name: array[:, :1] for name, array in honest.sums.items()}
        return answer_to_records(signed(replace(honest, sums=narrow)) if node == 3 else honest)

    first_round(strategy, respond)
    assert_one_of_two_is_left_out(strategy)


def test_answer_to_another_round_is_left_out(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(
        strategy,
        with_one_answer_changed(lambda honest: signed(replace(honest, round_number=7))),
    )
    assert_one_of_two_is_left_out(strategy)


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
        ("sensitivity", 0.5),
        ("purpose", "items"),
        ("run", "another"),
    ],
)
def test_release_that_says_something_else_than_was_asked_is_left_out(
    known: Clustering, key: str, value: Any
) -> None:
    """Its region has signed it all the same."""
    strategy = strategy_over(known)
    first_round(
        strategy, with_one_answer_changed(lambda honest: signed(replace(honest, **{key: value})))
    )
    assert_one_of_two_is_left_out(strategy)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sigma", "wide"),
        ("region", 5),
        ("entry", "first"),
        ("noise", "none"),
        ("type", "Gift"),
        ("head.sequence", "first"),
        ("head.colour", "red"),
        ("signature", 5),
        ("window", 2026),
    ],
)
def test_an_answer_that_cannot_be_read_is_left_out(known: Clustering, key: str, value: Any) -> None:
    strategy = strategy_over(known)

    def respond(request: Request, node: int) -> RecordDict:
        records = answer(request, node)
        if node == 3:
            records.config_records["answer"][key] = value
        return records

    first_round(strategy, respond)
    assert_one_of_two_is_left_out(strategy)


def one_more_user(release: Release) -> Release:
    return replace(
        release, sums={name: array + np.float32(1) for name, array in release.sums.items()}
    )


def another_entry(release: Release) -> Release:
    return replace(release, entry=2)


def another_window(release: Release) -> Release:
    return replace(release, window="2027-01-01/2028-01-01")


def stronger_noise(release: Release) -> Release:
    return replace(release, noise=NoiseKind.DISCRETE)


def another_region(release: Release) -> Release:
    return replace(release, region="region-9")


def exchanged_head(release: Release) -> Release:
    return replace(release, head=a_head(release.region, 5))


def another_regions_head(release: Release) -> Release:
    return replace(release, head=a_head("region-2"))


def no_signature(release: Release) -> Release:
    return replace(release, signature="")


def no_head(release: Release) -> Release:
    return replace(release, head=None, signature="")


def refused_instead(release: Release) -> Refusal:
    return Refusal(
        region=release.region,
        run=release.run,
        round_number=release.round_number,
        purpose=release.purpose,
        reason="budget-exhausted",
        sentence="Enough.",
        head=release.head,
        signature=release.signature,
    )


@pytest.mark.parametrize(
    "change",
    [
        one_more_user,
        another_entry,
        another_window,
        stronger_noise,
        another_region,
        exchanged_head,
        another_regions_head,
        no_signature,
        no_head,
        refused_instead,
    ],
    ids=lambda change: change.__name__,
)
def test_an_answer_that_was_changed_on_the_way_is_left_out_and_the_others_go_on(
    known: Clustering, change: Callable[[Release], Answer]
) -> None:
    strategy = strategy_over(known)
    first_round(strategy, with_one_answer_changed(change))
    assert_one_of_two_is_left_out(strategy)
    assert strategy.history[0].refusals == []
    assert [head.region for head in strategy.heads] == ["region-2"]
    assert (strategy.windows, strategy.noises) == ({"2026-01-01/2027-01-01"}, {NoiseKind.SEEDED})


def test_why_an_answer_is_left_out_is_in_the_servers_log(
    known: Clustering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)
    first_round(strategy_over(known), with_one_answer_changed(another_entry))
    assert "An answer of 'region-3' is left out: its signature is wrong" in caplog.text


def test_answers_of_other_ledgers_than_before_are_left_out(known: Clustering) -> None:
    """One region has another key now, the other a ledger that went back."""
    strategy = strategy_over(known)
    strategy.heads.objection(signed(refusal_at("region-2"), key=a_key("the region before")))
    strategy.heads.objection(signed(refusal_at("region-3"), 9))
    with pytest.raises(StrategyError, match="No region answered"):
        first_round(strategy, answer)
    assert strategy.history[0].malformed == 2


def refusal_at(region: str) -> Refusal:
    return Refusal(
        region=region, run="run-1", round_number=0, purpose="", reason="any", sentence="Any."
    )


def test_a_refusal_for_an_unusable_ledger_counts_although_it_is_not_signed(
    known: Clustering,
) -> None:
    strategy = strategy_over(known)

    def respond(request: Request, node: int) -> RecordDict:
        bare = refusal_for(request, f"region-{node}", LEDGER_UNUSABLE)
        return answer(request, node) if node == 2 else answer_to_records(bare)

    first_round(strategy, respond)
    assert [one.reason for one in strategy.history[0].refusals] == [LEDGER_UNUSABLE]
    assert strategy.history[0].malformed == 0


def test_another_refusal_that_is_not_signed_is_left_out(known: Clustering) -> None:
    strategy = strategy_over(known)

    def respond(request: Request, node: int) -> RecordDict:
        bare = refusal_for(request, f"region-{node}")
        return answer(request, node) if node == 2 else answer_to_records(bare)

    first_round(strategy, respond)
    assert strategy.history[0].refusals == []
    assert_one_of_two_is_left_out(strategy)


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
    assert known.starts_from_public
    assert known.fallback is not None
    assert "the centroids are the catalogue's" in known.fallback


def test_a_region_that_answers_twice_counts_once(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(strategy, lambda request, node: answer_to_records(release_for(request, "region-2")))
    assert (strategy.history[0].answered, strategy.history[0].malformed) == (1, 1)


class UnreadableRequestError(Exception):
    """As a client of another version raises it."""


@pytest.mark.parametrize(
    ("fails", "reason", "words"),
    [
        (UnreadableRequestError("x"), "request-unreadable", "another version of this program"),
        (ValueError("anna"), "client-failed", "failed with ValueError"),
        (None, "answer-unreadable", "cannot read: it runs another version"),
    ],
)
def test_replies_that_are_no_answer_are_explained_to_the_server(
    known: Clustering,
    caplog: pytest.LogCaptureFixture,
    fails: Exception | None,
    reason: str,
    words: str,
) -> None:
    def respond(request: Request, node: int) -> RecordDict:
        if fails is not None:
            raise fails
        records = answer(request, node)
        records.config_records["answer"]["type"] = "Prophecy"
        return records

    strategy = strategy_over(known)
    caplog.set_level(logging.WARNING, logger="flwr")
    logging.getLogger("flwr").addHandler(caplog.handler)
    try:
        with pytest.raises(StrategyError, match=reason):
            first_round(strategy, respond)
    finally:
        logging.getLogger("flwr").removeHandler(caplog.handler)
    assert words in caplog.text
    assert "anna" not in caplog.text


def test_missing_regions_are_waited_for_and_then_named(known: Clustering) -> None:
    strategy = strategy_over(known, n_clients=3)
    with pytest.raises(StrategyError, match="2 of 3 regions are connected"):
        first_round(strategy, answer)


def test_plan_spends_exactly_the_epsilon_asked_for(known: Clustering) -> None:
    strategy = strategy_over(known)
    events = [GaussianEvent(1.0, multiplier) for multiplier in strategy.multipliers.values()]
    spent = epsilon_of(compose(events, Adjacency.ADD_OR_REMOVE_ONE), 1e-6)
    assert 3.9999 < spent <= 4.0


def test_the_noise_is_what_the_plan_told_beforehand(known: Clustering) -> None:
    told = {
        release.purpose: release.noise_multiplier for release in planned_releases(4.0, 1e-6, plan())
    }
    assert strategy_over(known).multipliers == told


def test_requests_say_how_many_regions_are_asked(known: Clustering) -> None:
    """All that are connected, not only those that are waited for."""
    asked = first_round(strategy_over(known, n_clients=1), answer)
    assert [request.participants for request in asked] == [2, 2]


def test_requests_are_signed_with_the_servers_key(known: Clustering) -> None:
    key = a_key("server")
    for request in first_round(strategy_over(known, signing_key=key), answer):
        fingerprint = request.query().signed_message()
        assert request.server_key == key.public
        assert is_signed(fingerprint, request.signature, key.public)


def test_without_a_key_requests_are_not_signed(known: Clustering) -> None:
    for request in first_round(strategy_over(known), answer):
        assert (request.server_key, request.signature) == ("", "")


def test_a_rounds_step_is_that_of_its_lattice(known: Clustering) -> None:
    strategy = strategy_over(known)
    (request, _) = first_round(strategy, answer)
    assert strategy.history[0].step == request.query().step
    assert request.query().blocks == Mean("mean", 1.0).ask(known).blocks()


def test_windows_and_heads_of_a_run_are_those_of_its_answers(known: Clustering) -> None:
    strategy = strategy_over(known)
    first_round(
        strategy,
        lambda request, node: answer_to_records(
            release_for(request, f"region-{node}", window=window_at(node))
        ),
    )
    assert strategy.windows == {window_at(2), window_at(3)}
    assert list(strategy.heads) == [a_head("region-2"), a_head("region-3")]


@pytest.mark.parametrize(
    ("kinds", "weakest"),
    [
        ((NoiseKind.DISCRETE, NoiseKind.DISCRETE), NoiseKind.DISCRETE),
        ((NoiseKind.DISCRETE, NoiseKind.FLOAT), NoiseKind.FLOAT),
        ((NoiseKind.SEEDED, NoiseKind.FLOAT), NoiseKind.SEEDED),
        ((NoiseKind.SEEDED, NoiseKind.DISCRETE), NoiseKind.SEEDED),
    ],
)
def test_of_different_noises_the_weakest_is_told(
    known: Clustering, kinds: tuple[NoiseKind, NoiseKind], weakest: NoiseKind
) -> None:
    strategy = strategy_over(known)
    first_round(
        strategy,
        lambda request, node: answer_to_records(
            release_for(request, f"region-{node}", noise=kinds[node - 2])
        ),
    )
    assert strategy.noises == set(kinds)
    assert strategy.noise_kind is weakest


def central(known: Clustering, folder: Path, noise: NoiseKind) -> FederatedKMeans:
    door = ServerDoor(a_ledger(folder, region="server"), a_noise(noise))
    return strategy_over(known, trust_model=TrustModel.CENTRAL, server_door=door)


@pytest.mark.parametrize("noise", list(NoiseKind))
def test_under_central_the_noise_is_the_servers_and_the_windows_are_the_regions(
    known: Clustering, tmp_path: Path, noise: NoiseKind
) -> None:
    strategy = central(known, tmp_path, noise)
    first_round(
        strategy,
        lambda request, node: answer_to_records(
            clipped_for(request, f"region-{node}", people=50_000, window=window_at(node))
        ),
    )
    assert strategy.history[0].answered == 2
    assert strategy.noise_kind is noise
    assert strategy.windows == {window_at(2), window_at(3)}
    assert known.users == pytest.approx(100_000, rel=0.01)


@pytest.mark.parametrize("most", [2**62, -(2**62), -(2**63)])
def test_under_central_sums_that_no_number_of_users_could_give_are_left_out(
    known: Clustering, tmp_path: Path, most: int
) -> None:
    strategy = central(known, tmp_path, NoiseKind.SEEDED)

    def respond(request: Request, node: int) -> RecordDict:
        honest = clipped_for(request, f"region-{node}")
        huge = {name: np.full_like(array, most) for name, array in honest.sums.items()}
        return answer_to_records(signed(replace(honest, sums=huge)) if node == 3 else honest)

    first_round(strategy, respond)
    assert_one_of_two_is_left_out(strategy)


@pytest.mark.parametrize("asked", list(TrustModel))
def test_an_answer_under_another_trust_model_is_left_out(
    known: Clustering, tmp_path: Path, asked: TrustModel
) -> None:
    is_local = asked is TrustModel.LOCAL
    strategy = strategy_over(known) if is_local else central(known, tmp_path, NoiseKind.SEEDED)

    def respond(request: Request, node: int) -> RecordDict:
        region = f"region-{node}"
        noised, exact = release_for(request, region), clipped_for(request, region)
        return answer_to_records(noised if is_local is (node == 2) else exact)

    first_round(strategy, respond)
    assert_one_of_two_is_left_out(strategy)


def sign_in(strategy: FederatedKMeans, *regions: str) -> dict[str, str]:
    """Let these regions be the ones that are enrolled; return their keys, to be changed."""
    keys = {region: a_key(region).public for region in regions}
    strategy.known_regions = lambda: dict(keys)
    return keys


def test_answers_of_enrolled_regions_are_used(known: Clustering) -> None:
    strategy = strategy_over(known)
    sign_in(strategy, "region-2", "region-3")
    first_round(strategy, answer)
    assert (strategy.history[0].answered, strategy.history[0].malformed) == (2, 0)


def test_who_is_not_enrolled_is_left_out_and_leaves_no_head(
    known: Clustering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)
    strategy = strategy_over(known)
    sign_in(strategy, "region-2")
    first_round(strategy, answer)
    assert_one_of_two_is_left_out(strategy)
    assert [head.region for head in strategy.heads] == ["region-2"]
    assert "'region-3' is left out: no region of this name is enrolled" in caplog.text


def test_an_enrolled_name_with_another_key_is_left_out_and_the_region_itself_is_not(
    known: Clustering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The impostor's answer comes first: without the record its key would be the region's."""
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)
    strategy = strategy_over(known)
    sign_in(strategy, "region-3")

    def respond(request: Request, node: int) -> RecordDict:
        honest = release_for(request, "region-3")
        forged = signed(honest, key=a_key("somebody else"))
        return answer_to_records(forged if node == 2 else honest)

    first_round(strategy, respond)
    assert_one_of_two_is_left_out(strategy)
    assert list(strategy.heads) == [a_head("region-3")]
    assert "another key than the region enrolled with" in caplog.text


def test_a_refusal_in_an_unknown_name_is_left_out(known: Clustering) -> None:
    strategy = strategy_over(known)
    sign_in(strategy, "region-2")

    def respond(request: Request, node: int) -> RecordDict:
        bare = refusal_for(request, f"region-{node}", LEDGER_UNUSABLE)
        return answer(request, node) if node == 2 else answer_to_records(bare)

    first_round(strategy, respond)
    assert strategy.history[0].refusals == []
    assert_one_of_two_is_left_out(strategy)


def test_a_region_that_was_revoked_counts_no_longer_from_the_next_question_on(
    known: Clustering,
) -> None:
    strategy = strategy_over(known)
    keys = sign_in(strategy, "region-2", "region-3")
    first_round(strategy, answer)
    del keys["region-3"]
    clients = ClientApp()

    @clients.train()
    def reply(message: Message, context: Context) -> Message:
        asked = records_to_request(message.content)
        release = signed(release_for(asked, f"region-{context.node_id}"), 6)
        return Message(answer_to_records(release), reply_to=message)

    grid = InProcessGrid(clients, [{}, {}])
    messages = strategy.configure_train(2, strategy.initial_arrays(), ConfigRecord(), grid)
    strategy.aggregate_train(2, grid.send_and_receive(messages))
    found = [(record.answered, record.malformed) for record in strategy.history]
    assert found == [(2, 0), (1, 1)]


def test_one_key_under_two_names_counts_once(known: Clustering) -> None:
    strategy = strategy_over(known)
    key = a_key("one for both")
    first_round(
        strategy,
        lambda request, node: answer_to_records(
            signed(release_for(request, f"region-{node}"), key=key)
        ),
    )
    assert_one_of_two_is_left_out(strategy)
    assert [head.region for head in strategy.heads] == ["region-2"]


def test_a_question_is_good_for_little_longer_than_its_answers_are_waited_for(
    known: Clustering,
) -> None:
    for round_seconds, ttl in ((30.0, 30.0 + SLACK_SECONDS), (None, DEFAULT_TTL)):
        strategy = strategy_over(known, round_seconds=round_seconds)
        grid = InProcessGrid(ClientApp(), [{}, {}])
        (one, _) = strategy.configure_train(1, strategy.initial_arrays(), ConfigRecord(), grid)
        assert one.metadata.ttl == ttl


@pytest.mark.parametrize(
    "code", [ErrorCode.MESSAGE_UNAVAILABLE, ErrorCode.REPLY_MESSAGE_UNAVAILABLE]
)
def test_what_flower_says_of_a_late_answer_counts_as_late_and_other_errors_as_unusable(
    known: Clustering, code: int
) -> None:
    strategy = strategy_over(known, n_clients=3)
    clients = ClientApp()

    @clients.train()
    def reply(message: Message, context: Context) -> Message:
        asked = records_to_request(message.content)
        if context.node_id == 2:
            return Message(answer(asked, 2), reply_to=message)
        return Message(RecordDict(), reply_to=message)

    grid = InProcessGrid(clients, [{}, {}, {}])
    asked = list(strategy.configure_train(1, strategy.initial_arrays(), ConfigRecord(), grid))
    good, late, failed = grid.send_and_receive(asked)
    errors = (Error(code, "unavailable"), Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "E"))
    replies = [
        Message(error, reply_to=one) for error, one in zip(errors, (late, failed), strict=True)
    ]
    strategy.aggregate_train(1, [good, *replies])
    record = strategy.history[0]
    assert (record.answered, record.malformed, record.late) == (1, 1, 1)
