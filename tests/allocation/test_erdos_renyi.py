"""Erdős-Rényi densities of the two LeNets, computed by hand in the literature's way."""

import math

import pytest

from rarefy._types import Units
from rarefy.allocation import erdos_renyi, erdos_renyi_kernel

LENET_300_100 = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
LENET_5 = {"conv1": (20, 1, 5, 5), "conv2": (50, 20, 5, 5), "fc1": (500, 800), "fc2": (10, 500)}


def units(shapes):
    def never():
        raise AssertionError("Erdős-Rényi looks at no score")

    return {n: Units(math.prod(s), math.prod(s), s, never) for n, s in shapes.items()}


def densities(part, shapes, sparsity):
    whole = units(shapes)
    count = round((1 - sparsity) * sum(each.size for each in whole.values()))
    counts = part(whole, count)
    assert sum(counts.values()) == count
    return [counts[name] / whole[name].size for name in whole]


@pytest.mark.parametrize("part", [erdos_renyi, erdos_renyi_kernel])
@pytest.mark.parametrize(
    ("sparsity", "wanted"),
    [
        (0.8, [0.16224, 0.46936, 1]),
        (0.9, [0.07957, 0.23019, 1]),
        (0.95, [0.03848, 0.11133, 0.91851]),
        (0.98, [0.01539, 0.04453, 0.36740]),
        (0.99, [0.0077, 0.02227, 0.1837]),
    ],
)
def test_lenet_300_100(part, sparsity, wanted):
    # one unit of the smallest weight is 0.001
    assert densities(part, LENET_300_100, sparsity) == pytest.approx(wanted, abs=6e-4)


@pytest.mark.parametrize(
    ("sparsity", "wanted"),
    [
        (0.9, [1, 0.08707, 0.08843, 1]),
        (0.95, [0.72612, 0.03748, 0.03806, 1]),
        (0.99, [0.13894, 0.00717, 0.00728, 0.22858]),
    ],
)
def test_lenet_5_with_kernels(sparsity, wanted):
    # one unit of conv1 is 0.002
    assert densities(erdos_renyi_kernel, LENET_5, sparsity) == pytest.approx(wanted, abs=1.1e-3)


def test_without_kernels_only_outputs_and_inputs_count():
    # (20 + 1) / 20 against (50 + 20) / 1000: a density 15 times higher
    found = densities(erdos_renyi, {n: LENET_5[n] for n in ("conv1", "conv2")}, 0.99)
    assert found[0] / found[1] == pytest.approx((21 / 20) / (70 / 1000), rel=0.02)


def test_epsilon_twenty_gives_its_exact_count():
    """ε(n_in + n_out) links a layer: 20 (784 + 300) and 20 (300 + 100), no position drawn twice."""
    shapes = {n: LENET_300_100[n] for n in ("fc1", "fc2")}
    assert erdos_renyi(units(shapes), 20 * 1084 + 20 * 400) == {"fc1": 20 * 1084, "fc2": 20 * 400}


def test_a_full_weight_stays_full_and_the_others_share_what_is_left():
    shapes = {"wide": (100, 100), "thin": (2, 2)}
    assert erdos_renyi(units(shapes), 1004) == {"wide": 1000, "thin": 4}
