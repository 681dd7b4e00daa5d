"""A whole run tells canaries no better than its budget allows, and the attack would see more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privacy.door
from client.contributions import contributions_to
from client.vector_users import VectorUsers
from privacy.accountant import mu_of
from privacy.clipping import clipped_sum
from privacy.query import FloatArray, IntArray, NoiseKind, SumQuery, TrustModel
from privacy.release import Release
from simulations import pipeline_audit as module
from simulations.canary_attack import Answered, evidence
from simulations.pipeline_audit import PipelineAudit, audit_pipeline
from strategies.questions import CellSums, Question, Request, SecondMoments


def audit(
    epsilon: float = 4.0, seed: int = 1, noise: NoiseKind = NoiseKind.SEEDED
) -> PipelineAudit:
    return audit_pipeline(epsilon=epsilon, seed=seed, users=600, dim=24, canaries=120, noise=noise)


DELTA = 1e-6


@pytest.fixture(scope="module")
def audited() -> PipelineAudit:
    return audit()


def test_bound_is_at_most_what_the_run_claims(audited: PipelineAudit) -> None:
    assert 0 <= audited.epsilon <= audited.claimed == 4.0
    assert audited.consistent
    assert audited.correct <= audited.guesses <= audited.canaries == 120


def test_power_is_told_beside_it(audited: PipelineAudit) -> None:
    assert 0 < audited.expected < audited.claimed
    assert audited.confidence == 0.95


def test_canaries_are_exposed_to_most_of_the_budget_and_to_no_more(
    audited: PipelineAudit,
) -> None:
    assert 0.7 < audited.exposure <= 1.0


def test_a_seed_repeats_the_run(audited: PipelineAudit) -> None:
    again = audit()
    assert (again.correct, again.epsilon) == (audited.correct, audited.epsilon)


def test_discrete_noise_is_attacked_in_the_same_way() -> None:
    assert audit(noise=NoiseKind.DISCRETE).consistent


def test_almost_no_noise_tells_every_canary() -> None:
    found = audit(epsilon=1e5, seed=2)
    assert found.correct == found.guesses
    assert found.epsilon == pytest.approx(found.expected, abs=1e-6)


def test_a_run_without_the_noise_that_it_claims_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hardly_any(query: SumQuery, totals: dict[str, IntArray], *_: Any, **more: Any) -> Any:
        return {name: (part * query.step).astype(np.float32) for name, part in totals.items()}

    monkeypatch.setattr(privacy.door, "add_noise", hardly_any)
    found = audit(epsilon=1.0)
    assert not found.consistent
    assert found.epsilon > 1.5


# The evidence, against what is known of it.


def vectors(n: int, seed: int, dim: int = 5) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(0.99 * rows / lengths, dtype=np.float32)


def questions() -> list[Question]:
    origin, basis = np.zeros(5, np.float32), np.zeros((5, 0), np.float32)
    centres = vectors(3, seed=9)
    return [
        CellSums(origin=origin, basis=basis, centres=centres, radius=0.5, count_weight=0.4),
        SecondMoments(origin=origin, basis=basis, radius=0.8),
    ]


def answered(question: Question, users: FloatArray, sigma: float) -> Answered:
    """Answer exactly, as if the noise had been 0."""
    request = Request(
        run="run",
        round_number=1,
        purpose="test",
        trust_model=TrustModel.LOCAL,
        sigma=sigma,
        encoder="",
        catalogue="",
        question=question,
    )
    query = request.query()
    parts = contributions_to(question, VectorUsers(users))
    sums = {
        block.name: (clipped_sum(query, block, parts[block.name]) * query.step).astype(np.float32)
        for block in query.blocks
    }
    release = Release(
        region="here",
        run="run",
        round_number=1,
        purpose="test",
        window="",
        sums=sums,
        sensitivity=query.sensitivity,
        sigma=sigma,
        noise=NoiseKind.SEEDED,
        entry=1,
    )
    return Answered(request, release)


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.kind)
def test_without_noise_the_evidence_is_the_coins_themselves(question: Question) -> None:
    canaries, others = vectors(4, seed=1), vectors(50, seed=2)
    included = np.array([True, False, False, True])
    users = np.vstack([others, canaries[included]])
    found = evidence([answered(question, users, sigma=1e-3)], canaries, others)
    np.testing.assert_allclose(found.scores + 0.5, included, atol=0.05)


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.kind)
def test_nobody_is_exposed_to_more_than_the_sensitivity(question: Question) -> None:
    canaries, others = vectors(20, seed=1), vectors(10, seed=2)
    one = answered(question, others, sigma=3.0)
    found = evidence([one, one], canaries, others)
    most = one.request.query().sensitivity / 3.0 * 2**0.5
    assert (found.mu <= most * (1 + 1e-9)).all()
    assert found.mu.max() > 0.95 * most


def test_canaries_are_long_and_far_from_each_other() -> None:
    rng = np.random.default_rng(0)
    canaries = module._canaries(rng, 40, 16)
    assert np.linalg.norm(canaries, axis=1) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(canaries[:16] @ canaries[:16].T, np.eye(16), atol=1e-5)


def test_claim_is_the_budgets() -> None:
    assert mu_of(4.0, DELTA) == pytest.approx(0.8379, abs=1e-4)
