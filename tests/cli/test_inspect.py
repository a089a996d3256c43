"""``rarefy inspect``."""

import shutil

import torch
from safetensors.torch import save_file


def test_it_lists_what_our_file_holds(as_json, sparse_file):
    found = as_json("inspect", sparse_file)
    (file,) = found["files"]
    assert (file["version"], file["method"]) == (1, "one_shot")
    assert file["bytes"] == sparse_file.stat().st_size
    rows = {row["name"]: row for row in file["tensors"]}
    assert list(rows) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert sum(rows[name]["kept"] for name in ("0.weight", "2.weight")) == 15
    weight = rows["0.weight"]
    assert (weight["shape"], weight["dtype"], weight["size"]) == ([6, 8], "F32", 48)
    # 48 bits are 6 bytes, and each kept value takes 4.
    assert weight["stored"] == "bitmask"
    assert weight["bytes"] == weight["formats"]["bitmask"] == 6 + 4 * weight["kept"]
    assert weight["smallest_bytes"] == min(weight["formats"].values())
    assert weight["formats"]["dense"] == 192
    assert 4 * weight["kept"] <= weight["least"] <= weight["bytes"]
    assert weight["sparsity"] == 1 - weight["kept"] / 48
    assert (rows["0.bias"]["stored"], rows["0.bias"]["smallest"]) == ("dense", "dense")
    assert (rows["0.bias"]["formats"], rows["0.bias"]["next"]) == ({"dense": 24}, None)


def test_in_an_ordinary_file_a_zero_is_not_kept(as_json, tmp_path):
    weight = torch.eye(10)
    save_file({"w": weight, "n": torch.tensor(3)}, tmp_path / "x.safetensors")
    rows = {r["name"]: r for r in as_json("inspect", "x.safetensors")["files"][0]["tensors"]}
    assert (rows["w"]["kept"], rows["w"]["nonzero"], rows["w"]["sparsity"]) == (10, 10, 0.9)
    assert (rows["w"]["stored"], rows["w"]["bytes"]) == ("dense", 400)
    # Gaps of 1 and then 11, in 4 bits, filled up to 16 of them.
    assert (rows["w"]["formats"]["bitmask"], rows["w"]["formats"]["delta 4"]) == (53, 48)
    assert rows["w"]["smallest_bytes"] == min(rows["w"]["formats"].values())
    assert (rows["n"]["shape"], rows["n"]["dtype"]) == ([], "I64")


def test_a_folder_is_shown_file_by_file(as_json, rarefy_, tmp_path, dense_file, sparse_file):
    folder = tmp_path / "shards"
    folder.mkdir()
    shutil.copy(dense_file, folder / "a.safetensors")
    shutil.copy(sparse_file, folder / "b.safetensors")
    assert [file["version"] for file in as_json("inspect", folder)["files"]] == [None, 1]
    shown = rarefy_("inspect", folder).stdout
    assert "ordinary safetensors file" in shown
    assert "format 1, method one_shot" in shown
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert f"2 files, {size:,} bytes in all:\n91 of 136 elements kept" in shown


def test_the_table_shows_every_tensor(rarefy_, sparse_file):
    shown = rarefy_("inspect", sparse_file).stdout
    assert all(name in shown for name in ("0.weight", "2.bias", "6 x 8", "bitmask"))
    assert "23 of 68 elements kept" in shown
    assert "in all" not in shown


def test_the_second_table_shows_every_format_and_the_next_break_even(rarefy_, as_json, tmp_path):
    save_file({"w": torch.ones(200, 200)}, tmp_path / "x.safetensors")
    shown = rarefy_("inspect", "x.safetensors").stdout
    assert all(word in shown for word in ("as dense", "as delta", "next break-even"))
    assert "bitmask from 3.1 %" in shown
    (row,) = as_json("inspect", "x.safetensors")["files"][0]["tensors"]
    assert (row["next"], round(row["next_sparsity"], 3)) == ("bitmask", 0.031)
    save_file({"n": torch.tensor(3)}, tmp_path / "y.safetensors")
    assert "next break-even" not in rarefy_("inspect", "y.safetensors").stdout


def test_an_empty_folder_and_a_damaged_file_are_told(rarefy_, tmp_path, sparse_file):
    (tmp_path / "empty").mkdir()
    assert "has no *.safetensors" in rarefy_("inspect", "empty", code=1).stderr
    sparse_file.write_bytes(sparse_file.read_bytes()[:-3] + b"\x00\x00\x01")
    assert "damaged" in rarefy_("inspect", sparse_file, code=1).stderr
