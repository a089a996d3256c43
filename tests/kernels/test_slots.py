"""Products: any shape of input, one dtype and device, the library where it can."""

import pytest
import torch
from torch.nn import functional

from rarefy.errors import PatternError
from rarefy.kernels import Geometry, Products, Topology
from rarefy.kernels import _slots as slots_file

CONV = Geometry((3, 3), padding=(1, 1))


def topology(rows=40, columns=20, density=0.3):
    torch.manual_seed(0)
    return Topology.of_mask(torch.rand(rows, columns) < density)


def test_leading_sides_are_kept():
    known = topology()
    values, bias = torch.randn(known.capacity), torch.randn(40)
    products, dense = Products(known), known.scatter(values)
    for sides in ((), (1,), (0,), (7,), (2, 3), (2, 0, 3), (2, 1, 3, 2)):
        x = torch.randn(*sides, 20)
        wanted = functional.linear(x, dense, bias)
        y = products.forward(x, values, bias)
        torch.testing.assert_close(y, wanted)
        dx = products.input_gradient(y, values, x.shape)
        torch.testing.assert_close(dx, y @ dense)
        assert products.weight_gradient(x, y).shape == values.shape
        torch.testing.assert_close(
            products.bias_gradient(y), y.reshape(-1, 40).sum(0), rtol=1e-4, atol=1e-5
        )


def test_strides_do_not_matter():
    known = topology()
    values = torch.randn(known.capacity)
    products = Products(known)
    x = torch.randn(20, 6, 5).permute(2, 1, 0)
    y = products.forward(x, values, None)
    assert torch.equal(y, products.forward(x.contiguous(), values, None))
    dy = torch.ones(()).expand(y.shape)
    for found, wanted in (
        (
            products.input_gradient(dy, values, x.shape),
            products.input_gradient(dy.contiguous(), values, x.shape),
        ),
        (products.weight_gradient(x, dy), products.weight_gradient(x, dy.contiguous())),
    ):
        assert torch.equal(found, wanted)


def test_one_image_is_a_batch_of_one():
    known = topology(40, 4 * 9)
    values = torch.randn(known.capacity)
    products = Products(known, CONV)
    x = torch.randn(4, 6, 5)
    y = products.forward(x, values, None)
    assert y.shape == (40, 6, 5)
    assert torch.equal(y, products.forward(x[None], values, None)[0])
    dx = products.input_gradient(y, values, x.shape)
    assert torch.equal(dx, products.input_gradient(y[None], values, x[None].shape)[0])
    assert torch.equal(products.weight_gradient(x, y), products.weight_gradient(x[None], y[None]))
    torch.testing.assert_close(products.bias_gradient(y), y.sum((1, 2)))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(3, 19), r"shape \(3, 19\), and takes \(..., 20\)"),
        (torch.zeros(()), "takes"),
        (torch.zeros(3, 20, dtype=torch.float64), "must agree"),
        (torch.zeros(3, 20, dtype=torch.long), "must agree"),
        (torch.zeros(3, 20, device="meta"), "must agree"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(x, words):
    known = topology()
    with pytest.raises(PatternError, match=words):
        Products(known).forward(x, torch.zeros(known.capacity), None)


def test_images_that_do_not_fit_are_refused():
    known = topology(40, 4 * 9)
    for shape in ((2, 3, 6, 6), (4, 6), (1, 2, 4, 6, 6)):
        with pytest.raises(PatternError, match=r"takes \(N, 4, height, width\)"):
            Products(known, CONV).forward(torch.zeros(shape), torch.zeros(known.capacity), None)
    with pytest.raises(PatternError, match="does not fit an image"):
        Products(known, Geometry((3, 3))).forward(
            torch.zeros(1, 4, 2, 9), torch.zeros(known.capacity), None
        )


def test_values_of_another_topology_are_refused():
    known = topology()
    x = torch.zeros(3, 20)
    with pytest.raises(PatternError, match="change them only together"):
        Products(known).forward(x, torch.zeros(known.capacity + 1), None)
    with pytest.raises(PatternError, match=r"a bias of shape \(20,\)"):
        Products(known).forward(x, torch.zeros(known.capacity), torch.zeros(20))


class Recorder:
    """Stands where the library's products would."""

    def __init__(self, topology, geometry):
        self.plain = Products(topology, geometry).plain
        self.calls = []

    def __getattr__(self, name):
        def run(*tensors):
            for each in tensors:
                if isinstance(each, torch.Tensor):
                    assert each.dtype == torch.float32
                    assert each.is_contiguous()
            self.calls.append(name)
            return getattr(self.plain, name)(*tensors)

        return run


@pytest.mark.parametrize("geometry", [None, CONV], ids=["linear", "conv"])
def test_float32_on_the_cpu_runs_in_the_library(monkeypatch, geometry):
    monkeypatch.setattr(slots_file, "native_products", Recorder)
    known = topology(40, 36)
    products = Products(known, geometry)
    values = torch.randn(known.capacity)
    x = torch.randn(2, 4, 6, 5) if geometry else torch.randn(36, 5).t()
    y = products.forward(x, values, torch.zeros(40))
    products.input_gradient(y.transpose(0, 0), values, x.shape)
    products.weight_gradient(x, y)
    assert products.native.calls == ["forward", "input_gradient", "weight_gradient"]
    products.forward(x.double(), values.double(), None)
    products.forward(x[:0], values, None)
    assert len(products.native.calls) == 3


def test_without_the_library_the_plain_path_runs(monkeypatch):
    monkeypatch.setattr(slots_file, "native_products", lambda *_: None)
    known = topology()
    products = Products(known)
    values, x = torch.randn(known.capacity), torch.randn(3, 20)
    wanted = products.plain.forward(x, values, None)
    assert torch.equal(products.forward(x, values, None), wanted)
