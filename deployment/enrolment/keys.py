"""Keys as enrolment shows them: fingerprints that two people compare by telephone."""

from __future__ import annotations

import hashlib

from deployment.hosting.node_key import NODE_KEY, NodeKey, is_signed_by_node, read_point

__all__ = ["NODE_KEY", "NodeKey", "fingerprint", "is_signed_by_node", "read_point"]

_GROUPS = 8


def fingerprint(public: str) -> str:
    """Return what two people compare by telephone: eight groups of four hexadecimal digits.

    128 bits of the SHA-256 of the key's bytes, so nobody finds another key with the same one.
    """
    digits = hashlib.sha256(bytes.fromhex(public)).hexdigest()
    return " ".join(digits[4 * i : 4 * i + 4] for i in range(_GROUPS))
