#!/usr/bin/env bash
# ONNX Runtime's SessionOptions.add_initializer (OrtApi AddInitializer) replaces the values of an external initializer when the
# graph runs, but not when an optimizer reads them: constant folding (from ORT_ENABLE_BASIC) and the reordering of Conv weights
# on the CPU (ORT_ENABLE_ALL) read the file that the model names. Without any warning the result then comes from the file, and
# the same model gives different results at different optimization levels. A careful guess is that the given values replace
# those of the file everywhere.
#
# Where it meets our users: comfygo hands the weights of a user's file over in this way; engine/ort/doc.go says how it keeps
# optimizers away from them (the named file is empty, so that such a read is an error).
#
# Seen with onnxruntime 1.31.1 and onnx 1.23.2, Linux x86-64. The file holds zeros, the initializer that is added ones:
#   Conv: 144, 144, 144, 0 and a folded sum: 2304, 0, 0, 0 with optimization off, basic, extended, all.
# Fails when that changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.3.5
"$dir/venv/bin/python" - "$dir" <<'PY'
import os
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

folder = sys.argv[1]
ones = np.ones((16, 16, 3, 3), np.float32)
np.zeros_like(ones).tofile(os.path.join(folder, "weights.bin"))
x = np.ones((1, 16, 8, 8), np.float32)

NODES = {
    "Conv": [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
    "sum": [
        helper.make_node("ReduceSum", ["w"], ["s"], keepdims=0),
        helper.make_node("Mul", ["x", "s"], ["y"]),
    ],
}
LEVELS = ["ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"]


def save(name):
    weight = onnx.TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=ones.shape, data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(ones.nbytes))):
        weight.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        NODES[name],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path = os.path.join(folder, name + ".onnx")
    with open(path, "wb") as f:
        f.write(model.SerializeToString())
    return path


def run(path, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    value = ort.OrtValue.ortvalue_from_numpy(ones)
    options.add_initializer("w", value)
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return float(session.run(None, {"x": x})[0][0, 0, 4, 4])


print("onnxruntime", ort.__version__)
seen = {}
for name in NODES:
    path = save(name)
    seen[name] = [run(path, level) for level in LEVELS]
    print(name, dict(zip(LEVELS, seen[name])))
assert seen["Conv"] == [144, 144, 144, 0], "weights of Conv are read in another way now"
assert seen["sum"] == [2304, 0, 0, 0], "constants are folded in another way now"
PY
