"""Add to a run store what only a simulation knows; a store that is away spoils no simulation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.run_store.opening import Store

log = logging.getLogger("flwr")


def record(place: str, write: Callable[[Store], object]) -> None:
    """Open the store at ``place``, if one is named, and let ``write`` have it.

    Where that fails, a warning says so: what was to be written is in files, too.
    """
    if not place:
        return
    from server.run_store.errors import StoreError
    from server.run_store.opening import open_store

    try:
        store = open_store(place)
        try:
            write(store)
        finally:
            store.close()
    except StoreError as error:
        log.warning("%s The results are in files all the same.", error)
