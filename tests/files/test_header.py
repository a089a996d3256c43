"""Our own header: what is consistent is read, all else refused."""

import hashlib
import math

import pytest
import torch

from rarefy.errors import FileError
from rarefy.files import read, save
from rarefy.files._header import Record, digest, totals


def record(**changes):
    usual = {
        "format": "dense",
        "mask": "none",
        "dtype": "F32",
        "shape": (2, 3),
        "kept": 6,
        "nonzero": 5,
        "checksum": "",
    }
    return Record(**usual | changes)


def test_what_is_stored_for_a_record():
    assert record().layout("a") == {"a": ("F32", (2, 3))}
    assert record(format="bitmask", mask="bits", dtype="BF16", shape=(3, 3), kept=4).layout(
        "a"
    ) == {
        "a.rarefy.values": ("BF16", (4,)),
        "a.rarefy.mask": ("U8", (2,)),
    }


def test_gaps_take_as_many_bytes_as_the_record_says():
    delta = record(format="delta", mask="bits", shape=(30, 30), kept=4, nonzero=4, width=5, gaps=20)
    assert delta.layout("a") == {"a.rarefy.values": ("F32", (4,)), "a.rarefy.mask": ("U8", (20,))}


def test_totals_leave_out_what_has_no_mask():
    records = {
        "a": record(mask="all"),
        "b": record(format="bitmask", mask="bits", kept=2, nonzero=1),
        "c": record(),
    }
    assert totals(records) == {"size": 12, "kept": 8, "nonzero": 6}


def test_digest_is_blake2b_of_all_parts():
    assert digest(b"ab", b"c") == hashlib.blake2b(b"abc", digest_size=16).hexdigest()


def test_the_header_of_a_saved_file(saved, tools):
    header, _ = tools.split(saved.read_bytes())
    assert header["__metadata__"]["format"] == "pt"
    text = header["__metadata__"]["rarefy"].encode()
    assert header["__metadata__"]["rarefy.checksum"] == digest(text)


def field(key, **changes):
    return lambda content: content["tensors"][key].update(changes)


def top(**changes):
    return lambda content: content.update(changes)


FORGED = {
    "version": (top(version=3), "format version 3; this rarefy reads versions 1, 2"),
    "version text": (top(version="1"), "format version 1"),
    "version true": (top(version=True), "format version True"),
    "version 1 choices": (top(choices={}), "has the fields"),
    "version 2 choices": (top(version=2, choices=[]), "choices are no JSON object"),
    "version 1 delta": (field("0.weight", format="delta"), "format is delta"),
    "version 1 width": (field("0.weight", width=1, gaps=16), "has not the fields"),
    "field more": (top(more=1), "has the fields"),
    "field less": (lambda content: content.pop("method"), "has the fields"),
    "method": (top(method=3), "method that is no text"),
    "tensors": (top(tensors=[]), "no tensors"),
    "record": (lambda content: content["tensors"].update({"0.bias": 3}), "record of 0.bias"),
    "record less": (lambda c: c["tensors"]["0.bias"].pop("dtype"), "has not the fields"),
    "format": (field("0.bias", format="csr"), "format is csr"),
    "format list": (field("0.bias", format=["dense"]), "format is"),
    "mask": (field("0.bias", mask="some"), "mask is some"),
    "dtype": (field("0.bias", dtype="F33"), "dtype is F33"),
    "other dtype": (field("0.bias", dtype="I32"), "do not agree about 0.bias"),
    "shape": (field("0.bias", shape=[9]), "do not go with format"),
    "shape negative": (field("0.bias", shape=[-8]), "whole numbers"),
    "shape overflow": (field("0.weight", shape=[2**40, 2**40]), "whole numbers"),
    "shape larger": (field("0.weight", shape=[2**20, 2**20]), "do not agree"),
    "shape turned": (field("0.weight", shape=[16, 8]), "checksum of 0.weight is wrong"),
    "kept true": (field("0.bias", kept=True), "whole numbers"),
    "kept negative": (field("0.weight", kept=-1), "whole numbers"),
    "kept other": (field("0.weight", kept=31), "do not agree"),
    "kept too many": (field("0.weight", kept=129), "do not go with"),
    "nonzero": (field("0.weight", nonzero=29), "totals"),
    "nonzero too many": (field("0.weight", nonzero=33), "do not go with"),
    "nonzero text": (field("0.weight", nonzero="30"), "whole numbers"),
    "bits to none": (field("0.weight", mask="none"), "totals"),
    "bits to all": (field("0.weight", mask="all"), "do not go with"),
    "dense to bitmask": (field("0.bias", format="bitmask"), "do not agree"),
    "all to none": (field("2.weight", mask="none"), "totals"),
    "checksum": (field("0.bias", checksum="0" * 32), "checksum of 0.bias is wrong"),
    "checksum none": (field("0.bias", checksum=None), "do not go with"),
    "aliases": (field("0.bias", aliases="x"), "aliases is no list"),
    "aliases numbers": (field("0.bias", aliases=[1]), "aliases is no list"),
    "alias twice": (field("0.bias", aliases=["x", "x"]), "stands for two"),
    "alias taken": (field("0.bias", aliases=["2.bias"]), "stands for two"),
    "size": (top(size=1), "totals"),
    "size true": (top(size=160.0), "totals"),
    "less": (lambda content: content["tensors"].pop("0.bias"), "do not agree about 0.bias"),
    "more": (lambda c: c["tensors"].update(x=c["tensors"]["0.bias"]), "do not agree about x"),
}


