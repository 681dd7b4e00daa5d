"""How a run store's tables come about: Alembic's steps, in ``versions``."""
