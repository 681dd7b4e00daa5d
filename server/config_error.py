"""The error of a configuration; on its own, so that who needs no more loads no more."""

from __future__ import annotations


class ConfigError(Exception):
    """A configuration that cannot be used; nothing was started."""
