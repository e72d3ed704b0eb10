"""The limit of a step counts the products and the parameters that the step has."""

import pytest

from benchmarks import limit
from minift.bench import in_minift


def values_in(name):
    """How many numbers the optimizer of our own workload moves."""
    step = in_minift.BUILDERS[name]()
    cells = dict(zip(step.__code__.co_freevars, step.__closure__))
    return sum(p.size for g in cells["optimizer"].cell_contents.param_groups for p in g["params"])


@pytest.mark.parametrize("name", limit.NAMES)
def test_the_limit_counts_the_parameters_that_minift_moves(name):
    assert limit.parameters_of(name) == values_in(name)


def test_the_products_of_the_small_bert():
    N, masked = 32 * 64, 307
    projections = 2 * N * (4 * 128 * 128 + 2 * 128 * 512)
    attention = 2 * (32 * 2) * 64 * 64 * 64 * 2  # scores and values of 2 heads of 64
    head = 2 * masked * (128 * 128 + 128 * 5000)
    forward = 2 * (projections + attention) + head
    assert sum(products.flops for products in limit.products_of("W2")) == 3 * forward


def test_the_products_of_the_mlp():
    flops = 2 * 64 * (2 * 784 * 256 + 3 * 256 * 256 + 3 * 256 * 10)
    assert sum(products.flops for products in limit.products_of("W1")) == flops
    limit.BUILDERS["W1"]()()
    limit.BUILDERS["W1"](products_alone=True)()


def test_a_limit_that_is_not_known_is_refused(capsys):
    with pytest.raises(SystemExit):
        limit.main(["W8"])
    assert "the limit of 'W8' is not known; of W1, W2, W3 it is" in capsys.readouterr().err
