"""Measurements that stay out of the tests: run them with ``make bench``."""
