"""Tests of a region's processes."""
