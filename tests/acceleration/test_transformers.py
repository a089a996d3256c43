"""Models of the transformers package, small: BERT, Llama with and without cache, GPT-2."""

import copy
import inspect
import pickle
import warnings

import pytest
import torch
from torch import nn

from rarefy.acceleration import accelerated, apply_choices, choices

LAYERS = {"bert": 13, "llama": 15, "gpt2": 9}
CHAINS = {"bert": 4, "llama": 7, "gpt2": 4}


@pytest.fixture(scope="module")
def hub():
    pytest.importorskip("transformers")
    if not hasattr(torch.ops.torchvision, "nms"):
        # transformers looks at torchvision, whose import wants operations of a compiled part.
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        transformers.logging.set_verbosity_error()
        for name in ("BertModel", "LlamaForCausalLM", "GPT2LMHeadModel"):
            getattr(transformers, name)
    return transformers


@pytest.fixture
def built(hub, nets):
    def build(name):
        sides = {"vocab_size": 50, "num_hidden_layers": 2, "num_attention_heads": 4}
        wide = {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 64}
        torch.manual_seed(0)
        if name == "bert":
            model = hub.BertModel(hub.BertConfig(**sides, **wide))
        elif name == "llama":
            heads = {"num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
            model = hub.LlamaForCausalLM(hub.LlamaConfig(**sides, **wide, **heads))
        else:
            small = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50, "n_positions": 64}
            ends = {"bos_token_id": 1, "eos_token_id": 2}
            model = hub.GPT2LMHeadModel(hub.GPT2Config(**small, **ends))
        return nets.pruned(model)

    return build


def example(name, batch, length):
    tokens = {"input_ids": torch.randint(0, 50, (batch, length))}
    if name == "bert":
        mask = torch.ones(batch, length, dtype=torch.long)
        mask[0, length // 2 :] = 0
        return {**tokens, "attention_mask": mask}
    return {**tokens, "use_cache": False}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_model_is_captured_whole(name, built, nets, chains):
    model = built(name)
    fast = accelerated(model, example(name, 1, 7), stopwatch=nets.sparse_wins())
    assert fast.record["captured"] == [""]
    assert sum(row["kept"] for row in fast.record["layers"]) == LAYERS[name]
    for other in (fast, copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        chains()
        for batch, length in ((1, 7), (3, 7), (5, 13), (1, 1)):
            inputs = example(name, batch, length)
            found, wanted = nets.run(other, inputs), nets.run(model, inputs)
            assert type(found) is type(wanted)
            assert nets.same(found, wanted)
            assert chains() == CHAINS[name]
    assert inspect.signature(fast.forward) == inspect.signature(model.forward)
    assert list(fast.state_dict()) == list(model.state_dict())
    again = apply_choices(model, choices(fast))
    inputs = example(name, 2, 9)
    chains()
    assert nets.same(nets.run(again, inputs), nets.run(model, inputs))
    assert chains() == CHAINS[name]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cache_is_left_to_python_and_text_comes_out_the_same(built, nets, chains):
    model = built("llama")
    tokens = {"input_ids": torch.randint(0, 50, (1, 7))}
    fast = accelerated(model, tokens, stopwatch=nets.sparse_wins())
    assert fast.record["captured"] == ["model.layers.0.mlp", "model.layers.1.mlp"]
    assert sum(row["kept"] for row in fast.record["layers"]) == LAYERS["llama"]
    assert "DynamicCache" in fast.record["uncaptured"][0]["why"]
    prompt = torch.tensor([[3, 7, 11]])
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    wanted = model.generate(prompt, **options)
    chains()
    assert torch.equal(fast.generate(prompt, **options), wanted)
    steps, rest = divmod(chains(), 11)
    assert steps >= 1
    assert rest == 0
    # Captured without a cache, the same calls go past the capture, onto the floor.
    fast = accelerated(model, example("llama", 1, 7), stopwatch=nets.sparse_wins())
    chains()
    assert torch.equal(fast.generate(prompt, **options), wanted)
    assert chains() == 15 * steps


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_setting_of_the_configuration_is_obeyed_later(built, nets):
    model = built("bert")
    fast = accelerated(model, example("bert", 1, 7), stopwatch=nets.sparse_wins())
    inputs = example("bert", 2, 5)
    assert nets.run(fast, inputs).hidden_states is None
    fast.config.output_hidden_states = True
    assert len(nets.run(fast, inputs).hidden_states) == 3
    del inputs["attention_mask"]
    fast.config.output_hidden_states = False
    assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))


def test_the_turned_layer_of_gpt2_runs_alone(hub, nets, chains):
    layer = nets.pruned(hub.pytorch_utils.Conv1D(12, 8))
    fast = accelerated(layer, torch.randn(2, 8), stopwatch=nets.sparse_wins())
    chains()
    for shape in ((2, 8), (2, 3, 8)):
        x = torch.randn(shape)
        assert nets.same(nets.run(fast, x), nets.run(layer, x))
    assert chains() == 2
    assert isinstance(fast, nn.Module)
