"""A parameter whose values are only in packed bytes behaves as the dense one does."""

import copy
import pickle

import pytest
import torch
from torch.nn import functional

from rarefy.acceleration._lean import LeanWeight, lean_parameter
from rarefy.errors import TargetError
from rarefy.kernels import pack


@pytest.fixture
def dense():
    weight = torch.zeros(32, 64)
    weight[::4, ::4] = torch.arange(1.0, 129.0).reshape(8, 16)
    return weight


@pytest.fixture
def lean(dense):
    return lean_parameter(pack(dense).data, (32, 64), turned=False)


def test_it_is_a_frozen_parameter_of_the_shape_and_fewer_bytes(lean, dense):
    assert isinstance(lean, LeanWeight)
    assert isinstance(lean, torch.nn.Parameter)
    assert not lean.requires_grad
    assert lean.shape == dense.shape
    assert lean.dtype is torch.float32
    assert lean.held < dense.nbytes


def test_operations_give_what_they_give_for_the_dense_weight(lean, dense):
    x = torch.ones(2, 64)
    assert torch.equal(functional.linear(x, lean), functional.linear(x, dense))
    assert torch.equal(lean + 1, dense + 1)
    assert torch.count_nonzero(lean) == 128


def test_turned_bytes_give_the_weight_with_its_inputs_first(dense):
    turned = lean_parameter(pack(dense).data, (64, 32), turned=True)
    assert torch.equal(turned.dense(), dense.t())


def test_what_is_written_is_packed_and_its_aliases_see_it(lean):
    alias, fresh, before = lean.detach(), lean.clone(), lean._version
    with torch.no_grad():
        lean.mul_(0).add_(torch.eye(32, 64))
    assert torch.equal(lean.dense(), torch.eye(32, 64))
    assert torch.equal(alias.dense(), torch.eye(32, 64))
    assert fresh.dense()[0, 0] == 1
    assert fresh.dense()[4, 0] == 17  # a clone is independent
    assert lean._version > before


def test_turned_bytes_are_written_turned():
    turned = lean_parameter(pack(torch.zeros(3, 2)).data, (2, 3), turned=True)
    with torch.no_grad():
        turned.copy_(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert turned.dense().tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_dense_values_stay_from_the_second_reading_on(lean, dense):
    packed = lean.held
    assert lean.dense() is not None
    assert lean.held == packed
    second = lean.dense()
    assert lean.dense() is second
    assert lean.held == packed + dense.nbytes


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))])
def test_copies_and_pickles_are_lean_and_independent(lean, dense, copied):
    other = copied(lean)
    with torch.no_grad():
        lean.zero_()
    assert isinstance(other, LeanWeight)
    assert torch.equal(other.dense(), dense)


def test_values_given_through_data_are_packed_and_seen_as_moved(lean):
    before = lean.data_ptr()
    lean.data = torch.ones(32, 64)
    assert torch.equal(lean.dense(), torch.ones(32, 64))
    assert torch.equal(lean.data.dense(), torch.ones(32, 64))
    assert lean.data_ptr() != before


@pytest.mark.parametrize("values", [torch.ones(64, 32), torch.ones(32, 64, dtype=torch.float64)])
def test_values_of_another_shape_or_dtype_are_refused(lean, dense, values):
    with pytest.raises(TargetError, match=r"shape \(32, 64\)"):
        lean.data = values
    assert torch.equal(lean.dense(), dense)


def through_a_slice(weight):
    weight[2:4].fill_(3)


def through_a_view(weight):
    weight.view(-1)[70] = 5


def through_a_transpose(weight):
    weight.t().mul_(2)


def through_a_view_of_an_alias(weight):
    weight.detach()[0].zero_()


WRITES = [through_a_slice, through_a_view, through_a_transpose, through_a_view_of_an_alias]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_is_written_through_a_view_is_packed(lean, dense, write, mode):
    for _ in range(2):
        before = lean.stamp
        with mode():
            write(lean)
            write(dense)
        assert lean.stamp != before
        assert torch.equal(lean.dense(), dense)
        assert torch.equal(copy.deepcopy(lean).dense(), dense)
        with torch.no_grad():
            assert torch.equal(lean.clone() + 0, dense)


def test_a_view_that_was_kept_is_written_to_later(lean, dense):
    view = lean.view(-1)
    for place in range(3):
        with torch.no_grad():
            view[place] = 7
            dense.view(-1)[place] = 7
        assert torch.equal(copy.copy(lean.section.data), pack(dense).data)


def test_values_come_as_an_array_or_lists(lean, dense):
    assert lean.tolist() == dense.tolist()
    assert (lean.numpy() == dense.numpy()).all()
    lean.numpy()[:] = 3
    assert torch.equal(lean.dense(), dense)
