"""Recommendations judged by what people did next: sets, splits, runs, measures, a benchmark.

behaviour  ->  history + what came after  ->  a private run over the history  ->  figures

For simulations only: whoever judges has everybody's data. ``behaviour`` and ``populations`` have
the sets, ``splits`` withholds, ``learning`` runs the strategy over the door, ``judging`` compares
rankings; ``benchmark`` does all of it and writes the page's table.
"""
