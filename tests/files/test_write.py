"""Files from tensors that are made one at a time."""

import torch

from rarefy.files import read
from rarefy.files._tensors import Source
from rarefy.files._write import write_dense, write_sparse


def sources():
    mask = torch.eye(8, dtype=torch.bool)
    tensors = {
        "flag": torch.tensor([True]),
        "half": torch.ones(3, dtype=torch.float16),
        "wide": torch.ones(3, dtype=torch.float64),
        "thin": torch.eye(8),
    }
    made = {key: Source(lambda tensor=tensor: tensor) for key, tensor in tensors.items()}
    made["thin"] = Source(lambda: tensors["thin"], lambda: mask)
    return made


def test_every_tensor_begins_at_a_multiple_of_its_element(tmp_path, tools):
    write_sparse(tmp_path / "a", sources())
    data = (tmp_path / "a").read_bytes()
    header, tensors = tools.split(data)
    del header["__metadata__"]
    assert len(header) == 5
    for entry in header.values():
        begin = len(data) - len(tensors) + entry["data_offsets"][0]
        assert begin % {"F64": 8, "F32": 4, "F16": 2, "BOOL": 1, "U8": 1}[entry["dtype"]] == 0


def test_the_records_are_those_in_the_file_in_the_order_given(tmp_path):
    records = write_sparse(tmp_path / "a", sources(), "set")
    contents = read(tmp_path / "a")
    assert contents.records == records
    assert list(records) == ["flag", "half", "wide", "thin"]
    assert contents.method == "set"


def test_other_metadata_are_carried_and_ours_are_not(tmp_path):
    write_sparse(tmp_path / "a", sources(), metadata={"note": "kept", "rarefy": "not"})
    metadata = read(tmp_path / "a").metadata
    assert metadata["note"] == "kept"
    assert metadata["rarefy"].startswith('{"version":1,')
    write_dense(tmp_path / "b", {"wide": ("F64", (3,))}, sources(), metadata)
    assert read(tmp_path / "b").metadata == {"format": "pt", "note": "kept"}


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    write_sparse(tmp_path / "a", sources())
    write_sparse(tmp_path / "b", sources())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
