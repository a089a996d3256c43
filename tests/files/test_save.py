"""``rarefy.save``."""

import copy

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import FileError, InvariantError, TargetError
from rarefy.files import read


def test_bits_values_and_the_rest(saved, net):
    contents = read(saved)
    weight = contents.records["0.weight"]
    assert (weight.format, weight.mask, weight.kept, weight.nonzero) == ("bitmask", "bits", 32, 30)
    assert contents.records["2.weight"].mask == "nonzero"
    assert contents.records["1.num_batches_tracked"].shape == ()
    assert list(contents.records) == list(net.state_dict())
    assert contents.method == "hold"
    assert sum(contents.bytes.values()) < contents.size
    assert contents.bytes["0.weight"] == 8 * 16 // 8 + 32 * 4


def test_the_model_is_left_as_it_was(net, tmp_path):
    before = copy.deepcopy(net.state_dict())
    net[0].weight.grad = torch.ones(8, 16)
    rarefy.save(net, tmp_path / "a")
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
    assert rarefy.training.sparsifier_of(net) is not None


def test_a_path_may_be_text(net, tmp_path):
    rarefy.save(net, str(tmp_path / "a"))
    assert (tmp_path / "a").is_file()


def test_ninety_percent_of_a_million_weights_is_small(tmp_path):
    model = nn.Sequential(nn.Linear(784, 800), nn.ReLU(), nn.Linear(800, 480), nn.Linear(480, 10))
    weights = sum(layer.weight.numel() for layer in model if isinstance(layer, nn.Linear))
    assert weights > 1_000_000
    rarefy.sparsify(model, 0.9).finalize()
    rarefy.save(model, tmp_path / "sparse")
    rarefy.files.to_dense(tmp_path / "sparse", tmp_path / "dense")
    share = (tmp_path / "sparse").stat().st_size / (tmp_path / "dense").stat().st_size
    assert share < 0.16
    fresh = rarefy.load(tmp_path / "sparse", copy.deepcopy(model).apply(_forget))
    for key, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[key].view(torch.int32), value.view(torch.int32))
    dense = nn.Sequential(nn.Linear(784, 800), nn.ReLU(), nn.Linear(800, 480), nn.Linear(480, 10))
    assert str(dense.load_state_dict(model.state_dict())) == "<All keys matched successfully>"


def _forget(module):
    if isinstance(module, nn.Linear):
        module.reset_parameters()


def test_tied_weights_are_stored_once(tmp_path):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].weight = model[0].weight
    sparsifier = rarefy.sparsify(model, 0.5)
    rarefy.save(model, tmp_path / "a")
    contents = read(tmp_path / "a")
    assert list(contents.records) == ["0.weight", "0.bias", "1.bias"]
    assert contents.records["0.weight"].aliases == ("1.weight",)
    assert torch.equal(contents.masks["0.weight"], sparsifier.masks["0.weight"])


def test_without_a_sparsifier_a_zero_is_a_removed_weight(net, tmp_path):
    rarefy.save(copy.deepcopy(net), tmp_path / "a")
    contents = read(tmp_path / "a")
    assert contents.method is None
    assert contents.records["0.weight"].kept == 30
    assert torch.equal(contents.masks["0.weight"], net[0].weight != 0)


def test_a_mask_multiplied_in_leaves_negative_zeros_and_they_are_removed_too(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Linear(64, 64)
    with torch.no_grad():
        model.weight.mul_(torch.rand(64, 64) < 0.1)
    assert model.weight[model.weight == 0].signbit().any()
    rarefy.save(model, tmp_path / "a")
    contents = read(tmp_path / "a")
    assert contents.records["weight"].kept == int((model.weight != 0).sum())
    assert torch.equal(contents.tensors["weight"], model.weight)


def test_a_path_and_a_model_that_are_swapped_are_told(net, tmp_path):
    with pytest.raises(
        TargetError, match=r"found Sequential as path and \w+Path as model\. Swap the two"
    ):
        rarefy.save(tmp_path / "a", net)
    with pytest.raises(TargetError, match=r"found str as path and dict as model\.$"):
        rarefy.save({}, "a")
    assert not list(tmp_path.iterdir())


def test_a_model_without_weights_to_sparsify_is_saved(tmp_path):
    rarefy.save(nn.LayerNorm(4), tmp_path / "a")
    contents = read(tmp_path / "a")
    assert list(contents.records) == ["weight", "bias"]
    assert not contents.masks


def test_a_computed_weight_does_not_keep_the_others_from_being_small(tmp_path):
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.Linear(32, 32, bias=False)
    )
    with torch.no_grad():
        model[1].weight.zero_()
    rarefy.save(model, tmp_path / "a")
    contents = read(tmp_path / "a")
    # Nothing kept: 1024 places are covered by five gaps of 255, which are eight.
    assert contents.records["1.weight"].format == "delta"
    assert contents.bytes["1.weight"] == 8
    assert not contents.masks


def test_a_pruned_embedding_is_small_too(tmp_path):
    model = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 8))
    sparsifier = rarefy.sparsify(model, 0.9, only="0.weight")
    rarefy.save(model, tmp_path / "held")
    sparsifier.detach()
    rarefy.save(model, tmp_path / "free")
    assert list(read(tmp_path / "held").masks) == ["0.weight"]
    assert list(read(tmp_path / "free").masks) == ["1.weight"]
    for name in ("held", "free"):
        assert 80 * 4 < read(tmp_path / name).bytes["0.weight"] < 100 + 80 * 4


def test_wrapped_models_are_saved_plain(net, tmp_path):
    rarefy.save(torch.compile(nn.DataParallel(net), backend="eager"), tmp_path / "a")
    assert list(read(tmp_path / "a").records) == list(net.state_dict())


def test_zeros_that_were_undone_are_not_lost_in_silence(net, tmp_path):
    with torch.no_grad():
        net[0].weight[0, 1] = 1.0
    with pytest.raises(InvariantError, match=r"0\.weight: 1 removed weights are not zero"):
        rarefy.save(net, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def _rename(_module, state, prefix, _metadata):
    state[prefix + "w"] = state.pop(prefix + "weight")


def test_a_weight_that_has_no_entry_is_named(net, tmp_path):
    net[0].register_state_dict_post_hook(_rename)
    with pytest.raises(FileError, match=r"the Sparsifier holds 0\.weight, but the model"):
        rarefy.save(net, tmp_path / "a")


def test_a_model_that_renames_its_entries_is_saved_under_its_names(tmp_path):
    model = nn.Linear(4, 4)
    model.register_state_dict_post_hook(_rename)
    rarefy.save(model, tmp_path / "a")
    assert set(read(tmp_path / "a").records) == {"bias", "w"}


def test_state_that_is_no_tensor_is_refused(tmp_path):
    class Odd(nn.Linear):
        def get_extra_state(self):
            return {"scale": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(FileError, match=r"_extra_state is dict, no tensor"):
        rarefy.save(Odd(2, 2), tmp_path / "a")
    assert not list(tmp_path.iterdir())
