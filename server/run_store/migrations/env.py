"""What Alembic runs to bring a run store up to date, on the connection that ``opening`` gives.

The transaction, and the lock that keeps other processes out meanwhile, are the caller's.
"""

from __future__ import annotations

from alembic import context

from server.run_store.schema import VERSION_TABLE, Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters tables by copying them
)
context.run_migrations()
