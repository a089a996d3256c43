"""Runtimes that read ONNX: onnxruntime, and DeepSparse where it is installed."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rarefy.lab.speed._prepared import Prepared, arrays_of, hushed, tensors_of
from rarefy.metrics import Example

_OPSET = 17
"""The first with LayerNormalization as one operation."""
_DEEPSPARSE_OPSET = 13
_DEEPSPARSE_IR = 7


def onnxruntime(model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
    """An inference session on the CPU, all graph optimisations on, ``threads`` within a node."""
    del precision
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder, hushed():
        path = _exported(model, example, Path(folder), _OPSET)
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = dict(zip((each.name for each in session.get_inputs()), arrays_of(example), strict=True))
    return Prepared(lambda: session.run(None, feeds))


def deepsparse(model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
    """DeepSparse's engine, which looks at the zeros of the weights by itself."""
    del precision
    engine = import_module("deepsparse")
    feeds = arrays_of(example)
    with tempfile.TemporaryDirectory() as folder, hushed():
        path = _exported(model, example, Path(folder), _DEEPSPARSE_OPSET)
        onnx = import_module("onnx")
        read = onnx.load(str(path))
        read.ir_version = min(read.ir_version, _DEEPSPARSE_IR)
        onnx.save(read, str(path))
        made = engine.Engine(str(path), batch_size=feeds[0].shape[0], num_cores=threads)

    def call() -> Any:  # noqa: ANN401 - arrays
        return made.run(feeds, val_inp=False)

    return Prepared(call)


def _exported(model: nn.Module, example: Example, folder: Path, opset: int) -> Path:
    path = folder / "model.onnx"
    parts = tensors_of(example)
    # The exporter by tracing: it needs no package beside onnx.
    torch.onnx.export(
        model,
        parts,
        str(path),
        opset_version=opset,
        dynamo=False,
        input_names=[f"x{place}" for place in range(len(parts))],
        output_names=["y"],
    )
    return path
