"""Noise is added to the sum, with the query's sigma, and its randomness is what is promised."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from opacus.optimizers import DPOptimizerFastGradientClipping

from privacy import mechanism
from privacy.mechanism import NoiseSource, add_noise, generator_from
from privacy.query import FloatArray, IntArray, NoiseKind, SumQuery
from tests.privacy.examples import a_block, a_noise, a_query

KINDS = pytest.mark.parametrize("kind", NoiseKind)
UNSEEDED = pytest.mark.parametrize("kind", [NoiseKind.DISCRETE, NoiseKind.FLOAT])
TWO_BLOCKS = a_query(
    a_block(cells=30, width=20, clipping_norm=0.6),
    a_block("counts", cells=30, width=1, clipping_norm=0.8),
    sigma=2.0,
)


def zeros(query: SumQuery) -> dict[str, IntArray]:
    return {block.name: np.zeros((block.cells, block.width), np.int64) for block in query.blocks}


def noise_of(
    query: SumQuery, source: NoiseSource, *, owner: str = "north", entry: int = 1
) -> dict[str, FloatArray]:
    return add_noise(query, zeros(query), source, owner=owner, entry=entry)


def flat(noise: dict[str, FloatArray]) -> npt.NDArray[np.float64]:
    return np.concatenate([part.ravel() for part in noise.values()]).astype(np.float64)


def state_words(generator: torch.Generator) -> npt.NDArray[np.uint64]:
    """Return the 624 words of a Mersenne Twister."""
    return generator.get_state().numpy()[24 : 24 + 8 * 624].copy().view(np.uint64)


@KINDS
def test_answer_has_the_blocks_names_shapes_and_single_precision(kind: NoiseKind) -> None:
    noised = noise_of(TWO_BLOCKS, a_noise(kind))
    shapes = {name: (part.shape, part.dtype) for name, part in noised.items()}
    single = np.dtype(np.float32)
    assert shapes == {"sums": ((30, 20), single), "counts": ((30, 1), single)}


@KINDS
def test_noise_is_added_to_the_sum_in_the_unit_of_the_contributions(kind: NoiseKind) -> None:
    totals = zeros(TWO_BLOCKS)
    totals["sums"][:] = 1000 * np.arange(600).reshape(30, 20) * round(1 / TWO_BLOCKS.step)
    totals["counts"][:] = -(2**40)
    noised = add_noise(TWO_BLOCKS, totals, a_noise(kind), owner="north", entry=1)
    for name, part in noised.items():
        excess = part - totals[name] * TWO_BLOCKS.step
        assert np.abs(excess).max() < 8 * TWO_BLOCKS.sigma
        assert np.abs(excess).mean() > 0.1 * TWO_BLOCKS.sigma


@KINDS
def test_blocks_do_not_get_each_others_sums(kind: NoiseKind) -> None:
    query = a_query(a_block("b", cells=2, width=3), a_block("a", cells=3, width=1))
    totals = zeros(query)
    totals["a"][2, 0] = round(1e6 / query.step)
    noised = add_noise(query, totals, a_noise(kind), owner="north", entry=1)
    assert noised["a"][2, 0] == pytest.approx(1e6, rel=1e-3)
    assert np.abs(noised["a"][:2]).max() < 100
    assert np.abs(noised["b"]).max() < 100


@KINDS
def test_adding_noise_does_not_change_its_input(kind: NoiseKind) -> None:
    totals = zeros(TWO_BLOCKS)
    add_noise(TWO_BLOCKS, totals, a_noise(kind), owner="north", entry=1)
    assert not any(total.any() for total in totals.values())


@KINDS
@pytest.mark.parametrize("norm", [1e-6, 0.3, 1e6])
def test_noise_has_the_querys_sigma_whatever_the_clipping_norm(
    kind: NoiseKind, norm: float
) -> None:
    sigma = 1.7 * norm
    query = a_query(a_block(cells=100, width=40, clipping_norm=norm), sigma=sigma)
    found = flat(noise_of(query, a_noise(kind))).std()
    assert found == pytest.approx(sigma, rel=6 / np.sqrt(2 * 4000))


@UNSEEDED
def test_noise_without_a_seed_differs_each_time(kind: NoiseKind) -> None:
    one, other = (flat(noise_of(TWO_BLOCKS, NoiseSource(kind))) for _ in range(2))
    assert np.isin(one, other).mean() < 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 6 / np.sqrt(one.size)


def test_same_seed_owner_and_entry_give_the_same_noise() -> None:
    one, other = (flat(noise_of(TWO_BLOCKS, NoiseSource(NoiseKind.SEEDED, 3))) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("seed", "owner", "entry"),
    [
        (34, "north", 55),
        (33, "south", 55),
        (33, "north", 56),
        (33, "north/5", 5),
        (33, "north5", 5),
        (3, "3north", 55),
    ],
)
def test_another_seed_owner_or_entry_gives_other_noise(seed: int, owner: str, entry: int) -> None:
    usual = flat(noise_of(TWO_BLOCKS, NoiseSource(NoiseKind.SEEDED, 33), owner="north", entry=55))
    source = NoiseSource(NoiseKind.SEEDED, seed)
    other = flat(noise_of(TWO_BLOCKS, source, owner=owner, entry=entry))
    assert abs(np.corrcoef(usual, other)[0, 1]) < 5 / np.sqrt(usual.size)
    assert np.isin(usual, other).mean() < 0.01


def test_seeded_noise_scales_with_sigma_and_with_nothing_else() -> None:
    source = NoiseSource(NoiseKind.SEEDED, 3)
    usual, twice, longer = (
        flat(noise_of(a_query(a_block(clipping_norm=norm), sigma=sigma), source))
        for norm, sigma in ((1.0, 2.0), (1.0, 4.0), (100.0, 400.0))
    )
    np.testing.assert_allclose(twice, 2 * usual, rtol=1e-6)
    np.testing.assert_allclose(longer, 200 * usual, rtol=1e-6)


def test_float_noise_adds_up_four_samples_of_which_none_can_be_told_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secrets, "token_bytes", lambda size: b"same")
    generator = generator_from(b"same")
    torch.normal(0.0, 1.0, (1, 1), generator=generator, dtype=torch.float64)
    samples = [
        torch.normal(0.0, 2.0, (6,), generator=generator, dtype=torch.float64) for _ in range(4)
    ]
    expected = (torch.stack(samples).sum(dim=0) / 2).numpy()
    query = a_query(sigma=2.0)
    found = noise_of(query, NoiseSource(NoiseKind.FLOAT))["sums"]
    on_lattice = np.rint(expected / query.step) * query.step
    np.testing.assert_array_equal(found.ravel(), on_lattice.astype(np.float32))


@KINDS
def test_answers_stand_on_the_lattice(kind: NoiseKind) -> None:
    # With noise so small that single precision holds every number of steps.
    query = replace(TWO_BLOCKS, sigma=2.0**-5)
    steps = flat(noise_of(query, a_noise(kind))) / query.step
    np.testing.assert_array_equal(steps, np.rint(steps))
    assert (steps % 2 == 1).mean() == pytest.approx(0.5, abs=6 / np.sqrt(4 * steps.size))


def test_noise_leaves_torchs_precision_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    noise_of(TWO_BLOCKS, NoiseSource(NoiseKind.FLOAT))
    assert torch.get_default_dtype() is torch.float32
    monkeypatch.setattr(DPOptimizerFastGradientClipping, "pre_step", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        noise_of(TWO_BLOCKS, NoiseSource(NoiseKind.FLOAT))
    assert torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize("batch", [1, 7, 629, 630, 631])
def test_discrete_noise_is_drawn_anew_in_every_batch(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(mechanism, "BATCH", batch)
    total = 2**50 * np.arange(630)
    noise = mechanism._discrete(total, 2.0**40) - total
    assert np.abs(noise).max() < 8 * 2**40
    assert len(np.unique(noise)) == 630


@pytest.mark.parametrize("scale", [5.0, 2.0**25 / 3, 2.0**45])
def test_discrete_noise_is_a_whole_number_of_steps(scale: float) -> None:
    total = np.array([0, 7, -(2**50)], np.int64)
    noised = mechanism._discrete(total, scale)
    assert noised.dtype == np.int64
    assert (np.abs(noised - total) < 8 * scale + 1).all()


def test_discrete_answers_are_whole_steps_before_they_are_rounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[tuple[IntArray, float]] = []
    discrete = mechanism._discrete

    def watched(total: IntArray, scale: float) -> IntArray:
        drawn.append((discrete(total, scale), scale))
        return drawn[-1][0]

    monkeypatch.setattr(mechanism, "_discrete", watched)
    noise = noise_of(TWO_BLOCKS, NoiseSource())
    ((steps, scale),) = drawn  # one draw for the whole query
    assert scale == TWO_BLOCKS.sigma / TWO_BLOCKS.step
    assert len(np.unique(steps)) > 0.99 * steps.size
    np.testing.assert_array_equal(flat(noise), (steps * TWO_BLOCKS.step).astype(np.float32))


def test_discrete_noise_is_opendps_with_its_claim() -> None:
    # OpenDP's own map: rho = (sensitivity / scale)^2 / 2 in zCDP.
    measurement = mechanism._opendp_gaussian(20.0)
    assert measurement.map(5.0) == pytest.approx((5 / 20) ** 2 / 2)


def test_noise_is_discrete_unless_asked_otherwise() -> None:
    assert NoiseSource() == NoiseSource(NoiseKind.DISCRETE, None)


@UNSEEDED
def test_a_seed_for_other_noise_than_seeded_is_an_error(kind: NoiseKind) -> None:
    with pytest.raises(ValueError, match=f"Noise is {kind} and its seed 0"):
        NoiseSource(kind, 0)


def test_seeded_noise_without_a_seed_is_an_error() -> None:
    with pytest.raises(ValueError, match="Noise is seeded and its seed None"):
        NoiseSource(NoiseKind.SEEDED)
    assert NoiseSource(NoiseKind.SEEDED, 0).seed == 0


def test_different_material_changes_the_whole_state() -> None:
    one, other = (state_words(generator_from(bytes(32) + last)) for last in (b"\0", b"\1"))
    assert (one != other).sum() >= 623  # a word may coincide once in millions of runs


def test_state_holds_more_than_a_32_bit_seed() -> None:
    material = b"any"
    words = np.frombuffer(hashlib.shake_256(material).digest(4 * 624), dtype="<u4")
    np.testing.assert_array_equal(state_words(generator_from(material)), words.astype(np.uint64))
    assert generator_from(b"one").initial_seed() == generator_from(b"other").initial_seed()


def test_first_number_drawn_comes_from_the_state_that_was_set() -> None:
    drawn = {float(torch.rand((), generator=generator_from(bytes([i])))) for i in range(50)}
    assert len(drawn) == 50


@KINDS
def test_noise_leaves_torchs_own_generator_alone(kind: NoiseKind) -> None:
    before = torch.random.get_rng_state()
    noise_of(TWO_BLOCKS, a_noise(kind))
    assert torch.equal(torch.random.get_rng_state(), before)
