"""Gaussian noise on a clipped sum, drawn by Opacus' optimizer.

clipped sum (cells, width)  ->  clipped sum + N(0, sigma^2) on every entry

The noise of all blocks of a query has one sigma, so the query is one Gaussian
mechanism with the query's sensitivity (Dwork and Roth 2014, appendix A; Dong,
Roth and Su 2022 for its exact trade-off).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

import numpy as np
import torch
from opacus.optimizers import DPOptimizerFastGradientClipping

from privacy.query import Block, NoiseKind

_STATE_WORDS = 624
_STATE_OFFSET = 24  # bytes before the words in torch's serialised CPU generator


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """Makes the generator of one release's noise.

    Parameters
    ----------
    seed : int, optional
        A simulation's seed. Left out, each generator is seeded by the
        operating system and nobody can repeat it.
    """

    seed: int | None = None

    @property
    def kind(self) -> NoiseKind:
        """``seeded`` or ``float``."""
        return NoiseKind.FLOAT if self.seed is None else NoiseKind.SEEDED

    def generator(self, owner: str, entry: int) -> torch.Generator:
        """Return the generator for one ledger entry of one owner.

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
    block: Block,
    total: torch.Tensor,
    *,
    sigma: float,
    generator: torch.Generator,
    kind: NoiseKind = NoiseKind.FLOAT,
) -> torch.Tensor:
    """Return ``total`` with Gaussian noise of standard deviation ``sigma`` on each entry.

    Parameters
    ----------
    block : Block
        Whose sum it is; Opacus wants sigma as a multiple of its clipping norm.
    total : float64 tensor, shape (cells, width)
        A clipped sum; not changed.
    sigma : float
        Noise standard deviation, in the unit of ``total``.
    kind : NoiseKind
        ``float`` adds four samples up for each value, against attacks on the
        floating-point representation (Holohan and Braghin 2021).
    """
    parameter = torch.nn.Parameter(torch.zeros_like(total))
    parameter.grad = total.clone()
    optimizer = DPOptimizerFastGradientClipping(
        torch.optim.SGD([parameter], lr=1.0),
        noise_multiplier=sigma / block.clipping_norm,
        max_grad_norm=block.clipping_norm,
        expected_batch_size=None,
        loss_reduction="sum",
        generator=generator,
        secure_mode=kind is NoiseKind.FLOAT,
    )
    parameter.summed_grad = None  # type: ignore[attr-defined]
    optimizer.pre_step()
    return parameter.grad.detach()
