"""Whole deployments, and what can go wrong with them: ``python -m tests.chaos``."""
