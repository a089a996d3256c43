"""``rarefy.load``: all of it, or nothing."""

import copy

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import FileError, TargetError
from rarefy.files import read_masks


def values(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def unchanged(model, before, tools):
    return all(tools.same(value, before[key]) for key, value in model.state_dict().items())


def test_bit_identical(saved, net, tools):
    fresh = tools.build_net()
    weight = fresh[0].weight
    assert rarefy.load(saved, fresh) is fresh
    assert fresh[0].weight is weight
    assert unchanged(fresh, net.state_dict(), tools)
    assert rarefy.training.sparsifier_of(fresh) is None


def test_masks_come_back_with_the_kept_zeros(saved, tools):
    fresh = rarefy.load(saved, tools.build_net())
    masks = read_masks(saved)
    assert masks["0.weight"].sum() == 32
    assert (fresh[0].weight != 0).sum() == 30
    sparsifier = rarefy.hold(fresh, masks=masks)
    assert sparsifier.masks.kept == 32 + 32


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn], ids=str
)
def test_dtypes_and_buffers(dtype, tmp_path, tools):
    def build():
        model = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16))
        with torch.no_grad():
            model[0].weight.abs_()  # float8 rounds some to zero, and a -0.0 would return as 0.0
        model.to(dtype)
        model.register_buffer("flags", torch.rand(3, 5) < 0.5)
        model.register_buffer("table", torch.randint(0, 100, (4,), dtype=torch.int16))
        model.register_buffer("nothing", torch.zeros(0, 3))
        model.register_buffer("turned", torch.rand(3, 5).T)
        return model

    model = build()
    with torch.no_grad():
        model[0].weight.view(-1).view(torch.uint8)[: 200 * dtype.itemsize] = 0
    rarefy.save(model, tmp_path / "a")
    fresh = build()
    rarefy.load(tmp_path / "a", fresh)
    assert unchanged(fresh, model.state_dict(), tools)


def test_a_path_and_a_model_that_are_swapped_are_told(saved, net):
    wanted = r"a str or pathlib\.Path as path and a torch\.nn\.Module as model; found "
    with pytest.raises(TargetError, match=wanted + r"Sequential as path and str as model\. Swap"):
        rarefy.load(net, str(saved))
    with pytest.raises(TargetError, match=wanted + r"int as path and Sequential as model\.$"):
        rarefy.load(3, net)


def test_wrapped_models(saved, net, tools):
    fresh = tools.build_net()
    wrapped = torch.compile(nn.DataParallel(fresh), backend="eager")
    assert rarefy.load(saved, wrapped) is wrapped
    assert unchanged(fresh, net.state_dict(), tools)
    part = nn.Sequential(torch.compile(fresh[0], backend="eager"), *tools.build_net()[1:])
    rarefy.load(saved, part)
    assert torch.equal(part[2].weight, net[2].weight)


def tied(tie=True):
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    if tie:
        model[1].weight = model[0].weight
    return model


def test_tied_weights_load_by_either_name(tmp_path):
    model = tied()
    rarefy.sparsify(model, 0.5).finalize()
    rarefy.save(model, tmp_path / "a")
    again = rarefy.load(tmp_path / "a", tied())
    assert again[0].weight is again[1].weight
    free = rarefy.load(tmp_path / "a", tied(tie=False))
    second = nn.Sequential(nn.Identity(), nn.Linear(8, 8, bias=False))
    rarefy.load(tmp_path / "a", second)
    for found in (again[0], again[1], free[0], free[1], second[1]):
        assert torch.equal(found.weight, model[0].weight)
    assert free[0].weight is not free[1].weight


def test_untied_weights_load_into_a_tied_model_only_if_they_are_equal(tmp_path):
    model = tied(tie=False)
    rarefy.save(model, tmp_path / "different")
    fresh = tied()
    before = values(fresh)
    with pytest.raises(FileError, match=r"different values for 0\.weight and 1\.weight"):
        rarefy.load(tmp_path / "different", fresh)
    assert torch.equal(fresh[0].weight, before["0.weight"])
    model[1].load_state_dict(model[0].state_dict())
    rarefy.save(model, tmp_path / "equal")
    assert torch.equal(rarefy.load(tmp_path / "equal", fresh)[1].weight, model[0].weight)


def test_ordinary_files_load(net, tools, tmp_path):
    path = tools.plain_file(tmp_path / "plain", dict(copy.deepcopy(net.state_dict())))
    fresh = tools.build_net()
    rarefy.load(path, fresh)
    assert unchanged(fresh, net.state_dict(), tools)
    assert read_masks(path) == {}


