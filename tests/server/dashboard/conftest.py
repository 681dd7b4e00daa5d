"""Cheap passwords, where a test is about something else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "server.dashboard.accounts.PasswordHasher",
            lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1),
        )
        yield
