"""On the wire a release is its sums and what the request and the ledger say, and no more."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from privacy.audit.trial import SMALL, fresh_door, release_of, request, small_users, source
from privacy.query import NoiseKind
from privacy.release import Release
from privacy.signed_head import SignedHead
from simulations.benchmarks.answer_faults import TalkativeRelease
from strategies.messages import answer_to_records

OWN = {
    "region",
    "run",
    "round-number",
    "purpose",
    "code",
    "signature",
    "window",
    "sensitivity",
    "sigma",
}
HEAD = {f"head.{field.name}" for field in fields(SignedHead)}
BOUND_TO_THE_SUMS = {"signature", "head.head", "head.signature", "head.public_key"}
"""Differ between any two answers: they depend on the noisy sums and the region's key alone."""


def a_release(folder: Path, kind: NoiseKind, n: int) -> Release:
    rng = np.random.default_rng(1)
    users = small_users(
        rng.integers(0, 16, 20)[:n], rng.standard_normal((20, 3)).astype(np.float32)[:n]
    )
    return release_of(
        fresh_door(folder, source(kind, n)), request(*SMALL, noise_multiplier=1.0), users
    )


@pytest.mark.parametrize("kind", NoiseKind)
def test_neighbouring_data_give_the_same_message_but_for_the_sums(
    tmp_path: Path, kind: NoiseKind
) -> None:
    messages = [answer_to_records(a_release(tmp_path, kind, n)) for n in (20, 19, 0)]
    seen = set()
    for records in messages:
        assert set(records) == {"answer", "sums"}
        envelope = dict(records.config_records["answer"])
        assert set(envelope) == OWN | HEAD | {"type", "entry", "noise"}
        ((layout, array),) = records.array_records["sums"].items()
        sizes = (layout, array.dtype, array.shape, len(array.data))
        assert [part.split(":")[0] for part in layout.split()] == [block.name for block in SMALL]
        constant = {k: v for k, v in envelope.items() if k not in BOUND_TO_THE_SUMS}
        lengths = {k: len(str(v)) for k, v in envelope.items()}
        seen.add((str(sizes), str(sorted(constant.items())), str(sorted(lengths.items()))))
    assert len(seen) == 1


def test_a_release_with_a_field_more_cannot_be_packed(tmp_path: Path) -> None:
    release = a_release(tmp_path, NoiseKind.SEEDED, 20)
    told = {field.name: getattr(release, field.name) for field in fields(Release)}
    with pytest.raises(TypeError, match="Nothing was sent"):
        answer_to_records(TalkativeRelease(**told, users=20.0))