def test_a_name_that_another_program_dropped_since_it_is_tied(tools, tmp_path):
    model = tied()
    path = tools.plain_file(tmp_path / "plain", {"1.weight": model[1].weight.detach()})
    assert torch.equal(rarefy.load(path, tied())[0].weight, model[0].weight)


OTHER = {
    "layers missing": (
        lambda: nn.Sequential(nn.Linear(16, 8)),
        r"The file has, and the model has not: 1\.weight, 1\.bias, 1\.running_mean, "
        r"1\.running_var, 1\.num_batches_tracked, and 2 more",
    ),
    "layers more": (
        lambda: nn.Sequential(
            nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 4), nn.Linear(4, 1)
        ),
        r"The model has, and the file has not: 3\.weight, 3\.bias\.",
    ),
    "shape": (
        lambda: nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 5)),
        r"2\.weight is torch\.float32 of shape \(5, 8\) in the model, torch\.float32 of shape "
        r"\(4, 8\) in the file",
    ),
    "turned": (
        lambda: nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)),
        "and 4 more",
    ),
    "dtype": (
        lambda: nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)).half(),
        r"0\.weight is torch\.float16 of shape.*torch\.float32 of shape.*model\.half\(\)",
    ),
    "meta": (
        lambda: nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)).to("meta"),
        r"0\.weight is on the meta device",
    ),
}


@pytest.mark.parametrize("case", OTHER)
def test_a_file_of_another_model_changes_nothing(case, saved, tools):
    build, words = OTHER[case]
    model = build()
    before = {} if case == "meta" else values(model)
    with pytest.raises(FileError, match=words):
        rarefy.load(saved, model)
    assert case == "meta" or unchanged(model, before, tools)


def test_a_renamed_part_is_guessed(saved, tools):
    model = nn.Module()
    model.add_module("0", tools.build_net()[0])
    model.add_module("1", tools.build_net()[1])
    model.add_module("20", tools.build_net()[2])
    with pytest.raises(FileError, match=r"Perhaps 2\.weight is what the model calls 20\.weight"):
        rarefy.load(saved, model)


def test_damage_in_the_last_tensor_changes_nothing(saved, tools):
    data = bytearray(saved.read_bytes())
    data[-1] ^= 1
    saved.write_bytes(data)
    fresh = tools.build_net()
    before = values(fresh)
    with pytest.raises(FileError, match=r"0\.weight: its mask keeps 31, but 32"):
        rarefy.load(saved, fresh)
    assert unchanged(fresh, before, tools)


def test_a_sparsifier_takes_a_file_with_its_own_masks(saved, net):
    with torch.no_grad():
        net[2].weight.mul_(2)
    before = values(net)
    rarefy.load(saved, net)
    assert torch.equal(net[2].weight * 2, before["2.weight"])
    rarefy.training.sparsifier_of(net).check()


def test_a_sparsifier_refuses_other_masks(saved, tools):
    model = tools.build_net()
    sparsifier = rarefy.sparsify(model, 0.5)
    before = values(model)
    with pytest.raises(FileError, match=r"its masks are not those of the file: 0\.weight.*hold"):
        rarefy.load(saved, model)
    assert unchanged(model, before, tools)
    sparsifier.check()
    sparsifier.detach()
    rarefy.load(saved, model)
    rarefy.hold(model, masks=read_masks(saved)).check()


def test_a_sparsifier_takes_a_dense_file_whose_zeros_are_its_own(net, tools, tmp_path):
    fits = tools.plain_file(tmp_path / "fits", dict(copy.deepcopy(net.state_dict())))
    rarefy.load(fits, net)
    dense = tools.plain_file(tmp_path / "dense", dict(tools.build_net().state_dict()))
    with pytest.raises(FileError, match=r"not those of the file: 0\.weight\."):
        rarefy.load(dense, net)
    rarefy.training.sparsifier_of(net).check()


def test_what_cannot_be_written_into_is_refused_before_anything_is(saved, tools):
    model = tools.build_net()
    model[2].weight = nn.Parameter(torch.zeros(1, 8).expand(4, 8))
    before = values(model)
    with pytest.raises(FileError, match=r"^2\.weight of the model.*share memory"):
        rarefy.load(saved, model)
    with torch.inference_mode():
        model[2].weight = nn.Parameter(torch.zeros(4, 8))
    with pytest.raises(FileError, match=r"^2\.weight of the model.*inference"):
        rarefy.load(saved, model)
    assert torch.equal(model[0].weight, before["0.weight"])
