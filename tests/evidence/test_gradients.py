"""Mean gradients: autograd's by hand, and nothing else touched."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from rarefy.errors import EvidenceError
from rarefy.evidence import gradients
from rarefy.targets import find, weight_of


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)
    )


def batches(count=3):
    torch.manual_seed(1)
    return [(torch.randn(5, 4), torch.randint(3, (5,))) for _ in range(count)]


def weights_of(model):
    return {name: weight_of(model, name) for name in find(model)}


def by_hand(model, data, names=("0.weight", "4.weight")):
    """Plain twin: a copy in evaluation mode, one backward pass a batch, the mean of .grad."""
    twin = copy.deepcopy(model).eval()
    twin.zero_grad()
    for inputs, target in data:
        functional.cross_entropy(twin(inputs), target).div(len(data)).backward()
    return {name: twin.get_parameter(name).grad for name in names}


def test_they_are_autograds_mean_over_batches():
    model, data = net(), batches()
    found = gradients(model, weights_of(model), data)
    for name, wanted in by_hand(model, data).items():
        torch.testing.assert_close(found[name], wanted)


def test_a_line_by_hand():
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, -1.0]]))
    data = [(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0]]))]
    # (2 - 3 - 1)^2, so 2 (-2) x
    assert gradients(model, weights_of(model), data)["weight"].tolist() == [[-4.0, -12.0]]


def test_a_loss_of_ones_own():
    model, data = net(), batches()
    found = gradients(model, weights_of(model), data, lambda m, b: m(b[0]).square().sum())
    twin = copy.deepcopy(model).eval()
    (sum(twin(inputs).square().sum() for inputs, _ in data) / 3).backward()
    torch.testing.assert_close(found["4.weight"], twin[4].weight.grad)


def test_nothing_of_the_model_changes():
    model, data = net(), batches()
    model[3].eval()
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    model[0].weight.grad = torch.full((6, 4), 7.0)
    gradients(model, weights_of(model), data)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert model[0].weight.grad.eq(7.0).all()
    assert all(p.grad is None for n, p in model.named_parameters() if n != "0.weight")


def test_global_random_state_is_put_back_though_a_loader_draws_from_it():
    model = net()
    inputs, target = batches(1)[0]
    loader = DataLoader(TensorDataset(inputs, target), batch_size=2, shuffle=True)
    before = torch.get_rng_state()
    gradients(model, weights_of(model), loader)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_frozen_weight_is_scored_and_stays_frozen():
    model, data = net(), batches()
    model[0].weight.requires_grad_(False)
    wanted = by_hand(net(), data)
    found = gradients(model, weights_of(model), data)
    torch.testing.assert_close(found["0.weight"], wanted["0.weight"])
    assert not model[0].weight.requires_grad
    assert model[4].weight.requires_grad


def test_it_works_where_gradients_are_off():
    model, data = net(), batches()
    with torch.no_grad():
        found = gradients(model, weights_of(model), data)
    assert found["0.weight"].abs().sum() > 0


def test_a_tied_weight_gets_both_shares():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False))
    model[2].weight = model[0].weight
    data = [(torch.randn(5, 4), torch.randint(4, (5,)))]
    wanted = by_hand(model, data, ["0.weight"])["0.weight"]
    torch.testing.assert_close(gradients(model, weights_of(model), data)["0.weight"], wanted)


def test_half_precision_is_summed_in_float32():
    model = nn.Linear(1, 1, bias=False).bfloat16()
    data = [(torch.ones(1, 1, dtype=torch.bfloat16),)] * 512
    found = gradients(model, weights_of(model), data, lambda m, b: m(b[0]).mean())
    assert found["weight"].dtype is torch.bfloat16
    assert found["weight"].item() == 1.0  # in bfloat16 the sum would stop at 256


def test_a_recurrent_model_by_keyword():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = nn.LSTM(3, 4, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, sentence):
            return {"loss": self.head(self.memory(sentence)[0]).square().mean()}

    model = Tagger()
    found = gradients(model, weights_of(model), [{"sentence": torch.randn(2, 5, 3)}])
    assert list(found) == ["memory.weight_ih_l0", "memory.weight_hh_l0", "head.weight"]


def raising(_model, _batch):
    raise RuntimeError("the user's own")


@pytest.mark.parametrize("loss", [raising, lambda _model, _batch: 1.0])
def test_after_an_error_everything_is_as_it_was(loss):
    model, data = net(), batches()
    model[0].weight.requires_grad_(False)
    before = torch.get_rng_state()
    with pytest.raises((RuntimeError, EvidenceError)):
        gradients(model, weights_of(model), data, loss)
    assert all(module.training for module in model.modules())
    assert not model[0].weight.requires_grad
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda m, b: m(b[0]), r"one number.*found shape \(5, 3\)"),
        (lambda _model, _batch: 1.0, "one number.*found float"),
        (lambda m, b: m(b[0]).sum().detach(), "does not follow from the weights"),
        (lambda m, _: m[4](torch.ones(1, 6)).sum(), r"0\.weight has no part in the loss.*skip="),
    ],
)
def test_a_loss_that_is_none_is_refused(loss, said):
    model = net()
    with pytest.raises(EvidenceError, match=said):
        gradients(model, weights_of(model), batches(), loss)


def test_no_batch_is_refused():
    with pytest.raises(EvidenceError, match="holds no batch"):
        gradients(net(), weights_of(net()), [])


def test_what_can_be_read_only_once_is_refused():
    with pytest.raises(EvidenceError, match="read only once"):
        gradients(net(), weights_of(net()), iter(batches()))
