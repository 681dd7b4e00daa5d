"""The audit: a region's claim, checked from outside, in a report that an officer signs.

ledgers (+ heads, witnesses, policies)  ->  what holds, what does not, what was not looked at

``auditing`` is the whole of it. On the way: ``evidence`` finds the files, ``ledger_audit`` looks at
one ledger and ``rules`` at its releases, ``accounts`` computes epsilon anew, ``side_by_side``
compares ledgers with each other, ``with_servers`` and ``with_reports`` with what servers charged
and published, ``document`` and ``page`` are the report for machines and for people, ``sealing``
signs it. ``experiment`` examines the mechanism itself, by trying. Nothing here writes to a ledger
or needs a private key of a region.
"""