FORGED_GAPS = {
    "width": (field("0.weight", width=5), "do not go with format delta"),
    "width none": (field("0.weight", width=0), "do not go with format delta"),
    "width more": (field("0.weight", width=9, gaps=360), "do not go with format delta"),
    "width text": (field("0.weight", width="4"), "whole numbers"),
    "gaps less": (field("0.weight", gaps=152), "do not go with format delta"),
    "gaps more": (field("0.weight", gaps=160), "do not agree"),
    "gaps huge": (field("0.weight", gaps=2**61), "do not agree"),
    "gaps true": (field("0.weight", gaps=True), "whole numbers"),
    "kept more than gaps": (field("0.weight", kept=400), "do not go with format delta"),
    "shape beyond the gaps": (field("0.weight", shape=[2**20, 2**20]), "do not go with"),
    "shape turned": (field("0.weight", shape=[100, 40]), "checksum of 0.weight is wrong"),
    "shape larger": (field("0.weight", shape=[41, 100]), "its gaps take"),
    "shape smaller": (field("0.weight", shape=[30, 100]), "beyond its end"),
    "version": (top(version=1), "has not the fields"),
    "bitmask": (field("0.weight", format="bitmask"), "has not the fields"),
    "no width": (lambda c: c["tensors"]["0.weight"].pop("width"), "has not the fields"),
}


@pytest.mark.parametrize("case", FORGED_GAPS)
def test_forged_gaps_are_refused(case, saved_wide, tools):
    change, words = FORGED_GAPS[case]

    def changed(content):
        change(content)
        masked = content["tensors"].values()
        content["size"] = sum(math.prod(one["shape"]) for one in masked if one["mask"] != "none")

    saved_wide.write_bytes(tools.forge(saved_wide.read_bytes(), changed))
    with pytest.raises(FileError, match=words):
        dict(read(saved_wide).tensors)


def test_the_lowest_version_that_can_is_written(saved, saved_wide, net, tmp_path):
    assert [read(path).version for path in (saved, saved_wide)] == [1, 2]
    save(net, tmp_path / "chosen", choices={"goal": "memory", "layers": [1, 2.5, None]})
    contents = read(tmp_path / "chosen")
    assert contents.version == 2
    assert contents.choices == {"goal": "memory", "layers": [1, 2.5, None]}


@pytest.mark.parametrize("choices", [{"a": float("nan")}, {"a": torch.ones(1)}, {"a": {1, 2}}])
def test_choices_that_are_no_plain_data_are_refused(choices, net, tmp_path):
    with pytest.raises(FileError, match="plain data that JSON can say"):
        save(net, tmp_path / "a", choices=choices)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_header_is_refused(case, saved, tools):
    change, words = FORGED[case]
    saved.write_bytes(tools.forge(saved.read_bytes(), change))
    with pytest.raises(FileError, match=words) as caught:
        dict(read(saved).tensors)
    assert str(caught.value).startswith(str(saved))


def test_an_unforged_one_is_read(saved, tools):
    saved.write_bytes(tools.forge(saved.read_bytes(), lambda _: None))
    assert len(dict(read(saved).tensors)) == 9


def test_a_counts_forged_together_are_found_in_the_tensor(saved, tools):
    def change(content):
        content["tensors"]["0.weight"]["nonzero"] -= 1
        content["nonzero"] -= 1

    saved.write_bytes(tools.forge(saved.read_bytes(), change))
    with pytest.raises(FileError, match=r"0\.weight has not the counts"):
        dict(read(saved).tensors)


@pytest.mark.parametrize("name", ["rarefy", "rarefy.checksum"])
def test_half_a_header_is_refused(saved, tools, name):
    header, tensors = tools.split(saved.read_bytes())
    del header["__metadata__"][name]
    saved.write_bytes(tools.join(header, tensors))
    with pytest.raises(FileError, match="checksum of its rarefy header"):
        read(saved)


def test_a_file_that_lost_its_metadata_is_refused(saved, tools):
    header, tensors = tools.split(saved.read_bytes())
    del header["__metadata__"]
    saved.write_bytes(tools.join(header, tensors))
    with pytest.raises(FileError, match="another program wrote it anew"):
        read(saved)


def test_a_changed_letter_of_the_text_is_found(saved, tools):
    header, tensors = tools.split(saved.read_bytes())
    text = header["__metadata__"]["rarefy"]
    header["__metadata__"]["rarefy"] = text.replace('"method":"hold"', '"method":"holt"')
    assert header["__metadata__"]["rarefy"] != text
    saved.write_bytes(tools.join(header, tensors))
    with pytest.raises(FileError, match="checksum of its rarefy header"):
        read(saved)
