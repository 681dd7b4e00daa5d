"""A region of the tiny shop, with a fake language model."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.region import Region
from tests.client.examples import FakeEncoder, a_region


@pytest.fixture
def fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every region encode with :class:`FakeEncoder`."""
    monkeypatch.setattr("client.region.Encoder", FakeEncoder)


@pytest.fixture
def region(tmp_path: Path, fake_encoder: None) -> Region:
    return a_region(tmp_path)
