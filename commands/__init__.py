"""Verbs of the command ``fedinterest``, by what they are about; each imports what it needs."""
