"""The user's own functions by name."""

import pytest
import torch

from rarefy.cli._own import function, own_setup
from rarefy.errors import UnknownName


def test_it_finds_a_function_in_the_current_folder(mine):
    assert function(f"{mine}:evaluate", "--evaluate").__name__ == "evaluate"


def test_it_finds_a_function_of_a_package():
    assert function("torch.nn:Linear", "--model") is torch.nn.Linear


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mine", "package.module:function"),
        ("mine:", "package.module:function"),
        (":build", "package.module:function"),
        ("absent:build", "no module 'absent'"),
        ("absent.part:build", "no module 'absent.part'"),
        ("mine:buid", "Did you mean 'build'?"),
        ("mine:number", "no function 'number'"),
    ],
)
def test_what_is_not_there_is_told(mine, text, said):
    del mine
    with pytest.raises(UnknownName) as raised:
        function(text, "--model")
    assert said in str(raised.value)
    assert str(raised.value).startswith("--model")


def test_the_seed_makes_the_model(mine):
    given = {"model": f"{mine}:build", "train": f"{mine}:train"}
    models = [own_setup(given, "static", 0.5, seed=s, words={}).build() for s in (3, 3, 4)]
    assert torch.equal(models[0].weight, models[1].weight)
    assert not torch.equal(models[0].weight, models[2].weight)


def test_a_model_is_a_module(mine):
    given = {"model": f"{mine}:batches", "train": f"{mine}:train"}
    with pytest.raises(UnknownName, match="gave list"):
        own_setup(given, "static", 0.5, seed=0, words={}).build()
