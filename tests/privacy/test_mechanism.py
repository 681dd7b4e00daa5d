from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats

from privacy.mechanism import NoiseSource, add_noise, generator_from
from privacy.query import Block, NoiseKind
from tests.privacy.examples import a_block

LARGE = a_block(cells=200, width=100, clipping_norm=0.5)
KINDS = pytest.mark.parametrize("kind", list(NoiseKind))


def noise_of(
    block: Block, sigma: float, generator: torch.Generator, kind: NoiseKind = NoiseKind.FLOAT
) -> npt.NDArray[np.float64]:
    zeros = torch.zeros(block.cells, block.width)
    noised = add_noise(block, zeros, sigma=sigma, generator=generator, kind=kind)
    return noised.numpy().astype(np.float64)


def state_words(generator: torch.Generator) -> npt.NDArray[np.uint64]:
    """Return the 624 words of a Mersenne Twister."""
    return generator.get_state().numpy()[24 : 24 + 8 * 624].copy().view(np.uint64)


@KINDS
@pytest.mark.parametrize("sigma", [0.03, 1.0, 40.0])
def test_noise_is_gaussian_with_the_declared_standard_deviation(
    kind: NoiseKind, sigma: float
) -> None:
    noise = noise_of(LARGE, sigma, generator_from(b"fixed"), kind).ravel()
    assert stats.kstest(noise, stats.norm(scale=sigma).cdf).pvalue > 1e-3
    assert noise.std() == pytest.approx(sigma, rel=5 / np.sqrt(2 * noise.size))
    assert noise.mean() == pytest.approx(0, abs=5 * sigma / np.sqrt(noise.size))


@KINDS
def test_noise_has_gaussian_tails(kind: NoiseKind) -> None:
    noise = np.abs(noise_of(a_block(cells=1000, width=1000), 1.0, generator_from(b"tails"), kind))
    for threshold in (3.0, 4.0):
        expected = 2 * stats.norm.sf(threshold) * noise.size
        assert (noise > threshold).sum() == pytest.approx(expected, abs=5 * np.sqrt(expected))


@KINDS
def test_noise_of_a_small_block_is_gaussian_as_well(kind: NoiseKind) -> None:
    # Torch draws fewer than 16 values by another method.
    generator = generator_from(b"small")
    block = a_block(cells=1, width=3)
    noise = np.concatenate([noise_of(block, 2.0, generator, kind).ravel() for _ in range(300)])
    assert stats.kstest(noise, stats.norm(scale=2.0).cdf).pvalue > 1e-3


@KINDS
def test_entries_of_one_block_get_independent_noise(kind: NoiseKind) -> None:
    noise = noise_of(LARGE, 1.0, generator_from(b"fixed"), kind)
    limit = 5 / np.sqrt(noise.size)
    for shift in (1, 4, 8, 16):
        assert abs((noise[:, shift:] * noise[:, :-shift]).mean()) < limit
        assert abs((noise[shift:] * noise[:-shift]).mean()) < limit
    assert len(np.unique(noise)) > 0.99 * noise.size


def test_float_noise_adds_up_four_samples_of_which_none_can_be_told_alone() -> None:
    generator = generator_from(b"same")
    torch.normal(0.0, 1.0, (1, 1), generator=generator)
    samples = [torch.normal(0.0, 2.0, (3, 2), generator=generator) for _ in range(4)]
    expected = torch.stack(samples).sum(dim=0) / 2
    found = noise_of(a_block(), 2.0, generator_from(b"same"), NoiseKind.FLOAT)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_noise_does_not_depend_on_the_clipping_norm() -> None:
    small, large = a_block(clipping_norm=0.01), a_block(clipping_norm=100.0)
    np.testing.assert_allclose(
        noise_of(small, 2.0, generator_from(b"same")),
        noise_of(large, 2.0, generator_from(b"same")),
        rtol=1e-6,
    )


def test_noise_is_added_to_the_sum() -> None:
    total = torch.arange(6.0).reshape(3, 2)
    noised = add_noise(a_block(), total, sigma=2.0, generator=generator_from(b"same"))
    np.testing.assert_allclose(
        noised.numpy() - total.numpy(), noise_of(a_block(), 2.0, generator_from(b"same")), atol=1e-5
    )


def test_adding_noise_does_not_change_its_input() -> None:
    total = torch.arange(6.0).reshape(3, 2)
    add_noise(a_block(), total, sigma=2.0, generator=generator_from(b"any"))
    assert torch.equal(total, torch.arange(6.0).reshape(3, 2))


def test_one_generator_never_gives_the_same_noise_twice() -> None:
    generator = generator_from(b"one release with two blocks")
    first, second = (noise_of(a_block(), 1.0, generator) for _ in range(2))
    assert not np.isin(first, second).any()


def test_same_seed_owner_and_entry_give_the_same_noise() -> None:
    one, other = (NoiseSource(3).generator("north", 5) for _ in range(2))
    np.testing.assert_array_equal(noise_of(LARGE, 1.0, one), noise_of(LARGE, 1.0, other))


@pytest.mark.parametrize(
    ("seed", "owner", "entry"),
    [(4, "north", 5), (3, "south", 5), (3, "north", 6), (3, "north/5", 5), (35, "north", 5)],
)
def test_another_seed_owner_or_entry_gives_other_noise(seed: int, owner: str, entry: int) -> None:
    usual = noise_of(LARGE, 1.0, NoiseSource(3).generator("north", 5))
    other = noise_of(LARGE, 1.0, NoiseSource(seed).generator(owner, entry))
    assert abs((usual * other).mean()) < 5 / np.sqrt(usual.size)
    assert np.isin(usual, other).mean() < 0.01


def test_noise_without_a_seed_differs_each_time() -> None:
    source = NoiseSource()
    one, other = (noise_of(LARGE, 1.0, source.generator("north", 5)) for _ in range(2))
    assert abs((one * other).mean()) < 6 / np.sqrt(one.size)


def test_only_noise_without_a_seed_is_called_float() -> None:
    assert NoiseSource().kind is NoiseKind.FLOAT
    assert NoiseSource(0).kind is NoiseKind.SEEDED


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


def test_making_generators_leaves_torchs_own_alone() -> None:
    before = torch.random.get_rng_state()
    noise_of(LARGE, 1.0, NoiseSource(1).generator("north", 1))
    assert torch.equal(torch.random.get_rng_state(), before)
