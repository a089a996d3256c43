"""Which weights are taken, how they are chosen, and which are refused."""

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn.utils import parametrizations, parametrize, prune

from rarefy.errors import TargetError
from rarefy.targets import find


class Everything(nn.Module):
    """One of each kind."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.conv = nn.Conv1d(4, 8, 3)
        self.norm = nn.BatchNorm1d(8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.memory = nn.LSTM(8, 4, num_layers=2, bidirectional=True)
        self.cell = nn.GRUCell(8, 4)
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 2, bias=False)])
        self.scale = nn.Parameter(torch.ones(3, 3))


USUAL = [
    "conv.weight",
    "attention.in_proj_weight",
    "attention.out_proj.weight",
    *[
        f"memory.weight_{kind}_l{layer}{back}"
        for layer in (0, 1)
        for back in ("", "_reverse")
        for kind in ("ih", "hh")
    ],
    "cell.weight_ih",
    "cell.weight_hh",
    "layers.0.weight",
    "layers.2.weight",
]


def test_every_weight_matrix_and_never_a_bias_a_norm_or_an_embedding():
    assert list(find(Everything())) == USUAL


@pytest.mark.parametrize(
    ("only", "found"),
    [
        ("layers.0.weight", ["layers.0.weight"]),
        ("layers", ["layers.0.weight", "layers.2.weight"]),
        ("layers.*", ["layers.0.weight", "layers.2.weight"]),
        ("*.0", ["layers.0.weight"]),
        (nn.Conv1d, ["conv.weight"]),
        ([nn.Conv1d, "cell.weight_ih"], ["conv.weight", "cell.weight_ih"]),
        ("words", ["words.weight"]),
        (nn.Embedding, ["words.weight"]),
        ("scale", ["scale"]),
        ("*_hh", ["cell.weight_hh"]),
        (nn.modules.rnn.RNNCellBase, ["cell.weight_ih", "cell.weight_hh"]),
    ],
    ids=str,
)
def test_only_takes_names_globs_and_types(only, found):
    assert list(find(Everything(), only=only)) == found


def test_only_takes_modules():
    model = Everything()
    assert list(find(model, only=model.layers[2])) == ["layers.2.weight"]
    assert list(find(model, only=[model.conv, model.cell])) == [
        "conv.weight",
        "cell.weight_ih",
        "cell.weight_hh",
    ]


@pytest.mark.parametrize(
    "skip", ["memory", "memory.*", nn.LSTM, ["memory.weight_ih*", "*.weight_hh_*"]], ids=str
)
def test_skip_leaves_out(skip):
    assert list(find(Everything(), skip=skip)) == [n for n in USUAL if "memory" not in n]


def test_skip_wins_over_only():
    assert list(find(Everything(), only="layers", skip="layers.0")) == ["layers.2.weight"]


@pytest.mark.parametrize("word", ["only", "skip"])
@pytest.mark.parametrize(
    ("choice", "near"),
    [("layer.0.weight", "layers.0.weight"), ("atention", "attention"), (nn.Conv2d, "conv")],
    ids=str,
)
def test_a_choice_that_finds_nothing_is_refused_with_the_nearest(word, choice, near):
    with pytest.raises(TargetError, match=rf"{word}=.* finds no weight\. Did you mean '{near}"):
        find(Everything(), **{word: choice})


def test_one_choice_of_several_that_finds_nothing_is_refused():
    with pytest.raises(TargetError, match="only='nothing' finds no weight"):
        find(Everything(), only=["layers", "nothing"])


@pytest.mark.parametrize("odd", [3, [3.5], nn.Linear(2, 2)], ids=str)
def test_what_is_no_choice_is_refused(odd):
    with pytest.raises(TargetError, match="finds no weight"):
        find(Everything(), only=odd)


def test_nothing_left_is_refused():
    with pytest.raises(TargetError, match="is left by only= and skip="):
        find(Everything(), only="layers", skip=nn.Linear)
    with pytest.raises(TargetError, match="is left by only= and skip="):
        find(Everything(), only=[])


def test_a_model_without_weights_is_refused():
    with pytest.raises(TargetError, match="Sequential has no weight to sparsify: no Linear"):
        find(nn.Sequential(nn.ReLU(), nn.LayerNorm(3)))


def test_a_weight_of_no_elements_is_no_weight():
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].extra = nn.Linear(1, 1)
    model[0].extra.weight = nn.Parameter(torch.empty(0, 4))
    assert list(find(model)) == ["0.weight"]


def test_a_tied_weight_comes_once_with_all_its_names():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    for only in (None, "0.weight", "1.weight", "1"):
        found = find(model, only=only)
        assert {name: each.aliases for name, each in found.items()} == {
            "0.weight": ("0.weight", "1.weight")
        }


def test_a_tied_weight_is_left_out_by_either_name():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    assert list(find(model, skip="1")) == ["2.weight"]


def test_a_shared_module_comes_once_with_all_its_names():
    layer = nn.Linear(4, 4)
    found = find(nn.Sequential(layer, nn.ReLU(), layer))
    assert found["0.weight"].aliases == ("0.weight", "2.weight")


class Language(nn.Module):
    """Words that lend their weight to the head."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 4)
        self.body = nn.Linear(4, 4)
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.words.weight


