"""Measurements, run by hand from the checkout: `python -m benchmarks.engine`. Never timed tests."""
