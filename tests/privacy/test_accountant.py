"""What releases are said to cost is what they cost, by formulas and programs of other people."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest
from opacus.accountants import PRVAccountant

from privacy.accountant import (
    Adjacency,
    GaussianEvent,
    Unit,
    compose,
    delta_of,
    epsilon_of,
    mu_of,
    pld_epsilon,
    privacy_loss,
    rdp_epsilon,
    zcdp_epsilon,
)
from privacy.query import STEPS_BITS

ADD_OR_REMOVE = Adjacency.ADD_OR_REMOVE_ONE
FINEST, COARSEST = 2.0**-25, 2.0**-STEPS_BITS
"""Steps of the lattice, in sensitivities."""
RUNS = {
    "one release": [GaussianEvent(1.0, 2.0)],
    "forty alike": [GaussianEvent(1.0, 20.0)] * 40,
    "a mixture": [GaussianEvent(0.3, 3.0), GaussianEvent(2.0, 8.0), GaussianEvent(1.0, 1.5)],
    "little noise": [GaussianEvent(1.0, 1.0)] * 3,
    "discrete": [GaussianEvent(1.0, 2.0, COARSEST), GaussianEvent(0.5, 3.0, COARSEST / 2)],
    "both kinds": [GaussianEvent(5.0, 40.0), GaussianEvent(1.0, 2.5, FINEST)] * 2,
}
EVERY_RUN = pytest.mark.parametrize("events", RUNS.values(), ids=RUNS.keys())
BOTH_ADJACENCIES = pytest.mark.parametrize("adjacency", Adjacency)
OPACUS_WARNS = pytest.mark.filterwarnings(
    "ignore:divide by zero:RuntimeWarning", "ignore:Optimal order:UserWarning"
)
DELTAS = (1e-8, 1e-6, 1e-3)

Events = Sequence[GaussianEvent]
Distribution = npt.NDArray[np.float64]


def prv_epsilon(
    events: Events, *, delta: float, adjacency: Adjacency, error: float = 0.01
) -> float:
    """Return epsilon by Opacus' privacy random variables, an upper bound up to ``error``."""
    accountant = PRVAccountant()
    for event in events:
        accountant.step(noise_multiplier=1 / (adjacency.changes * event.mu), sample_rate=1.0)
    return float(accountant.get_epsilon(delta, eps_error=error))


def closed_form(mu: float, epsilon: float) -> mpmath.mpf:
    """Balle and Wang 2018, theorem 8, in fifty digits."""
    with mpmath.workdps(50):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        return mpmath.ncdf(m / 2 - e / m) - mpmath.exp(e) * mpmath.ncdf(-m / 2 - e / m)


def closed_epsilon(mu: float, delta: float) -> float:
    """Invert the closed form by bisection."""
    below, above = 0.0, mu * mu + 50 * mu + 10
    while above - below > 1e-9 * (1 + above):
        middle = (below + above) / 2
        below, above = (middle, above) if closed_form(mu, middle) > delta else (below, middle)
    return above


def mu_by_hand(events: Events, adjacency: Adjacency) -> float:
    changes = {"add-or-remove-one": 1, "replace-one": 2}[adjacency.value]
    costs = [e.sensitivity**2 / (e.sigma**2 - 16 * e.step**2) for e in events]
    return changes * math.sqrt(sum(costs))


@EVERY_RUN
@BOTH_ADJACENCIES
@pytest.mark.parametrize("delta", DELTAS)
def test_composed_epsilon_is_that_of_the_closed_form(
    events: Events, adjacency: Adjacency, delta: float
) -> None:
    claimed = epsilon_of(compose(events, adjacency), delta)
    expected = closed_epsilon(mu_by_hand(events, adjacency), delta)
    assert claimed == pytest.approx(expected, rel=1e-6, abs=1e-6)


@EVERY_RUN
@pytest.mark.parametrize(
    ("adjacency", "delta"), [(ADD_OR_REMOVE, 1e-8), (Adjacency.REPLACE_ONE, 1e-5)]
)
def test_claim_lies_between_accountants_that_share_no_code_with_it(
    events: Events, adjacency: Adjacency, delta: float
) -> None:
    claimed = epsilon_of(compose(events, adjacency), delta)
    assert pld_epsilon(events, delta=delta, adjacency=adjacency) <= 1.001 * claimed
    assert claimed <= rdp_epsilon(events, delta=delta, adjacency=adjacency)
    assert claimed <= zcdp_epsilon(events, delta=delta, adjacency=adjacency)


@OPACUS_WARNS
@pytest.mark.parametrize("name", ["one release", "a mixture", "discrete", "both kinds"])
@BOTH_ADJACENCIES
def test_privacy_random_variables_bracket_the_claim(name: str, adjacency: Adjacency) -> None:
    error = 0.01
    claimed = epsilon_of(compose(RUNS[name], adjacency), 1e-6)
    highest = prv_epsilon(RUNS[name], delta=1e-6, adjacency=adjacency, error=error)
    assert highest - 2.1 * error <= claimed <= highest


