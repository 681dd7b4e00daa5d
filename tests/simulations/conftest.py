"""Simulations with a fake language model."""

from __future__ import annotations

import pytest

from tests.client.examples import FakeEncoder


@pytest.fixture
def fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the simulation and every region encode with :class:`FakeEncoder`."""
    monkeypatch.setattr("simulations.world.Encoder", FakeEncoder)
    monkeypatch.setattr("client.region.Encoder", FakeEncoder)
