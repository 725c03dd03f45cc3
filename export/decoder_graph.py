"""The decoder as an ONNX graph of its own, fp32 or int8, made for `planner.model.TreeDecoder`.

Differs from an export by tracing: one sequence whatever the beams, keys and values appended in
place by GroupQueryAttention, an additive bias that says who sees whom, positions given, logits for
the last token of each row only, and layer norms and GELU as one operator each.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcodegen_local.planner.model import MODEL_FILE, ModelDims, cache_names
from export.decoder_weights import Array, WeightsWriter

LAYER_NORM_EPSILON = 1e-5
OPSET = 17
MICROSOFT = "com.microsoft"


def write_decoder(folder: Path, dims: ModelDims, weights: Mapping[str, Array], *, int8: bool = False) -> None:
    """Write `MODEL_FILE` and `WEIGHTS_FILE` from fp32 weights under GPT2LMHeadModel's names."""
    import onnx

    graph = _Decoder(folder, dims, weights, int8=int8)
    graph.build()
    onnx.save(graph.model(), folder / MODEL_FILE)


def quantised(weight: Array) -> tuple[Array, Array]:
    """Return a matrix `(inputs, outputs)` as int8 and one scale for each output, symmetric.

    The values are those of onnxruntime's `quantize_dynamic(per_channel=True, WeightSymmetric)`.
    """
    largest = np.abs(weight).max(axis=0)
    scale = np.where(largest > 0, largest / 127.0, 1.0).astype(np.float32)
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8), scale


class _Decoder:
    """Collect the nodes and tensors of one decoder."""

    def __init__(self, folder: Path, dims: ModelDims, weights: Mapping[str, Array], *, int8: bool) -> None:
        self._dims, self._weights, self._int8 = dims, weights, int8
        self._file = WeightsWriter(folder)
        self._nodes: list[Any] = []

    def build(self) -> None:
        """Add every layer, in the order of computation."""
        stream = self._embedding()
        normed = self._add(
            "LayerNormalization", [stream, *self._norm("h.0.ln_1")], epsilon=LAYER_NORM_EPSILON
        )
        for layer in range(self._dims.n_layer):
            name = f"h.{layer}"
            attended = self._linear(self._attention(name, layer, normed), f"{name}.attn.c_proj")
            normed, stream = self._skip_norm(stream, attended, f"{name}.ln_2")
            inner = self._add("FastGelu", [self._linear(normed, f"{name}.mlp.c_fc")], domain=MICROSOFT)
            inner = self._linear(inner, f"{name}.mlp.c_proj")
            if layer + 1 < self._dims.n_layer:
                normed, stream = self._skip_norm(stream, inner, f"h.{layer + 1}.ln_1")
        last = self._add("Gather", [self._add("Add", [stream, inner]), "last_tokens"], axis=1)
        last = self._add("LayerNormalization", [last, *self._norm("ln_f")], epsilon=LAYER_NORM_EPSILON)
        self._head(last)
        self._file.close()

    def model(self) -> Any:
        """Return the ONNX model."""
        from onnx import TensorProto, helper

        dims = self._dims
        head = [1, dims.n_head, "slots", dims.n_embd // dims.n_head]
        past = cache_names("past", dims.n_layer)
        shapes: dict[str, tuple[int, Sequence[int | str]]] = {
            "input_ids": (TensorProto.INT64, [1, "tokens"]),
            "position_ids": (TensorProto.INT64, [1, "tokens"]),
            "last_tokens": (TensorProto.INT64, ["rows"]),
            "attention_bias": (TensorProto.FLOAT, [1, 1, "tokens", "used"]),
            "past_slots": (TensorProto.INT32, [1]),
            "all_slots": (TensorProto.INT32, [1]),
            **dict.fromkeys(past, (TensorProto.FLOAT, head)),
        }
        inputs = [helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()]
        present = cache_names("present", dims.n_layer)
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", dims.vocab_size])]
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, head) for name in present]
        graph = helper.make_graph(self._nodes, "decoder", inputs, outputs, self._file.tensors)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="dlcodegen")

    def _add(self, kind: str, inputs: Sequence[str], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; return the name of its first output."""
        from onnx import helper

        names = list(outputs) or [f"{kind}_{len(self._nodes)}"]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def _tensor(self, name: str) -> str:
        return self._file.add(name, self._weights[name])

    def _norm(self, name: str) -> tuple[str, str]:
        return self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias")

    def _skip_norm(self, stream: str, added: str, name: str) -> tuple[str, str]:
        """Return the normed sum of both, and the sum."""
        outputs = [f"{name}.normed", "", "", f"{name}.stream"]
        inputs = [stream, added, *self._norm(name)]
        attributes = {"domain": MICROSOFT, "epsilon": LAYER_NORM_EPSILON}
        self._add("SkipLayerNormalization", inputs, outputs, **attributes)
        return outputs[0], outputs[3]

    def _attention(self, name: str, layer: int, normed: str) -> str:
        heads = self._linear(normed, f"{name}.attn.c_attn")  # query, key and value side by side
        past, present = (cache_names(kind, layer + 1)[-2:] for kind in ("past", "present"))
        inputs = [heads, "", "", *past, "past_slots", "all_slots", "", "", "", "attention_bias"]
        count = self._dims.n_head
        return self._add(
            "GroupQueryAttention",
            inputs,
            [f"{name}.attended", *present],
            domain=MICROSOFT,
            num_heads=count,
            kv_num_heads=count,
        )

    def _linear(self, value: str, name: str) -> str:
        """Add a matrix product with bias; GPT-2 keeps its matrices as `(inputs, outputs)`."""
        bias = self._tensor(f"{name}.bias")
        if self._int8:
            return self._int8_product(value, f"{name}.weight", self._weights[f"{name}.weight"], [bias])
        return self._add("Add", [self._add("MatMul", [value, self._tensor(f"{name}.weight")]), bias])

    def _int8_product(self, value: str, name: str, weight: Array, bias: Sequence[str]) -> str:
        matrix, scale = quantised(weight)
        inputs = [value, self._file.add(name, matrix), self._file.add(f"{name}.scale", scale)]
        inputs += ["", *bias] if bias else []
        return self._add("DynamicQuantizeMatMul", inputs, domain=MICROSOFT)

    def _embedding(self) -> str:
        """Add the sum of token and position embedding; in int8 a token's row has one scale."""
        position = self._add("Gather", [self._tensor("wpe.weight"), "position_ids"])
        if not self._int8:
            return self._add(
                "Add", [self._add("Gather", [self._tensor("wte.weight"), "input_ids"]), position]
            )
        matrix, scale = quantised(np.asarray(self._weights["wte.weight"]).T)
        rows = self._add("Gather", [self._file.add("wte.weight", matrix.T), "input_ids"])
        scales = self._add("Gather", [self._file.add("wte.scale", scale[:, None]), "input_ids"])
        token = self._add("Mul", [self._add("Cast", [rows], to=1), scales])
        return self._add("Add", [token, position])

    def _head(self, last: str) -> None:
        """Add the logits `(rows, vocab_size)`; the matrix is the token embedding."""
        last = self._add("Squeeze", [last, self._add("Constant", [], value_ints=[0])])
        if self._int8:
            weight = np.asarray(self._weights["wte.weight"]).T
            self._int8_product(last, "lm_head.weight", weight, [])
            self._nodes[-1].output[0] = "logits"
            return
        self._add("Gemm", [last, "wte.weight"], ["logits"], transB=1)
