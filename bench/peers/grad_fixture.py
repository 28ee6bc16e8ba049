"""Writes PyTorch's gradients for test/onnx/grad: single ONNX nodes, what they are fed with, and the gradients of
sum(output * weight) by their inputs, worked out in double precision. test/onnx/grad/support/torch-cases.ts reads them.
"""

import base64
import gzip
import json
import math
from pathlib import Path

import numpy as np
import torch

FIXTURES = Path(__file__).resolve().parents[2] / "test" / "onnx" / "grad" / "fixtures"
# Elements are whole numbers of these, which two bytes hold and float32 holds exactly.
UNIT = 1 / 4096


class Cases:
    """Cases of one fixture; the same seed makes the same."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self._cases = []

    def uniform(self, *shape, low=-2, high=2):
        """Elements drawn from low..high."""
        return np.round(self.rng.uniform(low, high, shape) / UNIT) * UNIT

    def spaced(self, *shape, gap=0.125):
        """Elements of which no two are nearer than a gap: for operators that compare."""
        count = math.prod(shape)
        gap = min(gap, math.floor(14 / count / UNIT) * UNIT)
        return ((self.rng.permutation(count) - count // 2) * gap).reshape(shape)

    def add(self, name, op, function, inputs, attributes=None, opset=None):
        """Adds a node.

        inputs: arrays of floats (differentiated), of integers (constants), `constant(array)`, `fed(array)`, or None where
        the node has none. function: PyTorch tensors of those that are not None, in their order, in; the node's float outputs out.
        """
        tensors = [None if i is None else tensor_of(i) for i in inputs]
        outputs = function(*[t for t in tensors if t is not None])
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        weights = [torch.from_numpy(np.asarray(self.uniform(*o.shape, low=-1, high=1))) for o in outputs]
        loss = sum((o * w).sum() for o, w in zip(outputs, weights))
        loss.backward()
        self._cases.append(
            {
                "name": name,
                "op": op,
                **({} if opset is None else {"opset": opset}),
                "attributes": {k: attribute_of(v) for k, v in (attributes or {}).items()},
                "inputs": [None if i is None else stored_input(i) for i in inputs],
                # The loss says whether the outputs are PyTorch's, in few bytes.
                "loss": loss.item(),
                "weights": [exact(w.numpy()) for w in weights],
                "gradients": [
                    stored(t.grad.numpy()) if t is not None and t.grad is not None else None for t in tensors
                ],
            }
        )

    def write(self, file):
        write_fixture(file, {"cases": self._cases})


def write_fixture(file, content):
    FIXTURES.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"torch": torch.__version__.split("+")[0], **content}, separators=(",", ":"))
    # Without a time, so that the same content is the same bytes.
    path = FIXTURES / file
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{file}: {path.stat().st_size} bytes")


class Constant:
    def __init__(self, array):
        self.array = array


def constant(array):
    """An input that is a constant of the graph, and has no gradient."""
    return Constant(np.asarray(array))


class Fed:
    def __init__(self, array):
        self.array = array


def fed(array):
    """An input of integers or truth values that is no constant."""
    return Fed(np.asarray(array))


def array_of(given):
    return given.array if isinstance(given, (Constant, Fed)) else given


def attribute_of(value):
    """JSON does not tell 1.0 from 1."""
    if isinstance(value, float):
        return {"float": value}
    if isinstance(value, (list, tuple)) and any(isinstance(v, float) for v in value):
        return {"floats": list(value)}
    return value


def tensor_of(given):
    array = array_of(given)
    if array.dtype.kind in "ib":
        return torch.from_numpy(array)
    return torch.from_numpy(array.astype(np.float64)).requires_grad_(not isinstance(given, Constant))


def stored_input(given):
    array = array_of(given)
    if array.dtype.kind == "f":
        kept = exact(array)
    elif array.dtype.kind == "b":
        kept = encoded(array.astype(np.uint8), "bool")
    else:
        kept = encoded(array.astype(np.int64), "int64")
    fixed = isinstance(given, Constant) or (array.dtype.kind == "i" and not isinstance(given, Fed))
    return {**kept, "constant": True} if fixed else kept


def exact(array):
    units = np.round(array / UNIT)
    if np.array_equal(units * UNIT, array) and np.abs(units).max(initial=0) < 2**15:
        return encoded(units.astype(np.int16), "int16")
    if not np.array_equal(array.astype(np.float32), array):
        raise ValueError("an input is no float32")
    return stored(array)


def stored(array):
    return encoded(array.astype(np.float32), "float32")


def encoded(array, kind):
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return {"shape": list(array.shape), "type": kind, "data": base64.b64encode(little.tobytes()).decode()}
