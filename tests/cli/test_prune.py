"""``rarefy prune``."""

import pytest
import torch

import rarefy
from rarefy.files import read, read_masks


def test_it_prunes_exactly_and_says_what_it_saved(as_json, dense_file, tmp_path):
    found = as_json("prune", dense_file, "0.75", "out.safetensors")
    assert (found["size"], found["kept"], found["sparsity"]) == (60, 15, 0.75)
    assert found["bytes_before"] == dense_file.stat().st_size
    assert found["bytes_after"] == (tmp_path / "out.safetensors").stat().st_size
    assert set(found["left_alone"]) == {"0.bias", "2.bias"}
    # The largest of 1..48 and 1..12, but one at least of each weight.
    assert [each["kept"] for each in found["weights"].values()] == [14, 1]
    values = read("out.safetensors").tensors["0.weight"].flatten()
    assert values[values != 0].tolist() == list(range(35, 49))


def test_each_option_reaches_the_library(as_json, dense_file):
    as_json("prune", dense_file, "2:4", "a.safetensors", "--only", "0.weight")
    assert read_masks("a.safetensors")["0.weight"].view(-1, 4).sum(1).tolist() == [2] * 12
    as_json("prune", dense_file, "0.5", "b.safetensors", "--pattern", "row", "--skip", "2.*")
    mask = read_masks("b.safetensors")["0.weight"]
    assert mask.any(1).tolist() == [False] * 3 + [True] * 3
    found = as_json("prune", dense_file, "0.5", "c.safetensors", "--allocation", "uniform")
    assert [each["kept"] for each in found["weights"].values()] == [24, 6]
    by_name = ("--allocation", "0.weight=0.75", "--allocation", "2.weight=0.5")
    found = as_json("prune", dense_file, "0.7", "d.safetensors", *by_name)
    assert [each["kept"] for each in found["weights"].values()] == [12, 6]
    for seed in (1, 1, 2):
        name = f"r{seed}.safetensors"
        as_json("prune", dense_file, "0.5", name, "--score", "random", "--seed", seed)
    one, two = (read_masks(f"r{seed}.safetensors")["0.weight"] for seed in (1, 2))
    assert not torch.equal(one, two)


def test_the_table_tells_bytes_before_and_after(rarefy_, dense_file):
    shown = rarefy_("prune", dense_file, "0.75", "out.safetensors").stdout
    assert "15 of 60 weights kept, 75.00% sparsity; 2 other tensors left alone" in shown
    assert f"{dense_file.stat().st_size:,} bytes before" in shown
    assert rarefy.report("out.safetensors").counts.kept == 15


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["90"], "Did you mean 0.9?"),
        (["1"], "[0, 1)"),
        (["much"], "no pattern 'much'"),
        (["3:5"], "0.weight"),
        (["0.5", "--score", "magnitud"], "Did you mean 'magnitude'?"),
        (["0.5", "--score", "taylor"], "needs"),
        (["0.5", "--allocation", "globl"], "Did you mean 'global'?"),
        (["0.5", "--only", "none*"], "none*"),
    ],
)
def test_the_library_refuses_and_nothing_is_written(rarefy_, dense_file, tmp_path, words, said):
    sparsity, *more = words
    result = rarefy_("prune", dense_file, sparsity, "out.safetensors", *more, code=1)
    assert said in result.stderr
    assert not (tmp_path / "out.safetensors").exists()
