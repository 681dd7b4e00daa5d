"""The run store: a database of runs, what they asked, released and found, for operators' pages.

ServerApp, simulations, audits  ->  SQLite or PostgreSQL  ->  ``reading``  ->  pages

Only released, public and operational values are in it. ``docs/run-store.md`` tells more. Nothing
is imported here: a run without a store does not load SQLAlchemy.
"""
