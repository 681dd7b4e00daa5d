"""Noise has the distribution that it is said to have, and the tests would notice if it had not.

A check takes noise and returns the probability of what it sees, or something
as odd, under the promised distribution. Each is compared with ``ODD``; all of
them together raise a false alarm less than once in a million runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privacy import mechanism
from privacy.mechanism import NoiseSource, add_noise
from privacy.query import FloatArray, IntArray, NoiseKind, SumQuery
from tests.privacy.examples import a_block, a_noise, a_query

ODD = 1e-10
"""There are a few hundred checks in this file."""
MEAN_SIZE = math.sqrt(2 / math.pi)
"""Of a standard normal variable."""
KINDS = pytest.mark.parametrize("kind", NoiseKind)

Doubles = npt.NDArray[np.float64]
Draw = Callable[[int], dict[str, Doubles]]
"""Noise of one release, by the number of its ledger entry, in standard deviations."""
Probabilities = dict[str, float]


def two_sided(z: float) -> float:
    return float(2 * stats.norm.sf(abs(z)))


def furthest(found: Doubles, expected: Doubles, n: int) -> float:
    """Bound the probability of this distance of distribution functions, whatever they are.

    Dvoretzky, Kiefer and Wolfowitz 1956 with Massart's constant; it holds for
    discrete distributions too.
    """
    return float(min(1.0, 2 * np.exp(-2 * n * np.abs(found - expected).max() ** 2)))


def normal_shape(noise: Doubles) -> Probabilities:
    """Check noise in standard deviations against the standard normal distribution."""
    n, ordered = noise.size, np.sort(noise)
    cdf = stats.norm.cdf(ordered)
    squares = float(np.square(noise).sum())
    edges = stats.norm.ppf(np.linspace(0, 1, 101)[1:-1])
    bins = np.bincount(np.searchsorted(edges, noise), minlength=100)
    checks = {
        "mean": two_sided(noise.mean() * math.sqrt(n)),
        "variance": 2 * min(stats.chi2.cdf(squares, n), stats.chi2.sf(squares, n)),
        "distribution from above": furthest(np.arange(1, n + 1) / n, cdf, n),
        "distribution from below": furthest(np.arange(n) / n, cdf, n),
        "bins": float(stats.chisquare(bins).pvalue),
    }
    for side, threshold in itertools.product((1, -1), (2.0, 3.0, 3.5)):
        beyond = int((side * noise > threshold).sum())
        checks[f"tail beyond {side * threshold}"] = binomial(beyond, n, stats.norm.sf(threshold))
    return checks


def binomial(found: int, n: int, probability: float) -> float:
    return float(stats.binomtest(found, n, probability).pvalue)


def independence(noise: Mapping[str, Doubles]) -> Probabilities:
    """Check that no entry tells of another: in one block, in two, in two releases."""
    checks = {}
    for name, part in noise.items():
        for lag in (1, 2, 4, 8, 16, 64):
            checks[f"{name} by {lag}"] = uncorrelated(part[lag:], part[:-lag])
            sizes = np.abs(part) - MEAN_SIZE
            checks[f"size in {name} by {lag}"] = uncorrelated(sizes[lag:], sizes[:-lag])
    for (one, a), (other, b) in itertools.combinations(noise.items(), 2):
        n = min(a.size, b.size)
        checks[f"{one} with {other}"] = uncorrelated(a[:n], b[:n])
        checks[f"repeats of {one} in {other}"] = 0.0 if (a[:n] == b[:n]).sum() > n / 500 else 1.0
    return checks


def uncorrelated(one: Doubles, other: Doubles) -> float:
    scale = math.sqrt(one.size) * float(np.sqrt(np.square(one).mean() * np.square(other).mean()))
    return two_sided(float((one * other).sum()) / scale)


QUERY = a_query(
    a_block(cells=120, width=100, clipping_norm=0.5),
    a_block("counts", cells=12_000, width=1, clipping_norm=0.25),
    sigma=1.75,
)
ZEROS = {b.name: np.zeros((b.cells, b.width), np.int64) for b in QUERY.blocks}


def noise_by(source: NoiseSource) -> Draw:
    def draw(entry: int) -> dict[str, Doubles]:
        noised = add_noise(QUERY, ZEROS, source, owner="north", entry=entry)
        return {
            name: part.ravel().astype(np.float64) / QUERY.sigma for name, part in noised.items()
        }

    return draw


def flaws(draw: Draw) -> set[str]:
    """Return the checks that two releases fail."""
    noise = {f"{name} {entry}": part for entry in (1, 2) for name, part in draw(entry).items()}
    checks = independence(noise)
    for name, part in noise.items():
        checks |= {f"{check} of {name}": p for check, p in normal_shape(part).items()}
    checks |= {f"{check} of all": p for check, p in normal_shape(all_of(noise)).items()}
    return {check for check, p in checks.items() if p < ODD}


def all_of(noise: Mapping[str, Doubles]) -> Doubles:
    return np.concatenate(list(noise.values()))


@KINDS
def test_releases_have_independent_gaussian_noise_of_the_declared_size(kind: NoiseKind) -> None:
    assert not flaws(noise_by(a_noise(kind)))


def half_the_noise(draw: Draw) -> Draw:
    return lambda entry: {name: part / 2 for name, part in draw(entry).items()}


def a_twentieth_less_noise(draw: Draw) -> Draw:
    return lambda entry: {name: part * 0.95 for name, part in draw(entry).items()}


def a_shift(draw: Draw) -> Draw:
    return lambda entry: {name: part + 0.1 for name, part in draw(entry).items()}


def no_tails(draw: Draw) -> Draw:
    return lambda entry: {name: part.clip(-3, 3) for name, part in draw(entry).items()}


def no_upper_tail(draw: Draw) -> Draw:
    return lambda entry: {name: part.clip(None, 3) for name, part in draw(entry).items()}


def uniform(draw: Draw) -> Draw:
    width = math.sqrt(12)
    return lambda entry: {
        name: (stats.norm.cdf(part) - 0.5) * width for name, part in draw(entry).items()
    }


def one_draw_for_two_blocks(draw: Draw) -> Draw:
    def mutant(entry: int) -> dict[str, Doubles]:
        noise = draw(entry)
        return noise | {"counts": noise["sums"]}

    return mutant


def one_draw_for_two_releases(draw: Draw) -> Draw:
    first = draw(1)
    return lambda entry: first


def every_draw_twice(draw: Draw) -> Draw:
    return lambda entry: {
        name: np.repeat(part[: part.size // 2], 2) for name, part in draw(entry).items()
    }


def some_noise_again_in_the_next_release(draw: Draw) -> Draw:
    def mutant(entry: int) -> dict[str, Doubles]:
        noise, first = draw(entry), draw(1)
        return {name: np.append(first[name][:100], part[100:]) for name, part in noise.items()}

    return mutant


MUTANTS: dict[Callable[[Draw], Draw], str] = {
    half_the_noise: "variance of sums 1",
    a_twentieth_less_noise: "variance of counts 2",
    a_shift: "mean of counts 1",
    no_tails: "tail beyond -3.0 of all",
    no_upper_tail: "tail beyond 3.0 of all",
    uniform: "bins of sums 2",
    one_draw_for_two_blocks: "sums 1 with counts 1",
    one_draw_for_two_releases: "repeats of sums 1 in sums 2",
    every_draw_twice: "sums 1 by 1",
    some_noise_again_in_the_next_release: "repeats of sums 1 in sums 2",
}


@pytest.mark.parametrize(("mutant", "check"), MUTANTS.items())
def test_the_checks_notice_wrong_noise(mutant: Callable[[Draw], Draw], check: str) -> None:
    assert check in flaws(mutant(noise_by(a_noise(NoiseKind.SEEDED))))


def test_seeded_noise_can_be_had_again_and_differs_for_every_owner_entry_and_seed() -> None:
    def noise(seed: int = 1, owner: str = "north", entry: int = 1) -> Doubles:
        source = NoiseSource(NoiseKind.SEEDED, seed)
        noised = add_noise(QUERY, ZEROS, source, owner=owner, entry=entry)
        return noised["sums"].ravel().astype(np.float64)

    np.testing.assert_array_equal(noise(), noise())
    others = {
        "seed": noise(seed=2),
        "owner": noise(owner="south"),
        "entry": noise(entry=2),
        "none": noise(),
    }
    alike = {name for name, other in others.items() if uncorrelated(noise(), other) < ODD}
    assert alike == {"none"}


SMALL_SCALES = (0.7, 2.0, 5.0, 12.3)
LARGE_SCALES = (2.0**24 / 3, QUERY.sigma / QUERY.step, 2.0**44)
N_SMALL, N_LARGE = 25_000, 40_000
RARE = 100
"""Bins of fewer are too few for a chi-square test at such a level."""


def discrete_shape(noise: IntArray, scale: float) -> Probabilities:
    """Check integers against the exact discrete Gaussian, summed up over the integers."""
    n, reach = noise.size, math.ceil(40 * scale)
    where = np.arange(-reach, reach + 1)
    weight = np.exp(-(where.astype(np.float64) ** 2) / (2 * scale**2))
    probability = weight / math.fsum(weight)
    counts = np.bincount(noise.clip(-reach, reach) + reach, minlength=where.size)
    variance = float((where**2 * probability).sum())
    fourth = float((where**4 * probability).sum())
    spread = float(np.square(noise.astype(np.float64)).mean()) - variance
    checks = {
        "mean": two_sided(noise.mean() * math.sqrt(n / variance)),
        "variance": two_sided(spread / math.sqrt((fourth - variance**2) / n)),
        "distribution": furthest(counts.cumsum() / n, probability.cumsum(), n),
        "bins": chi_square(counts, n * probability),
        "by one": uncorrelated(noise[1:].astype(np.float64), noise[:-1].astype(np.float64)),
    }
    for side in (1, -1):
        beyond = side * where > 3 * scale
        found = int(counts[beyond].sum())
        checks[f"tail on side {side}"] = binomial(found, n, float(probability[beyond].sum()))
    return checks


def chi_square(counts: IntArray, expected: Doubles) -> float:
    """Compare counts in bins; what is rare at either end is put together."""
    left = int(np.searchsorted(expected.cumsum(), RARE))
    right = expected.size - int(np.searchsorted(expected[::-1].cumsum(), RARE))
    pieces = [0, *range(left + 1, right)]
    found, wanted = (np.add.reduceat(values, pieces) for values in (counts, expected))
    return float(stats.chisquare(found, wanted, sum_check=False).pvalue)


def drawn(scale: float, n: int) -> IntArray:
    return mechanism._discrete(np.zeros(n, np.int64), scale)


def odd(checks: Probabilities) -> set[str]:
    return {check for check, p in checks.items() if p < ODD}


@pytest.mark.parametrize("scale", SMALL_SCALES)
def test_discrete_noise_is_the_exact_discrete_gaussian(scale: float) -> None:
    assert not odd(discrete_shape(drawn(scale, N_SMALL), scale))


def exact_gaussian(scale: float, n: int) -> IntArray:
    """Draw from the discrete Gaussian by its distribution function, as a start for mutants."""
    where = np.arange(-math.ceil(40 * scale), math.ceil(40 * scale) + 1)
    weight = np.exp(-(where.astype(np.float64) ** 2) / (2 * scale**2))
    return np.random.default_rng(1).choice(where, size=n, p=weight / weight.sum())


def test_the_exact_checks_accept_another_discrete_gaussian() -> None:
    assert not odd(discrete_shape(exact_gaussian(5.0, N_SMALL), 5.0))


INTEGER_MUTANTS: dict[str, tuple[Callable[[IntArray], IntArray], str]] = {
    "half the noise": (lambda noise: noise // 2, "variance"),
    "never nought": (lambda noise: np.where(noise == 0, 1, noise), "bins"),
    "a shift by one": (lambda noise: noise + 1, "mean"),
    "even only": (lambda noise: noise // 2 * 2, "bins"),
    "no tails": (lambda noise: noise.clip(-15, 15), "tail on side 1"),
    "every draw twice": (lambda noise: np.repeat(noise[::2], 2), "by one"),
    "one-sided": (lambda noise: np.abs(noise), "distribution"),
}


@pytest.mark.parametrize("name", INTEGER_MUTANTS)
def test_the_exact_checks_notice_wrong_noise(name: str) -> None:
    mutant, check = INTEGER_MUTANTS[name]
    assert check in odd(discrete_shape(mutant(exact_gaussian(5.0, N_SMALL)), 5.0))


def test_the_exact_checks_tell_the_discrete_gaussian_from_a_rounded_continuous_one() -> None:
    rounded = np.rint(np.random.default_rng(1).normal(0, 0.7, 100_000)).astype(np.int64)
    assert "bins" in odd(discrete_shape(rounded, 0.7))
    assert not odd(discrete_shape(exact_gaussian(0.7, 100_000), 0.7))


def low_bits(noise: IntArray) -> Probabilities:
    """Check that the lowest ten bits are as likely one as the other, and so are all patterns."""
    patterns = np.bincount(noise % 2**10, minlength=2**10)
    checks = {"patterns": float(stats.chisquare(patterns).pvalue)}
    for bit in range(10):
        checks[f"bit {bit}"] = binomial(int((noise >> bit & 1).sum()), noise.size, 0.5)
    return checks


@pytest.mark.parametrize("scale", LARGE_SCALES)
def test_discrete_noise_on_the_lattice_is_gaussian_down_to_the_last_bit(scale: float) -> None:
    noise = drawn(scale, N_LARGE)
    in_sigmas = noise / scale
    assert not odd(normal_shape(in_sigmas) | low_bits(noise) | independence({"all": in_sigmas}))


@pytest.mark.parametrize("kind", [NoiseKind.FLOAT, NoiseKind.SEEDED])
def test_continuous_noise_is_finer_than_the_lattice_down_to_its_last_bit(kind: NoiseKind) -> None:
    generator, secure = a_noise(kind).generator("north", 1), kind is NoiseKind.FLOAT
    noise = mechanism._by_opacus(N_LARGE, QUERY, generator, secure_mode=secure)
    assert not odd(low_bits(np.rint(noise / QUERY.step).astype(np.int64)))


def test_the_check_of_low_bits_notices_noise_in_single_precision() -> None:
    single = np.random.default_rng(1).normal(0, 2.0**25, N_LARGE).astype(np.float32)
    assert "bit 0" in odd(low_bits(np.rint(single).astype(np.int64)))


def test_the_check_of_low_bits_notices_a_coarser_lattice() -> None:
    noise = np.rint(np.random.default_rng(1).normal(0, 2.0**25, N_LARGE)).astype(np.int64)
    assert not odd(low_bits(noise))
    assert "patterns" in odd(low_bits(noise // 2**10 * 2**10))
    assert "bit 0" in odd(low_bits(noise // 2 * 2))


def test_discrete_noise_is_another_in_every_release() -> None:
    one, other = (drawn(2.0**40, 1000) for _ in range(2))
    assert len(np.unique(np.concatenate([one, other]))) == 2000


@KINDS
def test_noise_of_a_small_answer_is_gaussian_as_well(kind: NoiseKind) -> None:
    # Torch draws fewer than 16 values by another method.
    query = replace(QUERY, blocks=(a_block(cells=1, width=3),))
    zeros = {"sums": np.zeros((1, 3), np.int64)}
    noise = [noise_of(query, zeros, a_noise(kind), entry) for entry in range(1, 401)]
    assert not odd(normal_shape(np.concatenate(noise)))


def noise_of(
    query: SumQuery, zeros: dict[str, IntArray], source: NoiseSource, entry: int
) -> Doubles:
    noised: dict[str, FloatArray] = add_noise(query, zeros, source, owner="north", entry=entry)
    return noised["sums"].ravel().astype(np.float64) / query.sigma