def test_an_embedding_that_lends_its_weight_to_the_head_is_not_taken_unasked():
    assert list(find(Language())) == ["body.weight"]


def test_asked_for_it_is_seen_as_the_head_sees_it():
    for only in ("head", "words"):
        target = find(Language(), only=only)["words.weight"]
        assert target.aliases == ("words.weight", "head.weight")
        assert target.matrix_shape == (1, 9, 4, 1)


def test_a_subclass_is_what_its_parents_are():
    class Mine(nn.LSTMCell):
        pass

    class Dense(nn.Linear):
        pass

    assert find(Mine(5, 3))["weight_ih"].groups == 4
    assert list(find(Dense(3, 3))) == ["weight"]


def test_a_projection_that_is_no_stack_of_three_is_one_group():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_proj_weight = nn.Parameter(torch.ones(4, 5))

    assert find(Odd(), only="in_proj_weight")["in_proj_weight"].groups == 1


# -- refused by name


def on_meta():
    return nn.Linear(4, 4, device="meta")


def fake():
    with FakeTensorMode():
        return nn.Linear(4, 4)


def lazy():
    return nn.LazyLinear(4)


def parametrized():
    return parametrize.register_parametrization(nn.Linear(4, 4), "weight", nn.Identity())


def weight_normed():
    return parametrizations.weight_norm(nn.Conv2d(4, 4, 3))


def torch_pruned():
    return prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5)


def sparse():
    layer = nn.Linear(4, 4)
    layer.weight = nn.Parameter(torch.eye(4).to_sparse())
    return layer


def integers():
    layer = nn.Linear(4, 4)
    layer.weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    return layer


def complex_numbers():
    return nn.Linear(4, 4, dtype=torch.complex64)


REFUSED = {
    on_meta: "is on the meta device",
    fake: "is a FakeTensor",
    lazy: "has no shape yet",
    parametrized: "is computed",
    weight_normed: "is computed",
    torch_pruned: "is computed",
    sparse: "is not a plain dense tensor",
    integers: "has dtype torch.int8",
    complex_numbers: "has dtype torch.complex64",
}


@pytest.mark.parametrize(("make", "why"), REFUSED.items(), ids=[m.__name__ for m in REFUSED])
def test_what_cannot_be_sparsified_is_refused_by_name_and_can_be_left_out(make, why):
    model = nn.Sequential(nn.Linear(4, 4), make())
    with pytest.raises(TargetError, match=rf"1\.weight {why}.*skip=\['1\.weight'\].*Nothing was"):
        find(model)
    assert list(find(model, skip=["1.weight"])) == ["0.weight"]
    assert list(find(model, only="0")) == ["0.weight"]


def test_a_computed_recurrent_weight_is_refused():
    layer = nn.LSTM(3, 3)
    parametrizations.weight_norm(layer, "weight_hh_l0")
    with pytest.raises(TargetError, match="weight_hh_l0 is computed"):
        find(layer)


def test_a_computed_attention_projection_is_refused():
    layer = nn.MultiheadAttention(4, 2)
    parametrize.register_parametrization(layer, "in_proj_weight", nn.Identity())
    with pytest.raises(TargetError, match="in_proj_weight is computed"):
        find(layer)


def test_what_a_parametrization_is_made_of_is_refused():
    layer = parametrized()
    with pytest.raises(TargetError, match=r"parametrizations\.weight\.original is computed"):
        find(layer, only="parametrizations.weight.original")


def test_a_dtensor_is_refused_by_name():
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, distribute_tensor

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        layer = nn.Linear(4, 4)
        mesh = init_device_mesh("cpu", (1,))
        layer.weight = nn.Parameter(distribute_tensor(layer.weight.detach(), mesh, [Replicate()]))
        with pytest.raises(TargetError, match="weight is a DTensor"):
            find(layer)
    finally:
        distributed.destroy_process_group()
