"""Which tensors of a file are weights."""

import pytest

from rarefy.errors import TargetError
from rarefy.files._header import Record
from rarefy.files._weights import weights_among


def records(**shapes):
    return {key.replace("__", "."): record(shape) for key, shape in shapes.items()}


def record(shape, dtype="F32"):
    return Record(
        format="dense", mask="none", dtype=dtype, shape=shape, kept=0, nonzero=None, checksum=None
    )


WEIGHTS = (
    "0.weight",
    "weight",
    "model.layers.0.self_attn.q_proj.weight",
    "transformer.h.0.attn.c_attn.weight",
    "encoder.self_attn.in_proj_weight",
    "lstm.weight_ih_l0",
    "lstm.weight_hh_l0_reverse",
    "cell.weight_hh",
    "lm_head.weight",
    "features.3.conv.weight",
    "shared.0.weight",
    "vuln_x.weight",
)
OTHERS = (
    "0.bias",
    "model.embed_tokens.weight",
    "bert.embeddings.word_embeddings.weight",
    "transformer.wte.weight",
    "transformer.wpe.weight",
    "shared.weight",
    "encoder.relative_attention_bias.weight",
    "block.LayerNorm.weight",
    "block.norm1.weight",
    "block.ln_1.weight",
    "cls_token",
    "table.values",
)


def test_names_of_weights_and_of_others():
    found = weights_among({name: record((4, 4)) for name in (*WEIGHTS, *OTHERS)})
    assert tuple(found) == WEIGHTS


def test_only_floating_tensors_of_two_sides_or_more_with_elements():
    found = weights_among(
        {
            "a.weight": record((4, 4)),
            "b.weight": record((4,)),
            "c.weight": record((4, 4), "I8"),
            "d.weight": record((4, 0)),
            "e.weight": record((4, 4, 3, 3), "F8_E4M3"),
        }
    )
    assert list(found) == ["a.weight", "e.weight"]


def test_only_and_skip_by_name_glob_and_part():
    among = records(a__weight=(4, 4), a__b__weight=(4, 4), c__weight=(4, 4), embed__weight=(4, 4))
    assert list(weights_among(among, only="a")) == ["a.weight", "a.b.weight"]
    assert list(weights_among(among, only=["embed.weight", "c*"])) == ["c.weight", "embed.weight"]
    assert list(weights_among(among, skip="a.*")) == ["c.weight"]
    assert list(weights_among(among, skip=["a.b", "c.weight"])) == ["a.weight"]


def test_a_choice_that_finds_nothing_is_refused_with_the_nearest():
    among = records(encoder__weight=(4, 4))
    with pytest.raises(TargetError, match=r"only='encodr.*Did you mean encoder\.weight"):
        weights_among(among, only="encodr.weight")
    with pytest.raises(TargetError, match="skip='x' finds no weight"):
        weights_among(among, skip="x")


def test_nothing_left_is_refused():
    with pytest.raises(TargetError, match=r"Name some with only=.*It has: embed\.weight"):
        weights_among(records(embed__weight=(4, 4)))
    with pytest.raises(TargetError, match="no floating tensor of two sides"):
        weights_among(records(a__weight=(4,)))


@pytest.mark.parametrize(
    ("shapes", "key", "groups"),
    [
        ({"a.in_proj_weight": (12, 4)}, "a.in_proj_weight", 3),
        ({"l.weight_ih_l0": (20, 7), "l.weight_hh_l0": (20, 5)}, "l.weight_ih_l0", 4),
        ({"l.weight_ih_l0": (20, 7), "l.weight_hh_l0": (20, 5)}, "l.weight_hh_l0", 4),
        ({"g.weight_ih_l1": (15, 7), "g.weight_hh_l1": (15, 5)}, "g.weight_ih_l1", 3),
        ({"r.weight_ih": (5, 7), "r.weight_hh": (5, 5)}, "r.weight_ih", 1),
        ({"l.weight_ih_l0": (20, 7), "l.weight_hh_l0": (20, 3)}, "l.weight_ih_l0", 1),
        ({"l.weight_ih_l0": (20, 7)}, "l.weight_ih_l0", 1),
    ],
)
def test_stacked_blocks_are_known_by_shape(shapes, key, groups):
    found = weights_among({name: record(shape) for name, shape in shapes.items()})
    assert found[key].groups == groups
    assert found[key].name == key
