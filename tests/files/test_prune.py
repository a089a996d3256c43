"""Pruning files without the model's code."""

import json
import tracemalloc

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import BudgetError, FileError, PatternError, RarefyError, ScoreError
from rarefy.files import prune_file, read, to_dense


@pytest.fixture
def plain(tools, tmp_path):
    torch.manual_seed(0)
    tensors = {
        "embed.weight": torch.randn(10, 8),
        "0.weight": torch.randn(16, 8),
        "0.bias": torch.randn(16),
        "1.weight": torch.randn(4, 16).to(torch.bfloat16),
    }
    return tools.plain_file(tmp_path / "in.safetensors", tensors)


def test_exactly_the_largest_of_all_are_kept(plain, tmp_path):
    pruned = prune_file(plain, 0.75, tmp_path / "out")
    before, after = read(plain).tensors, read(tmp_path / "out")
    assert list(pruned.weights) == ["0.weight", "1.weight"]
    assert pruned.left_alone == ("0.bias", "embed.weight")
    assert (pruned.size, pruned.kept, pruned.sparsity) == (192, 48, 0.75)
    scores = torch.cat([before[name].float().abs().reshape(-1) for name in pruned.weights])
    limit = scores.sort(descending=True).values[47]
    for name in pruned.weights:
        mask = before[name].float().abs() >= limit
        assert torch.equal(after.masks[name], mask)
        assert torch.equal(after.tensors[name], before[name] * mask)
    for name in pruned.left_alone:
        assert torch.equal(after.tensors[name], before[name])
    assert after.method == "one_shot"
    assert pruned.bytes_before == plain.stat().st_size
    assert pruned.bytes_after == after.size


def test_the_same_as_pruning_the_model(tmp_path):
    model = nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 8), nn.Conv2d(4, 8, 3))
    rarefy.save(model, tmp_path / "dense")
    prune_file(tmp_path / "dense", 0.9, tmp_path / "sparse")
    sparsifier = rarefy.sparsify(model, 0.9)
    masks = read(tmp_path / "sparse").masks
    assert set(masks) == set(sparsifier.masks)
    for name, mask in sparsifier.masks.items():
        assert torch.equal(masks[name], mask)


def test_it_may_be_pruned_in_place(plain):
    prune_file(plain, 0.5, plain)
    assert read(plain).records["0.weight"].format == "bitmask"


def test_what_is_removed_stays_removed(plain, tmp_path):
    prune_file(plain, 0.5, tmp_path / "half")
    before = read(tmp_path / "half").masks
    prune_file(tmp_path / "half", 0.9, tmp_path / "more", score="random", seed=3)
    after = read(tmp_path / "more").masks
    assert sum(int(mask.sum()) for mask in after.values()) == 19
    for name, mask in after.items():
        assert not (mask & ~before[name]).any()
    with pytest.raises(BudgetError):
        prune_file(tmp_path / "half", 0.3, tmp_path / "less")
    assert not (tmp_path / "less").exists()


def test_masks_of_weights_that_are_left_out_are_carried_over(plain, tmp_path):
    prune_file(plain, 0.5, tmp_path / "half")
    prune_file(tmp_path / "half", 0.9, tmp_path / "more", skip="1")
    for contents in (read(tmp_path / "half"), read(tmp_path / "more")):
        assert "1.weight" in contents.masks
    assert (
        read(tmp_path / "more").records["1.weight"] == read(tmp_path / "half").records["1.weight"]
    )


def test_words(plain, tmp_path):
    prune_file(plain, "2:4", tmp_path / "a")
    assert (read(tmp_path / "a").masks["0.weight"].reshape(-1, 4).sum(1) == 2).all()
    prune_file(plain, 0.5, tmp_path / "b", pattern="row", allocation="uniform")
    rows = read(tmp_path / "b").masks["0.weight"].sum(1)
    assert sorted(rows.tolist()) == [0] * 8 + [8] * 8
    pruned = prune_file(plain, 0.5, tmp_path / "c", only="embed*")
    assert list(pruned.weights) == ["embed.weight"]
    one = prune_file(plain, 0.5, tmp_path / "d", score="random", seed=1)
    two = prune_file(plain, 0.5, tmp_path / "e", score="random", seed=1)
    assert one.weights == two.weights
    assert one.weights != prune_file(plain, 0.5, tmp_path / "f", score="random", seed=2).weights


def test_float8(tools, tmp_path):
    weight = torch.randn(8, 8).to(torch.float8_e4m3fn)
    tools.plain_file(tmp_path / "a", {"a.weight": weight})
    pruned = prune_file(tmp_path / "a", 0.5, tmp_path / "b")
    found = read(tmp_path / "b")
    assert pruned.kept == 32
    assert torch.equal(found.tensors["a.weight"].float(), weight.float() * found.masks["a.weight"])