@OPACUS_WARNS
def test_the_accountants_would_notice_a_claim_that_is_too_low() -> None:
    events = RUNS["a mixture"]
    too_low = epsilon_of(0.99 * compose(events, ADD_OR_REMOVE), 1e-6)
    assert pld_epsilon(events, delta=1e-6, adjacency=ADD_OR_REMOVE) > 1.001 * too_low
    assert prv_epsilon(events, delta=1e-6, adjacency=ADD_OR_REMOVE) - 2.1 * 0.01 > too_low


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("mu", [0.05, 0.5, 2.0])
def test_numerical_accountant_agrees_with_the_closed_form(mu: float, delta: float) -> None:
    found = pld_epsilon([GaussianEvent(mu, 1.0)], delta=delta, adjacency=ADD_OR_REMOVE)
    assert found == pytest.approx(epsilon_of(mu, delta), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("mu", [1.0, 4.0, 20.0, 60.0])
def test_many_events_and_a_large_epsilon_stay_accurate_and_quick(mu: float) -> None:
    events = [GaussianEvent(mu / math.sqrt(14), 1.0)] * 14
    claimed = epsilon_of(mu, 1e-6)
    started = time.monotonic()
    found = pld_epsilon(events, delta=1e-6, adjacency=ADD_OR_REMOVE)
    assert time.monotonic() - started < 10
    assert claimed * (1 - 1e-9) <= found <= 1.001 * claimed


@pytest.mark.parametrize("mu", [0.01, 0.1, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 3.0, 50.0])
def test_delta_is_the_closed_form_of_balle_and_wang(mu: float, epsilon: float) -> None:
    assert delta_of(mu, epsilon) == pytest.approx(float(closed_form(mu, epsilon)), abs=1e-13)


def test_replacing_a_user_costs_as_much_as_removing_one_and_adding_another() -> None:
    for events in RUNS.values():
        assert compose(events, Adjacency.REPLACE_ONE) == 2 * compose(events, ADD_OR_REMOVE)


def test_a_loss_says_what_it_is_about() -> None:
    events = RUNS["a mixture"]
    loss = privacy_loss(events, delta=1e-6, unit=Unit.USER, adjacency=Adjacency.REPLACE_ONE)
    assert (loss.delta, loss.unit, loss.adjacency) == (1e-6, Unit.USER, Adjacency.REPLACE_ONE)
    assert loss.mu == compose(events, Adjacency.REPLACE_ONE)
    assert loss.epsilon == epsilon_of(loss.mu, 1e-6)


@pytest.mark.parametrize("step", [FINEST, COARSEST])
@pytest.mark.parametrize("multiplier", [0.01, 0.5, 1.0, 20.0, 1e6])
def test_discrete_noise_costs_a_hair_more_than_continuous_noise(
    multiplier: float, step: float
) -> None:
    continuous = GaussianEvent(1.0, multiplier).mu
    assert continuous <= GaussianEvent(1.0, multiplier, step).mu <= continuous * (1 + 1e-9)


@pytest.mark.parametrize("multiplier", [0.01, 0.5, 1.0])
def test_the_hair_is_there(multiplier: float) -> None:
    assert GaussianEvent(1.0, multiplier).mu < GaussianEvent(1.0, multiplier, COARSEST).mu


def discrete_gaussian(scale: float, reach: int, centre: int = 0) -> Distribution:
    """Return the probabilities of -reach to reach, by summation over all integers that count."""
    around = np.arange(-math.ceil(40 * scale), math.ceil(40 * scale) + 1)
    total = math.fsum(np.exp(-(around**2) / (2 * scale**2)))
    where = np.arange(-reach, reach + 1) - centre
    return np.asarray(np.exp(-(where**2) / (2 * scale**2)) / total)


def exact_delta(scale: float, shift: Sequence[int], epsilon: float) -> float:
    """Sum up where a discrete Gaussian moved by ``shift`` is more than e^epsilon times likelier.

    The hockey-stick divergence, term by term; Canonne, Kamath and Steinke 2020,
    theorem 7, is about the same sum in one dimension.
    """
    reach = math.ceil(13 * scale) + max(shift)
    moved = stayed = np.ones(1)
    for entry in shift:
        moved = np.multiply.outer(moved, discrete_gaussian(scale, reach, entry)).ravel()
        stayed = np.multiply.outer(stayed, discrete_gaussian(scale, reach)).ravel()
    excess = moved - math.exp(epsilon) * stayed
    return float(np.sort(excess[excess > 0]).sum())


def theorem_7(scale: float, shift: int, epsilon: float) -> float:
    reach = math.ceil(14 * scale) + shift
    where, probability = np.arange(-reach, reach + 1), discrete_gaussian(scale, reach)
    middle = epsilon * scale**2 / shift
    above, below = (probability[where > middle + s * shift / 2].sum() for s in (-1, 1))
    return float(above - math.exp(epsilon) * below)


def shortfalls(scale: float, shift: Sequence[int], mu: float) -> list[float]:
    """Return each epsilon at which a claimed mu is less than the discrete noise really costs."""
    found = []
    for epsilon in (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0):
        exact = exact_delta(scale, shift, epsilon)
        if exact > 1e-12 and delta_of(mu, epsilon) < exact:
            found.append(epsilon)
    return found


SCALES = (5.0, 5.7, 7.0, 10.0, 16.3, 25.0, 40.0)
ONE_DIMENSION = [(shift,) for shift in (1, 2, 3, 5, 7, 11, 15, 20)]
TWO_DIMENSIONS = [(3, 4), (1, 1), (5, 12)]


def charge(scale: float, shift: Sequence[int]) -> float:
    return GaussianEvent(math.hypot(*shift), scale, 1.0).mu


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shift", ONE_DIMENSION)
def test_charge_for_discrete_noise_covers_its_exact_cost(
    scale: float, shift: tuple[int, ...]
) -> None:
    assert not shortfalls(scale, shift, charge(scale, shift))
    assert shortfalls(scale, shift, GaussianEvent(shift[0], 1.1 * scale).mu)


@pytest.mark.parametrize("scale", [5.0, 8.0, 20.0])
@pytest.mark.parametrize("shift", TWO_DIMENSIONS)
def test_charge_covers_the_exact_cost_of_two_entries_together(
    scale: float, shift: tuple[int, ...]
) -> None:
    assert not shortfalls(scale, shift, charge(scale, shift))
    assert shortfalls(scale, shift, GaussianEvent(math.hypot(*shift), 1.1 * scale).mu)


def test_charging_discrete_noise_as_continuous_would_fall_short() -> None:
    # So the smoothing in the charge is needed, and the comparison sees as little as this.
    assert shortfalls(5.0, (1,), GaussianEvent(1.0, 5.0).mu)
    assert shortfalls(40.0, (1,), GaussianEvent(1.0, 40.0).mu)


@pytest.mark.parametrize("scale", [5.0, 16.3])
@pytest.mark.parametrize("shift", [1, 4, 20])
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 2.0])
def test_exact_cost_is_that_of_canonne_kamath_and_steinke(
    scale: float, shift: int, epsilon: float
) -> None:
    expected = theorem_7(scale, shift, epsilon)
    assert exact_delta(scale, [shift], epsilon) == pytest.approx(expected, abs=1e-13)


