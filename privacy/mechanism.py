"""Gaussian noise on a sum that stands on a lattice.

sum in steps (cells, width)  ->  step * (sum + noise of standard deviation sigma / step)

``discrete``: an exact discrete Gaussian (Canonne, Kamath and Steinke 2020) by
OpenDP, from a cryptographic generator that the operating system seeds. Sum and
noise are integers, so there is no rounding to attack. ``float`` and ``seeded``:
Opacus' Gaussian in double precision, added to the same sum and rounded to the
lattice, whose step is some 2^28 times what a double can tell at that size (2^20 times, of moments).

The noise of all blocks of a query has one sigma, so the query is one Gaussian
mechanism with the query's sensitivity (Dwork and Roth 2014, appendix A).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.optimizers import DPOptimizerFastGradientClipping
from torch.overrides import TorchFunctionMode

from privacy.query import FloatArray, IntArray, NoiseKind, SumQuery

Doubles = NDArray[np.float64]

BATCH = 2**17
"""Entries that get their noise at a time; bounds the memory."""
_STATE_WORDS = 624
_STATE_OFFSET = 24  # bytes before the words in torch's serialised CPU generator


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """Where a client's noise comes from.

    Parameters
    ----------
    kind : NoiseKind
    seed : int, optional
        A simulation's seed; for ``seeded`` noise, and only for that.

    Raises
    ------
    ValueError
        If there is a seed for another kind, or none for ``seeded``.
    """

    kind: NoiseKind = NoiseKind.DISCRETE
    seed: int | None = None

    def __post_init__(self) -> None:
        if (self.kind is NoiseKind.SEEDED) is (self.seed is None):
            raise ValueError(
                f"Noise is {self.kind} and its seed {self.seed}: seeded noise needs a seed, "
                "other noise must not have one."
            )

    def generator(self, owner: str, entry: int) -> torch.Generator:
        """Return torch's generator for one ledger entry of one owner.

        An entry's number is never used twice in a ledger, so two releases
        never share their noise, not even in a simulation.
        """
        if self.seed is None:
            return generator_from(secrets.token_bytes(32))
        return generator_from(f"{self.seed}/{owner}/{entry}".encode())


def generator_from(material: bytes) -> torch.Generator:
    """Return a generator whose whole state comes from SHAKE-256 of ``material``.

    ``manual_seed`` keeps 32 bits of its argument, few enough to try them all;
    so the 624 words of the Mersenne Twister are set one by one. Its output is
    still not cryptographic.
    """
    words = np.frombuffer(hashlib.shake_256(material).digest(4 * _STATE_WORDS), dtype="<u4")
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state().numpy().copy()
    end = _STATE_OFFSET + 8 * _STATE_WORDS
    state[_STATE_OFFSET:end] = words.astype("<u8").view(np.uint8)
    generator.set_state(torch.from_numpy(state))
    return generator


def add_noise(
    query: SumQuery,
    totals: Mapping[str, IntArray],
    source: NoiseSource,
    *,
    owner: str,
    entry: int,
) -> dict[str, FloatArray]:
    """Return the sums with noise on every entry, in the unit of the contributions.

    Parameters
    ----------
    query : SumQuery
        Gives sigma and the lattice.
    totals : mapping of str to int64 array, shape (cells, width)
        Exact sums of every block, in steps; not changed.
    source : NoiseSource
    owner, entry : str, int
        Whose ledger, and which entry of it; seeded noise depends on both.
    """
    flat = np.concatenate([totals[block.name].ravel() for block in query.blocks])
    if source.kind is NoiseKind.DISCRETE:
        noised = _discrete(flat, query.sigma / query.step) * query.step
    else:
        generator = source.generator(owner, entry)
        secure = source.kind is NoiseKind.FLOAT
        noise = _by_opacus(flat.size, query, generator, secure_mode=secure)
        noised = (flat + np.rint(noise / query.step).astype(np.int64)) * query.step
    # Rounding to single precision is post-processing of what is private already.
    parts = np.split(noised, np.cumsum([totals[block.name].size for block in query.blocks])[:-1])
    return {
        block.name: part.reshape(totals[block.name].shape).astype(np.float32)
        for block, part in zip(query.blocks, parts, strict=True)
    }


def _discrete(total: IntArray, scale: float) -> IntArray:
    """Return integers plus an exact discrete Gaussian of parameter ``scale`` on each."""
    gaussian = _opendp_gaussian(scale)
    parts = [total[start : start + BATCH] for start in range(0, len(total), BATCH)]
    return np.concatenate([np.array(gaussian(part.tolist()), np.int64) for part in parts])


@cache
def _opendp() -> Any:
    import opendp.prelude as opendp

    opendp.enable_features("contrib")
    return opendp


def _opendp_gaussian(scale: float) -> Any:
    """Return OpenDP's Gaussian mechanism on integer vectors; it reports zCDP."""
    opendp = _opendp()
    vectors = opendp.vector_domain(opendp.atom_domain(T="i64")), opendp.l2_distance(T="f64")
    return opendp.m.make_gaussian(*vectors, scale=scale)


def _by_opacus(
    entries: int, query: SumQuery, generator: torch.Generator, *, secure_mode: bool
) -> Doubles:
    """Return Opacus' noise; it wants sigma as a multiple of a norm, here the sensitivity.

    ``secure_mode`` adds four samples up for each value, against attacks on the
    floating-point representation (Holohan and Braghin 2021). Opacus draws in
    torch's default precision. In single precision its samples would stand on
    a grid coarser than the lattice, and show the sum's last bits (Haney et al. 2022).
    """
    parameter = torch.nn.Parameter(torch.zeros(entries, dtype=torch.float64))
    parameter.grad = torch.zeros(entries, dtype=torch.float64)
    optimizer = DPOptimizerFastGradientClipping(
        torch.optim.SGD([parameter], lr=1.0),
        noise_multiplier=query.noise_multiplier,
        max_grad_norm=query.sensitivity,
        expected_batch_size=None,
        loss_reduction="sum",
        generator=generator,
        secure_mode=secure_mode,
    )
    parameter.summed_grad = None  # type: ignore[attr-defined]
    with _Doubles():
        optimizer.pre_step()
    return np.asarray(parameter.grad.detach().numpy())


class _Doubles(TorchFunctionMode):
    """Lets torch draw doubles in this thread; its default type is the whole process's."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (torch.normal, torch.zeros):
            return func(*args, **{"dtype": torch.float64} | (kwargs or {}))
        return func(*args, **(kwargs or {}))
