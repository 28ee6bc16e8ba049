"""The published study's way of serving a model: Flask's development server, base64 in JSON.

    python flask_peer.py MODEL.onnx PORT cold|warm

cold: every request makes an InferenceSession, as the study's package does. warm: one is made at start.
POST /infer takes {"input": base64 of float32 bytes, "shape": [...]} and answers {"output": [...]}.
Prints a line of JSON when it listens.
"""

import base64
import json
import logging
import sys

import numpy
import onnxruntime
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

path, port, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def make_session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


warm = make_session() if mode == "warm" else None
app = Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@app.post("/infer")
def infer():
    body = request.get_json()
    values = numpy.frombuffer(base64.b64decode(body["input"]), numpy.float32).reshape(body["shape"])
    session = warm or make_session()
    output = session.run(None, {session.get_inputs()[0].name: values})[0]
    return jsonify(output=output.tolist())


# What app.run() starts, with a port that is known: threaded, one thread a connection.
server = make_server("127.0.0.1", port, app, threaded=True)
print(json.dumps({"ready": True, "port": server.server_port}), flush=True)
server.serve_forever()
