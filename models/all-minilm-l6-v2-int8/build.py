"""Builds model.onnx from the original float32 weights: a BERT encoder in ONNX Runtime's fused operators, its
matrix products in dynamic int8. See README.md for the versions and the result's checksum."""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

LAYERS, HEADS, EPSILON = 6, 12, 1e-12
source, float_model, target = sys.argv[1:4]
weights = load_file(source)
nodes, initializers = [], []


def constant(name, value):
    initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def parameter(name):
    return constant(name, weights[name].astype(np.float32))


def transposed(name):
    return constant(name, weights[name].astype(np.float32).T)


def node(operator, inputs, output, domain="com.microsoft", **attributes):
    # EmbedLayerNormalization insists on a second output, a mask that nothing here reads.
    outputs = [output, "unused_mask"] if operator == "EmbedLayerNormalization" else [output]
    nodes.append(helper.make_node(operator, inputs, outputs, name=output, domain=domain, **attributes))
    return output


def add_and_normalise(x, skip, bias, norm, output):
    inputs = [x, skip, parameter(f"{norm}.weight"), parameter(f"{norm}.bias"), parameter(bias)]
    return node("SkipLayerNormalization", inputs, output, epsilon=EPSILON)


ids = node("Cast", ["input_ids"], "ids", domain="", to=TensorProto.INT32)
mask = node("Cast", ["attention_mask"], "mask", domain="", to=TensorProto.INT32)
# Every text is a single segment, so the segment's vector is added to the positions once, here.
positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
hidden = node(
    "EmbedLayerNormalization",
    [
        ids,
        "",
        parameter("embeddings.word_embeddings.weight"),
        constant("positions", positions.astype(np.float32)),
        "",
        parameter("embeddings.LayerNorm.weight"),
        parameter("embeddings.LayerNorm.bias"),
    ],
    "embedded",
    epsilon=EPSILON,
)
for i in range(LAYERS):
    layer = f"encoder.layer.{i}"
    attention = f"{layer}.attention"
    qkv = [f"{attention}.self.{part}" for part in ("query", "key", "value")]
    attended = node(
        "Attention",
        [
            hidden,
            constant(f"{attention}.qkv.weight", np.concatenate([weights[f"{p}.weight"].T for p in qkv], axis=1)),
            constant(f"{attention}.qkv.bias", np.concatenate([weights[f"{p}.bias"] for p in qkv])),
            mask,
        ],
        f"{attention}.out",
        num_heads=HEADS,
    )
    projected = node("MatMul", [attended, transposed(f"{attention}.output.dense.weight")], f"{attention}.projected", "")
    hidden = add_and_normalise(
        projected, hidden, f"{attention}.output.dense.bias", f"{attention}.output.LayerNorm", f"{attention}.normalised"
    )
    wide = node("MatMul", [hidden, transposed(f"{layer}.intermediate.dense.weight")], f"{layer}.wide", "")
    active = node("BiasGelu", [wide, parameter(f"{layer}.intermediate.dense.bias")], f"{layer}.active")
    narrow = node("MatMul", [active, transposed(f"{layer}.output.dense.weight")], f"{layer}.narrow", "")
    last = i == LAYERS - 1
    hidden = add_and_normalise(
        narrow,
        hidden,
        f"{layer}.output.dense.bias",
        f"{layer}.output.LayerNorm",
        "last_hidden_state" if last else f"{layer}.normalised",
    )

inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"]) for n in ("input_ids", "attention_mask")]
outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", 384])]
graph = helper.make_graph(nodes, "all-MiniLM-L6-v2", inputs, outputs, initializers)
opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="bulkhead")
onnx.save(model, float_model)
# Seven bits a weight: on processors without VNNI, eight would overflow the 16-bit sums and change the vectors.
quantize_dynamic(
    float_model,
    target,
    weight_type=QuantType.QInt8,
    per_channel=True,
    reduce_range=True,
    extra_options={"DefaultTensorType": TensorProto.FLOAT},
)
