"""A SuperLink in memory, for tests of what is decided; the real one is in ``tests/end_to_end``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployment.enrolment.errors import SuperlinkError
from deployment.enrolment.superlink import Node


class FakeSuperlink:
    """Takes a key once, as Flower does."""

    def __init__(self) -> None:
        self.known: dict[str, Node] = {}
        self.is_up = True
        self.dies_after_registering = False

    @contextmanager
    def reach(self, address: str, ca: Path | None) -> Iterator[FakeSuperlink]:
        if not self.is_up:
            raise SuperlinkError("The SuperLink is down.")
        yield self

    def nodes(self) -> dict[bytes, Node]:
        return {point.encode(): node for point, node in self.known.items()}

    def register(self, point: str) -> int:
        if point not in self.known:
            self.known[point] = Node(100 + len(self.known), True, "registered")
        node = self.known[point]
        if not node.is_registered:
            raise SuperlinkError("This node's key was unregistered.")
        if self.dies_after_registering:
            raise KeyboardInterrupt
        return node.node_id

    def unregister(self, point: str) -> None:
        if point in self.known:
            self.known[point] = Node(self.known[point].node_id, False, "unregistered")

    def registered(self) -> list[str]:
        return [point for point, node in self.known.items() if node.is_registered]
