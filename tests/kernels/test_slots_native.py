"""Products of slots by the library, against the reference."""

import ctypes
import os
import subprocess
import sys

import pytest
import torch

from rarefy import _native
from rarefy.errors import InvariantError
from rarefy.kernels import Geometry, Topology
from rarefy.kernels import _slots_native as native_file
from rarefy.kernels._slots_native import native_products
from rarefy.kernels._slots_plain import PlainProducts

CONV = Geometry((3, 2), stride=(2, 1), padding=(1, 0))

needs_library = pytest.mark.skipif(
    native_products(Topology.of_mask(torch.ones(2, 2, dtype=torch.bool)), None) is None,
    reason="the reference runs here",
)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def compare(topology, geometry, shape):
    own, plain = native_products(topology, geometry), PlainProducts(topology, geometry)
    x, values = torch.randn(shape), torch.randn(topology.capacity)
    bias = torch.randn(topology.rows)
    y = plain.forward(x, values, bias)
    dy = torch.randn_like(y)
    torch.testing.assert_close(own.forward(x, values, bias), y, rtol=1e-4, atol=1e-4)
    for found, wanted in (
        (own.input_gradient(dy, values, x.shape), plain.input_gradient(dy, values, x.shape)),
        (own.weight_gradient(x, dy), plain.weight_gradient(x, dy)),
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)


@needs_library
@pytest.mark.parametrize("tokens", [1, 16, 200])
@pytest.mark.parametrize("shape", [(1, 1), (31, 61), (300, 100)])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.usefixtures("two_threads")
def test_tokens(tokens, shape, density):
    torch.manual_seed(tokens)
    mask = torch.rand(shape) < density
    compare(
        Topology.of_mask(mask, min(int(mask.sum()) + 3, mask.numel())), None, (tokens, shape[1])
    )


@needs_library
@pytest.mark.parametrize("images", [1, 16, 35])
@pytest.mark.usefixtures("two_threads")
def test_images_of_changing_sizes(images):
    torch.manual_seed(images)
    topology = Topology.of_mask(torch.rand(40, 5 * 6) < 0.2)
    for size in ((4, 5), (9, 7), (4, 5)):
        compare(topology, CONV, (images, 5, *size))


@needs_library
def test_padding_gets_no_gradient():
    topology = Topology.of_mask(torch.eye(6, dtype=torch.bool), 9)
    found = native_products(topology, None).weight_gradient(torch.ones(20, 6), torch.ones(20, 6))
    assert found.tolist() == [20.0] * 6 + [0.0] * 3


@needs_library
def test_other_blocks_run_on_the_reference():
    topology = Topology.of_places(20, 20, torch.arange(40), blocks=(8, 16))
    assert native_products(topology, None) is None


@needs_library
def test_bytes_are_those_of_what_was_made():
    topology = Topology.of_mask(torch.rand(200, 200) < 0.1)
    products = native_products(topology, None)
    before = products.nbytes()
    products.forward(torch.randn(16, 200), torch.randn(topology.capacity), None)
    assert products.nbytes() > before > 0


@needs_library
def test_no_more_code_than_allowed():
    script = (
        "import torch; from rarefy.kernels import Topology;"
        "from rarefy.kernels._slots_native import native_products as n;"
        "torch.manual_seed(0); t = Topology.of_mask(torch.rand(300, 300) < .2);"
        "p = n(t, None); x = torch.ones(16, 300); v = torch.ones(t.capacity);"
        "y = p.forward(x, v, None); p.input_gradient(y, v, x.shape); p.weight_gradient(x, y);"
        "print(p.nbytes() / t.count)"
    )
    held = {}
    for allowed in ("0", "48", "many"):
        environment = {**os.environ, "RAREFY_CODE_MB": allowed}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        held[allowed] = float(done.stdout)
    assert held["0"] < 14
    assert held["48"] == held["many"] >= held["0"]


@needs_library
def test_what_cannot_run_says_so():
    topology = Topology.of_mask(torch.ones(4, 4 * 6, dtype=torch.bool))
    products = native_products(topology, CONV)
    too_small = torch.randn(1, 4, 1, 1)
    with pytest.raises(InvariantError, match="could not run rarefy_slots_weight_gradient"):
        products.weight_gradient(too_small, torch.randn(1, 4, 1, 1))


def test_without_a_library_there_are_none(monkeypatch):
    monkeypatch.setattr(_native, "function", lambda *_: None)
    assert native_products(Topology.of_mask(torch.ones(2, 2, dtype=torch.bool)), None) is None
    with pytest.raises(InvariantError, match="install rarefy again"):
        native_file._function("rarefy_slots_new", ctypes.c_int)


@needs_library
def test_one_that_differs_is_switched_off(monkeypatch):
    monkeypatch.setattr(_native, "_disabled", {})
    native_file._agrees.cache_clear()
    monkeypatch.setattr(native_file.NativeProducts, "weight_gradient", lambda *_: torch.zeros(()))
    topology = Topology.of_mask(torch.ones(2, 2, dtype=torch.bool))
    assert native_products(topology, None) is None
    assert "training on slots" in _native.status()
    native_file._agrees.cache_clear()
