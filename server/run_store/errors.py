"""What can be wrong with a run store."""

from __future__ import annotations

from server.config_error import ConfigError


class StoreError(ConfigError):
    """A run store that somebody has to see to before it can be used."""


class StoreAwayError(StoreError):
    """A run store that cannot be reached or written now, and may be later."""
