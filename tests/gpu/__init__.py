"""A pretended GPU under the real CuPy, so that minift's CUDA path runs in every test run.

Read `pretend.py` first: what it proves and what it cannot.
"""
