"""OpenVINO, in float32, in bfloat16, and in int8 as nncf quantizes it."""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from rarefy.lab.speed._prepared import Prepared, hushed, tensors_of
from rarefy.metrics import Example

_CALIBRATION = 16
"""Examples that nncf sees; their values do not change the speed."""


def openvino(model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
    """A model compiled for latency, for the example's shapes, with ``threads`` and one stream.

    In bfloat16 by its precision hint; in int8 after nncf's post-training quantization.
    """
    runtime = import_module("openvino")
    parts = tensors_of(example)
    with hushed():
        graph = runtime.convert_model(
            model, example_input=parts, input=[list(part.shape) for part in parts]
        )
        if precision == "int8":
            graph = _quantized(graph, parts)
        compiled = runtime.Core().compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
            },
        )
    request = compiled.create_infer_request()
    arrays = [part.contiguous().numpy() for part in parts]
    for place, array in enumerate(arrays):
        request.set_input_tensor(place, runtime.Tensor(array, shared_memory=True))

    def call() -> Any:  # noqa: ANN401 - an array
        request.infer(share_inputs=True, share_outputs=True)
        return request.get_output_tensor(0).data

    note = f"bfloat16 by hint: {_ran(compiled)}" if precision == "bfloat16" else ""
    # Inputs, and weights of the torch model, are read where they lie: they must outlive the call.
    return Prepared(call, note=note, holds=(model, graph, compiled, arrays))


def _ran(compiled: Any) -> str:  # noqa: ANN401 - OpenVINO's own type
    """What it says it computes in, which on a CPU without bfloat16 is float32."""
    return str(compiled.get_property("INFERENCE_PRECISION_HINT").to_string())


def _quantized(graph: Any, parts: tuple[Tensor, ...]) -> Any:  # noqa: ANN401 - OpenVINO's own
    nncf = import_module("nncf")
    random = torch.Generator().manual_seed(0)

    def fresh(part: Tensor) -> Tensor:
        if not part.is_floating_point():
            return part
        return torch.randn(part.shape, generator=random)

    items = [tuple(fresh(part).numpy() for part in parts) for _ in range(_CALIBRATION)]
    dataset = nncf.Dataset(items if len(parts) > 1 else [item[0] for item in items])
    return nncf.quantize(graph, dataset, subset_size=_CALIBRATION)
