"""Bounded, noised sums: the door, the policy, the ledger, the accountants."""