def test_a_weight_that_is_not_a_number_is_named(tools, tmp_path):
    tools.plain_file(tmp_path / "a", {"a.weight": torch.full((4, 4), torch.nan)})
    with pytest.raises(ScoreError, match=r"a\.weight"):
        prune_file(tmp_path / "a", 0.5, tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.fixture
def folder(tools, tmp_path):
    torch.manual_seed(0)
    made = tmp_path / "model"
    made.mkdir()
    names = ("model-1-of-2.safetensors", "model-2-of-2.safetensors")
    tools.plain_file(made / names[0], {"a.weight": torch.randn(8, 8)})
    tools.plain_file(
        made / names[1], {"b.weight": torch.randn(8, 8) * 100, "b.bias": torch.ones(8)}
    )
    weight_map = {"a.weight": names[0], "b.weight": names[1], "b.bias": names[1]}
    index = {"metadata": {"total_size": 544}, "weight_map": weight_map}
    (made / "model.safetensors.index.json").write_text(json.dumps(index))
    (made / "config.json").write_text('{"model_type": "x"}')
    return made


def test_the_files_of_a_folder_are_one_model(folder, tmp_path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    pruned = prune_file(folder, 0.5, tmp_path / "out")
    # b's weights are a hundred times larger, so b keeps nearly everything.
    assert pruned.kept == 64
    assert pruned.weights["b.weight"].kept > 55
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == sorted(before)
    assert (out / "config.json").read_bytes() == before["config.json"]
    assert read(out / "model-1-of-2.safetensors").records["a.weight"] == pruned.weights["a.weight"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_can_be_pruned_again_and_made_dense_with_a_true_index(folder, tmp_path):
    before = json.loads((folder / "model.safetensors.index.json").read_text())
    prune_file(folder, 0.5, tmp_path / "half")
    found = json.loads((tmp_path / "half" / "model.safetensors.index.json").read_text())
    # a keeps few of its weights, so bits and values; b's are stored in whichever way is smaller.
    assert "a.weight" not in found["weight_map"]
    assert found["weight_map"]["a.weight.rarefy.mask"] == "model-1-of-2.safetensors"
    held = [read(tmp_path / "half" / name).bytes for name in set(found["weight_map"].values())]
    assert found["metadata"]["total_size"] == sum(sum(sizes.values()) for sizes in held)
    assert prune_file(tmp_path / "half", 0.75, tmp_path / "more").kept == 32
    to_dense(tmp_path / "more", tmp_path / "dense")
    assert json.loads((tmp_path / "dense" / "model.safetensors.index.json").read_text()) == before


def test_pruning_to_less_than_is_removed_is_refused(plain, tmp_path):
    prune_file(plain, 0.9, tmp_path / "most")
    said = r"sparsity of 0\.5 is absolute, and 0\.9010 is removed already\. Pruning only removes"
    with pytest.raises(BudgetError, match=said):
        prune_file(tmp_path / "most", 0.5, tmp_path / "half")
    assert not (tmp_path / "half").exists()
    again = prune_file(tmp_path / "most", 0.9, tmp_path / "again")
    assert again.kept == 19
    # A row lives while one weight of it does, so by the row there is more to choose from.
    rows = prune_file(tmp_path / "most", 0.5, tmp_path / "rows", pattern="row")
    assert rows.kept >= 10 * 8
    with pytest.raises(PatternError, match=r"^0\.weight: "):
        prune_file(tmp_path / "most", 0.95, tmp_path / "odd", pattern="block 5x1")


def test_a_folder_that_fails_leaves_nothing(folder, tmp_path):
    last = folder / "model-2-of-2.safetensors"
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.raises(FileError, match="truncated"):
        prune_file(folder, 0.5, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("sparsity", [1.0, -0.1, 90, "4:2", "x"])
def test_a_wrong_sparsity_writes_nothing(plain, sparsity, tmp_path):
    with pytest.raises(RarefyError):
        prune_file(plain, sparsity, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_file_of_many_is_in_memory_at_once(tools, tmp_path):
    (tmp_path / "a").mkdir()
    for i in range(10):
        tensors = {f"{i}.{j}.weight": torch.randn(100, 1000) for j in range(2)}
        tools.plain_file(tmp_path / "a" / f"{i}.safetensors", tensors)
    one = 400_000
    tracemalloc.start()  # which sees what is read and packed; torch's own is in the room of _topk
    try:
        prune_file(tmp_path / "a", 0.5, tmp_path / "b")
        assert tracemalloc.get_traced_memory()[1] < 6 * one
    finally:
        tracemalloc.stop()
