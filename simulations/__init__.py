"""Simulated regions, two engines to run them, and judges that see everything."""
