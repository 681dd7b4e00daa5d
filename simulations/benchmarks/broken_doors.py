"""Doors that break their promise, each in one way: for the audit to find.

a name  ->  real functions of the door replaced for a while

Nothing is copied: each fault is a few lines around the installed function, so that it stays the
door's own code but for the fault. Tests and the audit's benchmark examine the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import privacy.clipping
import privacy.door
import privacy.ledger
import privacy.mechanism
from privacy.door import Door
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.query import OFF_DIAGONAL, Block, NoiseKind
from simulations.benchmarks import answer_faults, noise_faults
from simulations.benchmarks.noise_faults import Patches, after_noise, reshape_noise, with_sigma


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break the promise.

    Attributes
    ----------
    name : str
        What the door does, in words.
    patches : list
    noise : NoiseKind
        Of the doors that it is looked for in.
    """

    name: str
    patches: Patches
    noise: NoiseKind = NoiseKind.SEEDED


@contextmanager
def broken(fault: Fault) -> Iterator[None]:
    """Let every door of this process have the fault for a while."""
    with ExitStack() as stack:
        for owner, name, replacement in fault.patches:
            stack.enter_context(patch.object(owner, name, replacement))
        yield


STATISTICAL = [
    Fault("adds half of the noise", with_sigma(lambda query, _: query.sigma / 2)),
    Fault("adds nine tenths of it", with_sigma(lambda query, _: 0.9 * query.sigma)),
    Fault("adds less from release to release", with_sigma(noise_faults.less_and_less)),
    Fault(
        "adds little noise to the counts",
        reshape_noise(noise_faults.little_noise_in_the_last_block),
    ),
    Fault("adds Laplace noise", reshape_noise(noise_faults.laplace)),
    Fault("adds no noise where nobody is", after_noise(noise_faults.no_noise_where_nobody_is)),
    Fault(
        "adds none to one entry of a thousand",
        after_noise(noise_faults.no_noise_in_one_of_a_thousand),
    ),
    Fault("puts an exact figure into one entry", after_noise(noise_faults.exact_mean_in_one_entry)),
    Fault("draws one noise for all blocks", reshape_noise(noise_faults.one_noise_for_all_blocks)),
    Fault("repeats noise after 500 entries", reshape_noise(noise_faults.noise_of_a_short_period)),
    Fault(
        "draws the same noise in every door",
        [(NoiseSource, "generator", noise_faults.same_generator)],
    ),
    Fault(
        "draws one noise for every request",
        [(NoiseSource, "generator", noise_faults.generator_of_owner)],
    ),
    Fault(
        "seeds every floating-point generator alike",
        [(privacy.mechanism, "generator_from", noise_faults.same_seed)],
        NoiseKind.FLOAT,
    ),
    Fault(
        "draws discrete noise from a known seed",
        [(privacy.mechanism, "_discrete", noise_faults.discrete_of_one_seed)],
        NoiseKind.DISCRETE,
    ),
    Fault("does not clip", [(privacy.door, "clipped_sum", answer_faults.unclipped)]),
    Fault(
        "takes the norm for its square in moments",
        [(Block, "exact_sensitivity", property(answer_faults.norm_not_squared))],
    ),
]
"""What the statistical checks are to find, each in nearly every examination."""

EXACT = [
    Fault("does not clip", [(privacy.door, "clipped_sum", answer_faults.unclipped)]),
    Fault(
        "clips each entry by itself",
        [(privacy.door, "clipped_sum", answer_faults.clipped_per_entry)],
    ),
    Fault(
        "clips each block to the whole sensitivity",
        [(privacy.door, "clipped_sum", answer_faults.clipped_to_everything)],
    ),
    Fault(
        "sums in single precision",
        [(privacy.door, "clipped_sum", answer_faults.in_single_precision)],
    ),
    Fault(
        "takes the norm for its square in moments",
        [(Block, "exact_sensitivity", property(answer_faults.norm_not_squared))],
    ),
    Fault(
        "counts products in moments twice", [(privacy.clipping, "OFF_DIAGONAL", 2 * OFF_DIAGONAL)]
    ),
    Fault(
        "divides by the number of users",
        [(privacy.door, "_clip_and_sum", answer_faults.over_their_number)],
    ),
    Fault(
        "counts some users twice", [(privacy.door, "_clip_and_sum", answer_faults.counted_twice)]
    ),
    Fault(
        "fits the noise to the crowd",
        [(privacy.door, "add_noise", answer_faults.sigma_by_the_crowd)],
    ),
    Fault(
        "adds rows that are not finite",
        [(privacy.door, "finite_users", answer_faults.everybody_is_finite)],
    ),
    Fault("sends one field more", [(privacy.door, "_noised", answer_faults.with_a_field)]),
    Fault("sends one array more", [(privacy.door, "_noised", answer_faults.with_an_array)]),
    Fault("hides digits in its header", [(privacy.door, "_noised", answer_faults.in_its_header)]),
    Fault(
        "releases without a ledger entry",
        [
            (Ledger, "reserve", answer_faults.uncharged),
            (Ledger, "commit", answer_faults.unrecorded),
        ],
    ),
    Fault("charges after it has computed", [(Door, "answer", answer_faults.users_first)]),
    Fault("draws new noise when asked again", [(Ledger, "reserve", answer_faults.noised_anew)]),
    Fault("records twice the sigma", [(Ledger, "_entry", answer_faults.with_twice_the_sigma)]),
    Fault("records the digest of other bytes", [(Ledger, "commit", answer_faults.of_other_bytes)]),
    Fault("forgets the budget", [(privacy.ledger, "check_budget", lambda *_: None)]),
]
"""What the exact checks are to find, whenever they run."""
