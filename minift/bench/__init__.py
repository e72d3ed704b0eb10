"""How fast minift is here, beside PyTorch where that is installed: what `minift bench` measures.

`workloads.py` says what is done, `in_minift.py` and `in_torch.py` do it, `contest.py` lets them
take turns, `machine.py` says what a figure depends on. `benchmarks/` of the checkout measures
more, with the same workloads. Read `workloads.py` first.
"""
