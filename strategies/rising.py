"""When a released size counts as above its noise: a bound that map, pages and advice share."""

from __future__ import annotations

LEAST_SIGMAS = 2.0
"""A cluster's size has to rise so many noise standard deviations above zero."""
