"""What a malicious server asks for, over the wire, and what a region does: it refuses.

The region is real (files, ledger, door, ClientApp, Flower messages); the server
has an honest server's key where it says so, so that only the rule in question
stands between it and the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import ConfigRecord, Message, RecordDict

from client.app import app
from client.region import Region
from privacy.ledger import REFUSALS_A_DAY
from privacy.ledger_check import read_account, verify_ledger
from privacy.query import TrustModel
from privacy.release import Answer, Refusal, Release
from privacy.signing import SigningKey
from simulations.in_process_grid import FIRST_NODE_ID, InProcessGrid
from strategies.messages import records_to_answer, request_to_records
from strategies.questions import CellSums, Request
from tests.client.examples import a_region, a_request, cell_sums
from tests.strategies.examples import distance_histogram

SERVER = SigningKey(Ed25519PrivateKey.generate())
STRANGER = SigningKey(Ed25519PrivateKey.generate())
PLANNED = 3
"""Rounds that the budget is meant for."""
SIGMA = 5.0
LATER, LONG_AGO = 4_000_000_000, 1_400_000_000
"""In seconds since 1970: the years 2096 and 2014."""
RULES: dict[str, Any] = {
    "budget": {"epsilon": 1.9, "lifetime-epsilon": 1.9},
    "answers": {
        "questions": ["cell-sums"],
        "least-noise-multiplier": 4.0,
        "largest-clipping-norm": 1.0,
        "fewest-participants": 3,
    },
    "trusted": {"server-keys": [SERVER.public]},
}

pytestmark = pytest.mark.usefixtures("fake_encoder")


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return a_region(tmp_path, policy=RULES)


def asked(
    region: Region, key: SigningKey | None = SERVER, *, expires: int = LATER, **changes: Any
) -> Request:
    request = a_request(region, **({"sigma": SIGMA, "participants": 8} | changes))
    return request.signed(key, expires=expires) if key else request


def send(region: Region, records: RecordDict, run_config: dict[str, Any] | None = None) -> Answer:
    settings = region.settings.policy.parent / "agent.toml"
    grid = InProcessGrid(app, [{"agent-settings": str(settings)}])
    grid.contexts[FIRST_NODE_ID].run_config.update(run_config or {})
    (reply,) = grid.send_and_receive([Message(records, FIRST_NODE_ID, "train")])
    assert not reply.has_error(), reply.error
    return records_to_answer(reply.content)


def spend_the_plan(region: Region) -> list[Answer]:
    """Let the honest server ask all that was planned."""
    requests = [asked(region, round_number=n) for n in range(1, PLANNED + 1)]
    answers = [send(region, request_to_records(request)) for request in requests]
    assert {type(answer) for answer in answers} == {Release}
    return answers


def wide(radius: float) -> CellSums:
    return replace(cell_sums(), radius=radius)


DEMANDS: dict[str, tuple[Callable[[Region], Request], str]] = {
    "one more round": (lambda region: asked(region, round_number=PLANNED + 1), "budget-exhausted"),
    "one more round of another run": (
        lambda region: asked(region, run="run-2"),
        "budget-exhausted",
    ),
    "less noise": (
        lambda region: asked(region, round_number=9, sigma=4.0),
        "too-little-noise",
    ),
    "hardly any noise": (
        lambda region: asked(region, round_number=9, sigma=0.01),
        "too-little-noise",
    ),
    "larger clipping norm": (
        lambda region: asked(region, round_number=9, question=wide(2.0), sigma=50.0),
        "clipping-norm-too-large",
    ),
    "fewer participants": (
        lambda region: asked(region, round_number=9, participants=2),
        "too-few-participants",
    ),
    "another encoder": (
        lambda region: asked(region, round_number=9, encoder="its own"),
        "another-encoder",
    ),
    "another query": (
        lambda region: asked(
            region,
            round_number=9,
            question=distance_histogram(np.zeros((1, 4), np.float32), bins=4),
        ),
        "question-not-allowed",
    ),
    "central trust": (
        lambda region: asked(region, round_number=9, trust_model=TrustModel.CENTRAL),
        "trust-model-not-allowed",
    ),
    "the same round with another question": (
        lambda region: asked(region, question=wide(0.5)),
        "another-question-in-this-round",
    ),
    "the same round with more noise": (
        lambda region: asked(region, sigma=2 * SIGMA),
        "another-question-in-this-round",
    ),
    "not signed": (lambda region: asked(region, None, round_number=9), "server-not-trusted"),
    "signed by a stranger": (
        lambda region: asked(region, STRANGER, round_number=9),
        "server-not-trusted",
    ),
    "a stranger in a trusted name": (
        lambda region: replace(asked(region, STRANGER, round_number=9), server_key=SERVER.public),
        "signature-wrong",
    ),
    "good for ever": (lambda region: asked(region, round_number=9, expires=0), "no-expiry"),
    "an old request, for the first time": (
        lambda region: asked(region, round_number=9, expires=LONG_AGO),
        "expired",
    ),
    "an answered request, when it is old": (
        lambda region: asked(region, expires=LONG_AGO),
        "expired",
    ),
    "a signed request, changed on the way": (
        lambda region: replace(asked(region, round_number=9), sigma=4.5),
        "signature-wrong",
    ),
}


@pytest.mark.parametrize("demand", DEMANDS)
def test_demand_is_refused_with_its_reason_and_costs_nothing(region: Region, demand: str) -> None:
    spend_the_plan(region)
    before = read_account(region.settings.ledger)
    make, reason = DEMANDS[demand]
    answer = send(region, request_to_records(make(region)))
    assert isinstance(answer, Refusal)
    assert answer.reason == reason
    assert answer.is_genuine
    after = read_account(region.settings.ledger)
    assert after.entries == before.entries
    assert after.answers == before.answers
    assert [refusal.reason for refusal in after.refusals] == [reason]
    assert verify_ledger(region.settings.ledger).holds


def test_same_round_asked_twice_gets_the_same_bytes_and_one_charge(region: Region) -> None:
    first, *_ = spend_the_plan(region)
    again = send(region, request_to_records(asked(region)))
    assert again.to_bytes() == first.to_bytes()
    assert again.signature == first.signature
    assert len(read_account(region.settings.ledger).entries) == PLANNED


def test_seeded_noise_is_the_clients_own_affair_and_its_policy_forbids_it(tmp_path: Path) -> None:
    answers = RULES["answers"] | {"noise-kinds": ["discrete"]}
    region = a_region(tmp_path, policy=RULES | {"answers": answers})  # its agent has seeded noise
    answer = send(region, request_to_records(asked(region)))
    assert isinstance(answer, Refusal)
    assert answer.reason == "noise-kind-not-allowed"
    assert read_account(region.settings.ledger).entries == {}


OVERRIDES: dict[str, Any] = {
    "privacy.epsilon": 1000.0,
    "budget.epsilon": 1000.0,
    "answers.least-noise-multiplier": 0.01,
    "answers.largest-clipping-norm": 1000.0,
    "answers.fewest-participants": 1,
    "answers.trust-models": "central",
    "answers.noise-kinds": "seeded",
    "answers.questions": "distance-histogram",
    "trusted.server-keys": STRANGER.public,
    "trusted.encoders": "its own",
    "noise": "seeded",
    "policy": "policy-of-the-server.toml",
    "agent-settings": "agent-of-the-server.toml",
}


@pytest.mark.parametrize("demand", DEMANDS)
def test_run_config_overrides_nothing(region: Region, demand: str) -> None:
    spend_the_plan(region)
    make, reason = DEMANDS[demand]
    answer = send(region, request_to_records(make(region)), OVERRIDES)
    assert isinstance(answer, Refusal)
    assert answer.reason == reason
    assert len(read_account(region.settings.ledger).entries) == PLANNED


@pytest.mark.parametrize(
    "more",
    [
        {"noise": "seeded"},
        {"epsilon": 1000.0},
        {"policy": "none"},
        {"seed": 1},
        {"least-noise-multiplier": 0.0},
    ],
)
def test_words_beside_the_question_change_nothing(region: Region, more: dict[str, Any]) -> None:
    spend_the_plan(region)
    records = request_to_records(asked(region, round_number=PLANNED + 1))
    records["more"] = ConfigRecord(more)
    request = records.config_records["request"]
    for key, value in more.items():
        request[key] = value
    answer = send(region, records)
    assert isinstance(answer, Refusal)
    assert answer.reason == "budget-exhausted"
    assert len(read_account(region.settings.ledger).entries) == PLANNED


def test_run_that_asks_for_ever_is_stopped(tmp_path: Path) -> None:
    budget = {"epsilon": 100.0, "lifetime-epsilon": 100.0}
    answers = RULES["answers"] | {"most-releases-per-run": 4}
    region = a_region(tmp_path, policy=RULES | {"budget": budget, "answers": answers})
    kinds = [
        type(send(region, request_to_records(asked(region, round_number=number))))
        for number in range(1, 8)
    ]
    assert kinds == [Release] * 4 + [Refusal] * 3
    assert read_account(region.settings.ledger).refusals[-1].reason == "too-many-releases"


def test_strangers_wrong_guesses_do_not_hide_other_refusals(region: Region) -> None:
    for number in range(REFUSALS_A_DAY + 5):
        stranger = asked(region, None, round_number=number, encoder="its own")
        send(region, request_to_records(stranger))
    send(region, request_to_records(asked(region, sigma=0.01)))
    reasons = [refusal.reason for refusal in read_account(region.settings.ledger).refusals]
    assert reasons[0] == "server-not-trusted"
    assert reasons[-1] == "too-little-noise"
