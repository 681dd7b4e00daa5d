"""The audit: a region's claim, checked from outside, in a report that an officer signs.

ledgers (+ heads, witnesses, policies)  ->  what holds, what does not, what was not looked at

``accounts`` computes epsilon anew, ``ledger_audit`` looks at one ledger, ``report`` puts many side by
side and signs, ``page`` draws the report for people. Nothing here writes to a ledger or needs a
private key of a region.
"""
