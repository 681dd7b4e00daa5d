"""What an answer says beside its sums: exactly nothing, and nothing of its users' order.

the same users in another order  ->  the same bits
the same request to doors with and without a user  ->  the same answer, but for the sums
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from privacy.audit.check import Check, exactly
from privacy.audit.trial import (
    SMALL,
    clipped_sum_of,
    entry_of,
    fresh_door,
    release_of,
    request,
    small_users,
    source,
)
from privacy.door import Door
from privacy.query import NoiseKind, SumQuery, TrustModel
from privacy.release import Release

CROWD = 3000
"""Users whose order is changed."""
LITTLE = 2.0**-8
"""Noise multiplier under which single precision shows the sums' last bits."""


def check_order(folder: Path, seed: int) -> Check:
    """Ask the same users in another order, and in batches of several sizes."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, SMALL[0].cells, CROWD)
    rows = rng.standard_normal((CROWD, 3)).astype(np.float32)
    everybody = np.arange(CROWD)
    orders = [[everybody], [everybody[::-1]], np.split(rng.permutation(CROWD), [1, 700, 701])]
    released, exact = set(), set()
    for batches in orders:
        users = [small_users(cells[some], rows[some]) for some in batches]
        query = request(*SMALL, noise_multiplier=LITTLE)
        central = request(*SMALL, noise_multiplier=LITTLE, trust_model=TrustModel.CENTRAL)
        door, other = (fresh_door(folder, source(NoiseKind.SEEDED, seed)) for _ in range(2))
        released.add(release_of(door, query, users).digest())
        exact.add(clipped_sum_of(other, central, users).digest())
    different = len(released) + len(exact) - 2
    return exactly(
        "order",
        "Do the users' order and batches leave the answer as it is, to the last bit?",
        different,
        f"{len(orders)} orders of {CROWD} users gave {len(released)} different releases and "
        f"{len(exact)} different exact sums.",
    )


def check_contents(folder: Path, kind: NoiseKind, seed: int) -> Check:
    """Compare what answers say beside their sums, with users, with one less, and with nobody."""
    rng = np.random.default_rng(seed)
    cells, rows = rng.integers(0, 16, 50), rng.standard_normal((50, 3)).astype(np.float32)
    query = request(*SMALL, noise_multiplier=1.0)
    faults, seen = [], set()
    for users in (50, 49, 0):
        door = fresh_door(folder, source(kind, seed + users))
        release = release_of(door, query, small_users(cells[:users], rows[:users]))
        faults += _beyond_the_sums(query, release, door)
        seen.add((*_header(release).items(), len(release.to_bytes())))
    if len(seen) > 1:
        faults.append("header or size differ between neighbouring data")
    return exactly(
        "answers-tell-only-their-sums",
        "Does an answer say nothing of its users but its noisy sums?",
        len(faults),
        "; ".join(dict.fromkeys(faults))
        or "Fields, arrays, types, sizes and signatures are those of the request and the ledger.",
    )


def _beyond_the_sums(query: SumQuery, release: Release, door: Door) -> list[str]:
    """Return what a release has that the request and the ledger do not account for."""
    entry = entry_of(door, release)
    expected = {
        "region": door.policy.region,
        "run": query.run,
        "round_number": query.round_number,
        "purpose": query.purpose,
        "code": entry.code,
        "window": entry.window,
        "sensitivity": query.sensitivity,
        "sigma": query.sigma,
        "noise": door.noise.kind,
        "entry": entry.entry,
    }
    account = door.ledger.account()
    plain = {block.name: (block.shape, "float32", np.ndarray) for block in query.blocks}
    arrays = {name: (a.shape, a.dtype.name, type(a)) for name, a in release.sums.items()}
    checks = {
        f"it is a {type(release).__name__}": type(release) is Release,
        "its header is not the request's": _header(release) == expected,
        f"its arrays are {sorted(release.sums)}": arrays == plain and list(arrays) == list(plain),
        "not all of its numbers are finite": all(
            np.isfinite(array).all() for array in release.sums.values()
        ),
        "its signature is not the ledger's": release.is_genuine
        and release.head is not None
        and (release.head.sequence, release.head.head) == (account.sequence, account.head),
    }
    return [fault for fault, holds in checks.items() if not holds]


def _header(release: Release) -> dict[str, Any]:
    """Return all fields but arrays, head and signature."""
    names = (field.name for field in fields(release))
    return {
        name: getattr(release, name) for name in names if name not in ("sums", "head", "signature")
    }