def test_discrete_noise_narrower_than_the_smoothing_cannot_be_charged() -> None:
    with pytest.raises(ValueError, match=r"sensitivity 1\.0, sigma 4\.0 and step 1\.0"):
        GaussianEvent(1.0, 4.0, 1.0)
    assert math.isfinite(GaussianEvent(1.0, math.nextafter(4.0, 5.0), 1.0).mu)


@pytest.mark.parametrize(
    ("sensitivity", "sigma", "step"),
    [
        (0.0, 1.0, 0.0),
        (-1.0, 1.0, 0.0),
        (math.nan, 1.0, 0.0),
        (1.0, 0.0, 0.0),
        (1.0, math.inf, 0.0),
        (1.0, math.nan, 0.0),
        (1.0, 1.0, -0.1),
        (1.0, 1.0, math.nan),
    ],
)
def test_what_is_no_gaussian_release_is_an_error_with_its_numbers(
    sensitivity: float, sigma: float, step: float
) -> None:
    with pytest.raises(ValueError, match=f"sigma {sigma!r} and step {step!r}"):
        GaussianEvent(sensitivity, sigma, step)


@BOTH_ADJACENCIES
def test_nothing_released_costs_nothing(adjacency: Adjacency) -> None:
    assert compose([], adjacency) == 0
    assert epsilon_of(0.0, 1e-6) == 0
    assert delta_of(0.0, 0.0) == 0
    assert pld_epsilon([], delta=1e-6, adjacency=adjacency) == 0
    assert rdp_epsilon([], delta=1e-6, adjacency=adjacency) == 0


def test_a_loss_below_delta_costs_no_epsilon() -> None:
    assert epsilon_of(1e-7, 1e-6) == 0


@BOTH_ADJACENCIES
def test_order_of_events_does_not_matter(adjacency: Adjacency) -> None:
    events = RUNS["a mixture"]
    assert compose(events, adjacency) == compose(events[::-1], adjacency)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-6, 2.0, math.nan])
def test_impossible_delta_is_an_error_with_the_value(delta: float) -> None:
    with pytest.raises(ValueError, match=f"delta is {delta!r}"):
        epsilon_of(1.0, delta)
    with pytest.raises(ValueError, match=f"delta is {delta!r}"):
        mu_of(1.0, delta)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.inf, math.nan])
def test_impossible_epsilon_is_an_error_with_the_value(epsilon: float) -> None:
    with pytest.raises(ValueError, match=f"epsilon is {epsilon!r}"):
        mu_of(epsilon, 1e-6)


@pytest.mark.parametrize("mu", [-1.0, math.inf, math.nan])
def test_impossible_mu_is_an_error_with_the_value(mu: float) -> None:
    with pytest.raises(ValueError, match=f"mu is {mu!r}"):
        epsilon_of(mu, 1e-6)
