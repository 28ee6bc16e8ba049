"""Asks a node, through an unmodified tritonclient.grpc, what a Triton user would ask.

    python triton_check.py HOST:PORT

The node serves `numbers` (float32 x [N, 64] -> y [N, 64]) and `strings` (BYTES x [N, 2] -> y, unchanged).
Prints what it saw as one JSON object; exits with 1 on anything else.
"""

import json
import sys

import numpy
import tritonclient.grpc as triton

client = triton.InferenceServerClient(sys.argv[1])


def infer(model, name, values, datatype):
    tensor = triton.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return client.infer(model, [tensor], outputs=[triton.InferRequestedOutput("y")])


seen = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "modelReady": client.is_model_ready("numbers"),
    "otherReady": client.is_model_ready("nothing"),
    "server": client.get_server_metadata(as_json=True)["name"],
    "metadata": client.get_model_metadata("numbers", as_json=True),
    "index": [entry["name"] for entry in client.get_model_repository_index(as_json=True)["models"]],
}
numbers = infer("numbers", "x", numpy.ones((3, 64), numpy.float32), "FP32").as_numpy("y")
seen["numbers"] = {"shape": list(numbers.shape), "dtype": str(numbers.dtype), "sum": float(numbers.sum())}
words = numpy.array([["caf\u00e9".encode(), b""]], dtype=numpy.object_)
seen["strings"] = [word.decode() for word in infer("strings", "x", words, "BYTES").as_numpy("y").flatten()]
client.unload_model("strings")
seen["unloaded"] = client.is_model_ready("strings")
client.load_model("strings")
seen["loaded"] = client.is_model_ready("strings")
try:
    infer("numbers", "x", numpy.ones((3, 32), numpy.float32), "FP32")
except triton.InferenceServerException as error:
    seen["wrongShape"] = {"status": str(error.status()), "message": error.message()}
print(json.dumps(seen))
