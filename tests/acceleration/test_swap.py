"""A swapped module is the user's own: class, signature, keys, copies and pickles."""

import copy
import inspect
import io
import pickle

import pytest
import torch
from torch import nn

from rarefy.acceleration._lanes import NO
from rarefy.acceleration._swap import is_root, lane_of, plain_class, swap, swapped
from rarefy.errors import AttachError


class Net(nn.Module):
    """Has a keyword and an attribute that the lane must not hide."""

    def __init__(self):
        super().__init__()
        self.fc, self.kind = nn.Linear(8, 16), "net"

    def forward(self, x, *, twice: bool = False):
        """Once or twice."""
        return self.fc(x) * (2 if twice else 1)


class Answers:
    """A lane that answers calls of one argument."""

    def call(self, module, args, kwargs):  # noqa: D102
        del module
        return NO if kwargs else args[0] + 100


@pytest.fixture
def net():
    made = Net().eval()
    swap(made, Answers(), root=True)
    return made


def test_class_name_signature_and_attributes_stay(net):
    assert isinstance(net, Net)
    assert type(net).__qualname__ == Net.__qualname__
    assert plain_class(net) is Net
    assert inspect.signature(type(net).forward) == inspect.signature(Net.forward)
    assert net.forward.__doc__ == Net.forward.__doc__
    assert net.kind == "net"
    assert list(net.state_dict()) == ["fc.weight", "fc.bias"]
    assert is_root(net)
    assert not is_root(net.fc)


def test_the_lane_goes_first_and_the_own_code_when_it_will_not(net):
    x = torch.ones(2, 8)
    assert torch.equal(net(x), x + 100)
    assert torch.equal(net(x, twice=True), 2 * net.fc(x))
    swap(net, None)
    assert torch.equal(net(x), net.fc(x))
    assert is_root(net)


def test_classes_are_made_once(net):
    assert type(net) is swapped(Net, root=True)
    assert swapped(Net, root=True) is not swapped(Net, root=False)


def test_training_raises_with_the_way_out(net):
    with pytest.raises(AttachError, match=r"rarefy\.accelerate again"):
        net.train()
    with pytest.raises(AttachError, match="no gradients"):
        net.requires_grad_()
    assert net.eval() is net
    assert net.train(False) is net
    assert net.requires_grad_(False) is net


def by_file(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


# A unit that is a leaf itself is referred back to by its own lane.
@pytest.mark.parametrize("copied", [copy.deepcopy, by_file])
@pytest.mark.parametrize("build", [Net, lambda: nn.Linear(8, 16)], ids=["net", "leaf"])
def test_copies_are_swapped_and_give_the_same(thinned, hastened, x, build, copied):
    model = thinned(build())
    fast = hastened(model, x)
    other = copied(fast)
    assert is_root(other)
    assert plain_class(other) is plain_class(fast)
    assert torch.equal(other(x), fast(x))
    assert torch.allclose(other(x), model(x), atol=1e-5)
    assert other.record == fast.record
    lanes = [lane_of(m) for m in other.modules() if lane_of(m) is not None]
    assert any(lane.packs.plans for lane in lanes)


def test_a_copy_has_weights_of_its_own(mlp, x, hastened):
    fast = hastened(mlp, x)
    other = pickle.loads(pickle.dumps(fast))
    before = other(x).detach().clone()
    fast.load_state_dict({name: torch.ones_like(v) for name, v in fast.state_dict().items()})
    assert torch.equal(other(x).detach(), before)
    assert not torch.equal(fast(x).detach(), before)


def test_conversions_make_packed_weights_dense_first_and_no_change_keeps_them(mlp, x, hastened):
    fast = hastened(mlp, x)
    weight = fast[0].weight
    assert fast.to("cpu")[0].weight is weight
    fast.double()
    assert {p.dtype for p in fast.parameters()} == {torch.float64}
    with pytest.warns(UserWarning, match="changed"):
        assert torch.allclose(fast(x.double()), mlp.double()(x.double()))
