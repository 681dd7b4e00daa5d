"""Who may see what."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What somebody may see; who has the later one may see all of the earlier."""

    VIEWER = "viewer"
    AUDITOR = "auditor"

    def includes(self, needed: Role) -> bool:
        """Tell whether this role may see what ``needed`` may see."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


def role_of(text: str) -> Role | None:
    """Return the role of that name, or None."""
    return Role(text) if text in set(Role) else None
