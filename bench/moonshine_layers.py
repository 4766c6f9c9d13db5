"""All layers of Moonshine tiny-en's encoder, in torch, from the file that `moonshine-voice` ships.

The packaged onnxruntime graph gives its last layer only, and its 8-bit products take their scale
from the whole input. Here its weights, which are in the same file, fill transformers'
`MoonshineEncoder`: any layer, in float32, and what an utterance gives depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.compat import ensure_torchaudio
from bench.errors import UserError
from bench.moonshine import assets

LAYERS = 6
"""Hidden states are counted from 0, what goes into the first layer, to 6, the normalised last."""

Array = npt.NDArray[Any]
_KINDS = {1: np.float32, 2: np.uint8}  # of the types in the file, those that weights have
_PARTS = {
    "self_attn/q_proj/MatMul": "self_attn.q_proj.weight",
    "self_attn/k_proj/MatMul": "self_attn.k_proj.weight",
    "self_attn/v_proj/MatMul": "self_attn.v_proj.weight",
    "self_attn/o_proj/MatMul": "self_attn.o_proj.weight",
    "mlp/fc1/Add": "mlp.fc1.weight",
    "mlp/fc2/Add": "mlp.fc2.weight",
}
_STEM = {
    "conv1.weight_add_tensor": "conv1.weight",
    "conv2.weight_add_tensor": "conv2.weight",
    "conv3.weight_add_tensor": "conv3.weight",
    "onnx::Mul_2080": "groupnorm.weight",
    "onnx::Add_2081": "groupnorm.bias",
}


def weights(path: Path | None = None) -> dict[str, Array]:
    """Name in `MoonshineEncoder` → float32 array, the 8-bit matrices widened.

    path: an encoder in onnxruntime's format, else the packaged one. UserError where it is none.
    """
    path = path or assets() / "encoder_model.ort"
    graph = _graph(path)
    stored = dict(_stored(graph))
    found = {}
    for name, value in stored.items():
        if name in _STEM:
            shape = (-1,) if name.startswith("onnx") else value.shape
            found[_STEM[name]] = value.reshape(shape)
        elif name.startswith(("layers.", "layer_norm.", "conv")) and value.dtype == np.float32:
            found[name] = value
    for inputs, output in _nodes(graph):
        layer, _, rest = output.removeprefix("/layers.").partition("/")
        part = _PARTS.get(rest.removesuffix("_output_0"))
        matrix = next((i for i in inputs if i.endswith("_quantized") and i in stored), None)
        if part and matrix:
            base = matrix.removesuffix("_quantized")
            shifted = stored[matrix].astype(np.float32) - np.float32(stored[f"{base}_zero_point"])
            found[f"layers.{layer}.{part}"] = (shifted * stored[f"{base}_scale"]).T
    return found


def _graph(path: Path) -> Any:
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import (
        InferenceSession,
    )

    data = path.read_bytes()
    if data[4:8] != b"ORTM":
        raise UserError(f"{path} is no model in onnxruntime's format; install moonshine-voice anew")
    return InferenceSession.GetRootAsInferenceSession(data, 0).Model().Graph()


def _stored(graph: Any) -> Iterator[tuple[str, Array]]:
    for i in range(graph.InitializersLength()):
        tensor = graph.Initializers(i)
        if tensor.DataType() in _KINDS:
            shape = [tensor.Dims(j) for j in range(tensor.DimsLength())]
            raw = tensor.RawDataAsNumpy().tobytes()
            yield (
                tensor.Name().decode(),
                np.frombuffer(raw, _KINDS[tensor.DataType()]).reshape(shape),
            )


def _nodes(graph: Any) -> Iterator[tuple[list[str], str]]:
    """(inputs, first output) of every node."""
    for i in range(graph.NodesLength()):
        node = graph.Nodes(i)
        inputs = [node.Inputs(j).decode() for j in range(node.InputsLength())]
        yield inputs, node.Outputs(0).decode()


@cache
def encoder(device: str = "cpu") -> Any:
    """transformers' `MoonshineEncoder` with the packaged weights, in evaluation mode."""
    ensure_torchaudio()
    import torch
    import transformers
    from transformers.models.moonshine import modeling_moonshine

    config: Any = transformers.MoonshineConfig
    model: Any = modeling_moonshine.MoonshineEncoder(config(attn_implementation="eager"))
    model.load_state_dict({n: torch.from_numpy(v.copy()) for n, v in weights().items()})
    return model.to(device).eval().requires_grad_(False)


def hidden_states(audio: npt.NDArray[np.float32], device: str = "cpu") -> list[Array]:
    """float32 [T, 288] of each of the 7 hidden states of one utterance (float32 [L], 16 kHz)."""
    import torch

    with torch.inference_mode():
        told = encoder(device)(torch.from_numpy(audio)[None].to(device), output_hidden_states=True)
    states = [*told.hidden_states[:LAYERS], told.last_hidden_state]
    return [state[0].cpu().numpy() for state in states]
