"""Writes PyTorch"s gradients of elementwise, layout, reduction and matrix operators.

    .cache/train-peer/bin/python bench/peers/grad_reference_general.py     (bench/peers/setup-train.sh makes it)
"""

import itertools
import math
import random

import numpy as np
import torch
import torch.nn.functional as F
from grad_fixture import Cases, constant, fed


class Draws(Cases):
    """Cases of which some keep away from where they have no derivative."""

    def __init__(self, seed):
        super().__init__(seed)
        self.names = set()

    def away(self, *shape, low=-2, high=2, kinks=()):
        """Elements drawn from low..high, none nearer to a kink than 1/8."""
        values = np.asarray(self.uniform(*shape, low=low, high=high))
        for _ in range(1000):
            near = np.any([abs(values - kink) <= 0.125 for kink in kinks], axis=0) if kinks else np.zeros(shape, bool)
            if not near.any():
                return values
            values = np.where(near, self.uniform(*shape, low=low, high=high), values)
        raise ValueError("there is no room beside the kinks")

    def spread(self, *shapes):
        """Tensors of which no two elements are near each other."""
        counts = [math.prod(shape) for shape in shapes]
        parts = np.split(self.spaced(sum(counts)), np.cumsum(counts)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes)]

    def node(self, name, op, inputs, function, attributes=None, opset=None):
        if name in self.names:
            raise ValueError(f"two cases {name}")
        self.names.add(name)
        self.add(name, op, function, inputs, attributes, opset)

    def integers(self, low, high, *shape):
        """int64 from low to high, high left out."""
        return self.rng.integers(low, high, shape)


DICE = random.Random(1)
FILES = {name: Draws(seed) for seed, name in enumerate(("elementwise", "layout", "reduce", "matrix"), 11)}


def ints(*values):
    return constant(np.array(values, np.int64))


def unary():
    cases = FILES["elementwise"]
    def add(op, function, attributes=None, suffix="", opset=None, **limits):
        name = f"{op}{suffix}"
        shape = [DICE.randint(1, 4) for _ in range(DICE.randint(2, 4))]
        shape[-1] = DICE.choice([3, 5, 7])
        cases.node(name, op, [cases.away(*shape, **limits)], function, attributes, opset)

    alpha = {"alpha": 0.3}
    add("Abs", torch.abs, kinks=[0])
    add("Neg", torch.neg)
    add("Exp", torch.exp)
    add("Log", torch.log, low=0.25)
    add("Sqrt", torch.sqrt, low=0.25)
    add("Reciprocal", torch.reciprocal, low=0.5)
    add("Reciprocal", torch.reciprocal, suffix=" below 0", low=-2, high=-0.5)
    add("Sin", torch.sin)
    add("Cos", torch.cos)
    add("Erf", torch.erf)
    add("Sigmoid", torch.sigmoid, low=-4, high=4)
    add("Tanh", torch.tanh)
    add("Softplus", F.softplus, low=-4, high=4)
    add("Softsign", F.softsign, kinks=[0])
    add("Relu", torch.relu, kinks=[0])
    add("LeakyRelu", F.leaky_relu, kinks=[0])
    add("LeakyRelu", lambda x: F.leaky_relu(x, 0.3), alpha, " of 0.3", kinks=[0])
    add("Elu", F.elu, kinks=[0])
    add("Elu", lambda x: F.elu(x, 0.3), alpha, " of 0.3", kinks=[0])
    add("Celu", lambda x: F.celu(x, 0.3), alpha, " of 0.3", kinks=[0])
    add("Selu", F.selu, kinks=[0])
    add("HardSigmoid", lambda x: torch.clamp(0.2 * x + 0.5, 0, 1), low=-4, high=4, kinks=[-2.5, 2.5])
    sixth = {"alpha": 1 / 6, "beta": 0.5}
    add("HardSigmoid", F.hardsigmoid, sixth, " of 1/6", low=-5, high=5, kinks=[-3, 3])
    add("HardSwish", F.hardswish, low=-5, high=5, kinks=[-3, 3])
    add("Mish", F.mish, low=-4, high=4)
    add("Gelu", F.gelu, opset=20, low=-4, high=4)
    tanh = {"approximate": "tanh"}
    add("Gelu", lambda x: F.gelu(x, approximate="tanh"), tanh, " by tanh", 20, low=-4, high=4)
    add("Identity", lambda x: x * 1)
    add("Cast", lambda x: x * 1, {"to": 1})
    add("Dropout", lambda x: x * 1)


BROADCASTS = {
    "of equal shapes": ([2, 3, 5], [2, 3, 5]),
    "of a row": ([2, 3, 5], [5]),
    "of a column": ([3, 1], [2, 3, 4]),
    "of both": ([3, 1, 5], [2, 1, 4, 1]),
    "of a scalar": ([], [2, 3]),
    "of one element": ([3, 2], [1]),
    "of ones before": ([1, 1, 2, 3], [2, 3]),
}


def binary():
    cases = FILES["elementwise"]
    def add(op, function, second=None):
        for how, (a, b) in BROADCASTS.items():
            inputs = [cases.away(*a), cases.away(*b, **(second or {}))]
            cases.node(f"{op} {how}", op, inputs, function)

    add("Add", torch.add)
    add("Sub", torch.sub)
    add("Mul", torch.mul)
    add("Div", torch.div, {"low": 0.5})
    for how, (a, b) in BROADCASTS.items():
        inputs = [cases.away(*a, low=0.5), cases.away(*b)]
        cases.node(f"Pow {how}", "Pow", inputs, torch.pow)
        for op, function in (("Min", torch.minimum), ("Max", torch.maximum)):
            cases.node(f"{op} {how}", op, cases.spread(a, b), function)
    for exponent in (0.0, 1.0, 2.0, 3.0):
        name = f"Pow to a constant {exponent}"
        base = cases.away(2, 5)
        cases.node(name, "Pow", [base, constant(exponent)], lambda x, e: x ** float(e))
    base = np.array([0.0, 1.0, -1.5, 2.0])
    cases.node("Pow of 0", "Pow", [base, constant(2.0)], lambda x, e: x ** float(e))
    cases.node("Pow to 0 of 0", "Pow", [base, constant(0.0)], lambda x, e: x ** float(e))
    whole = constant(np.array([2, 3, 1], np.int64))
    base = cases.away(2, 3)
    cases.node("Pow to integers", "Pow", [base, whole], lambda x, e: x ** e)
    three = ([2, 3, 4], [3, 1], [4])
    cases.node("Sum of three", "Sum", [cases.away(*s) for s in three], lambda a, b, c: a + b + c)
    cases.node("Mean of three", "Mean", [cases.away(*s) for s in three], lambda a, b, c: (a + b + c) / 3)
    cases.node("Sum of one", "Sum", [cases.away(3)], lambda a: a * 1)
    distinct = cases.spread(*three)
    cases.node("Max of three", "Max", distinct, lambda a, b, c: torch.maximum(torch.maximum(a, b), c))
    equal = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    cases.node("Max where equal", "Max", equal, torch.maximum)
    cases.node("Min where equal", "Min", equal, torch.minimum)


def choices():
    cases = FILES["elementwise"]
    for how, shapes in {
        "of equal shapes": ([2, 3], [2, 3], [2, 3]),
        "of broadcast values": ([2, 3, 4], [3, 1], [4]),
        "of a broadcast condition": ([3, 1], [2, 3, 4], []),
    }.items():
        condition = fed(cases.integers(0, 2, *shapes[0]).astype(bool))
        cases.node(f"Where {how}", "Where", [condition, cases.away(*shapes[1]), cases.away(*shapes[2])], torch.where)
    low, high = constant(-0.5), constant(1.0)
    for how, bounds in {"": (low, high), " from below": (low,), " from above": (None, high)}.items():
        kinks = [float(bound.array) for bound in bounds if bound]
        x = cases.away(3, 7, kinks=kinks)

        def clamp(x, *_):
            return torch.clamp(x, *(None if bound is None else float(bound.array) for bound in bounds))

        cases.node(f"Clip{how}", "Clip", [x, *bounds], clamp)
    at_bounds = np.array([-1.0, -0.5, 0.0, 1.0, 2.0])
    cases.node("Clip at its bounds", "Clip", [at_bounds, low, high], lambda x, a, b: torch.clamp(x, float(a), float(b)))
    for how, (x, slope) in {
        "by channel": ([2, 3, 2, 2], [3, 1, 1]),
        "by one": ([2, 5], [1]),
        "by element": ([2, 3], [2, 3]),
    }.items():
        inputs = [cases.away(*x, kinks=[0]), cases.away(*slope)]
        cases.node(f"PRelu {how}", "PRelu", inputs, lambda x, s: torch.where(x > 0, x, x * s))


def joins():
    cases = FILES["layout"]
    joined = (1, [[2, 1, 3], [2, 4, 3], [2, 2, 3]]), (-1, [[2, 3], [2, 5]]), (-3, [[1, 2, 2], [3, 2, 2]]), (0, [[3]])
    for axis, shapes in joined:
        name = f"Concat of {len(shapes)} along {axis}"
        cases.node(name, "Concat", [cases.away(*s) for s in shapes], lambda *x: torch.cat(x, axis), {"axis": axis})
    for axis, shape, sizes in ((0, [7, 2], [1, 4, 2]), (-1, [2, 3, 5], [2, 3]), (1, [2, 4], [4])):
        name = f"Split into {sizes} along {axis}"
        x = cases.away(*shape)
        cases.node(name, "Split", [x, ints(*sizes)], lambda x, s: torch.split(x, s.tolist(), axis), {"axis": axis})
    x = cases.away(2, 8)
    attributes = {"axis": -1, "num_outputs": 3}
    cases.node("Split in unequal thirds", "Split", [x], lambda x: torch.split(x, 3, -1), attributes)


def slices():
    cases = FILES["layout"]
    def add(shape, taken, axes=None, leave_steps=False):
        name = f"Slice of {shape}: {taken}" + (f" along {axes}" if axes else "")
        x = cases.away(*shape)
        starts, ends, steps = zip(*taken)

        def reference(x, *_):
            for (start, end, step), axis in zip(taken, axes or range(len(taken))):
                picked = list(range(x.shape[axis]))[slice(start, None if end < -1000 else end, step)]
                x = x.index_select(axis, torch.tensor(picked, dtype=torch.int64))
            return x

        inputs = [x, ints(*starts), ints(*ends)]
        if axes or not leave_steps:
            inputs.append(ints(*axes) if axes else None)
        if not leave_steps:
            inputs.append(ints(*steps))
        cases.node(name, "Slice", inputs, reference)

    far = 2**31 - 1
    add([5, 4], [(1, 3, 1)], leave_steps=True)
    add([5, 4], [(1, far, 1), (0, -1, 1)], leave_steps=True)
    add([2, 5, 3], [(-3, -1, 1)], [-2])
    add([7, 3], [(0, far, 2)], [0])
    add([7, 9], [(1, far, 3), (2, 8, 2)], [0, -1])
    add([8], [(1, 2, 5)], [0])
    add([7], [(-1, -far, -1)], [0])
    add([8, 3], [(6, 0, -2), (-1, -far, -1)], [0, 1])
    add([9], [(20, -far, -3)], [0])
    add([3, 6], [(-100, 100, 4)], [1])
    add([3, 6], [(0, 6, 1)], [1])
    for _ in range(12):
        shape = [DICE.randint(1, 6) for _ in range(DICE.randint(1, 3))]
        axes = DICE.sample(range(len(shape)), DICE.randint(1, len(shape)))
        taken = []
        for axis in axes:
            size = shape[axis]
            step = DICE.choice([1, 1, 2, 3, -1, -2, -3])
            start = DICE.randrange(size)
            end = DICE.randint(start + 1, size + 2) if step > 0 else DICE.randint(0, start) - 1
            taken.append((start, -far if end < 0 else end, step))
        add(shape, taken, axes)


def views():
    cases = FILES["layout"]
    def add(op, shape, reference, attributes=None, *more, note=""):
        name = f"{op} of {shape}{note}"
        cases.node(name, op, [cases.away(*shape), *more], reference, attributes)

    for perm in ([1, 0], [2, 0, 1], [0, 3, 1, 2], [3, 2, 0, 1]):
        shape = [2, 3, 4, 5][: len(perm)]
        add("Transpose", shape, lambda x: x.permute(perm), {"perm": perm}, note=f" to {perm}")
    add("Transpose", [2, 3, 4], lambda x: x.permute(2, 1, 0))
    add("Reshape", [2, 3, 4], lambda x, _: x.reshape(6, 4), None, ints(-1, 4), note=" to -1, 4")
    add("Reshape", [2, 3, 4], lambda x, _: x.reshape(2, 12), None, ints(0, -1), note=" to 0, -1")
    add("Reshape", [1], lambda x, _: x.reshape(()), None, constant(np.zeros(0, np.int64)), note=" to a scalar")
    add("Flatten", [2, 3, 4], lambda x: x.reshape(2, 12))
    add("Flatten", [2, 3, 4], lambda x: x.reshape(6, 4), {"axis": -1}, note=" along -1")
    add("Squeeze", [1, 3, 1], lambda x, _: x.squeeze(-1), None, ints(-1), note=" of -1")
    add("Squeeze", [1, 3, 1], lambda x: x.squeeze())
    add("Unsqueeze", [2, 3], lambda x, _: x.reshape(1, 2, 3, 1), None, ints(0, -1), note=" at 0, -1")
    add("Expand", [3, 1], lambda x, _: x.expand(2, 3, 4), None, ints(2, 1, 4), note=" to 2, 3, 4")
    add("Expand", [2, 3], lambda x, _: x.expand(2, 3), None, ints(1, 1), note=" to itself")
    add("Expand", [], lambda x, _: x.expand(2, 2), None, ints(2, 2), note=" to 2, 2")
    add("Tile", [2, 3], lambda x, _: x.repeat(2, 3), None, ints(2, 3), note=" by 2, 3")
    add("Tile", [2, 1, 3], lambda x, _: x.repeat(1, 4, 2), None, ints(1, 4, 2), note=" by 1, 4, 2")
    add("Tile", [2, 3], lambda x, _: x.repeat(1, 1), None, ints(1, 1), note=" by 1")

    def blocks(x, mode):
        n, c, h, w = x.shape
        if mode == "CRD":
            return F.pixel_shuffle(x, 2)
        parts = x.reshape(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2)
        return parts.reshape(n, c // 4, h * 2, w * 2)

    for mode in ("DCR", "CRD"):
        add("DepthToSpace", [2, 8, 1, 3], lambda x: blocks(x, mode), {"blocksize": 2, "mode": mode}, note=f" {mode}")

    def unblocked(x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 3, 3, w // 3, 3).permute(0, 3, 5, 1, 2, 4).reshape(n, c * 9, h // 3, w // 3)

    add("SpaceToDepth", [1, 2, 6, 3], unblocked, {"blocksize": 3})


def picks():
    cases = FILES["layout"]
    def add(shape, indices, axis, fixed=False):
        name = f"Gather from {shape} along {axis}, indices {list(np.shape(indices))}" + (" constant" if fixed else "")
        array = np.array(indices, np.int64)
        given = constant(array) if fixed else fed(array)

        def reference(x, i):
            i = torch.as_tensor(i)
            at = axis % x.dim()
            i = torch.where(i < 0, i + x.shape[at], i)
            picked = x.index_select(at, i.reshape(-1))
            return picked.reshape(*x.shape[:at], *i.shape, *x.shape[at + 1 :])

        cases.node(name, "Gather", [cases.away(*shape), given], reference, {"axis": axis})

    add([5, 3], [[0, 4, 2], [2, 2, -1]], 0)
    add([2, 5, 3], [1, 1, 4], 1)
    add([2, 5, 3], 2, 1)
    add([2, 5, 3], 2, 1, True)
    add([2, 5, 3], -1, -1, True)
    add([5, 3], [3], 0, True)
    add([5, 3], [3, 3, -5], 0, True)
    add([2, 3, 4], [[0, -1]], -1)
    for shape, picked, axis in (([3, 4], [2, 4], 0), ([3, 4], [3, 6], 1), ([2, 3, 4], [1, 2, 5], -1)):
        name = f"GatherElements from {shape}: {picked} along {axis}"
        indices = fed(cases.integers(-shape[axis], shape[axis], *picked))

        def reference(x, i):
            return torch.gather(x, axis, torch.where(i < 0, i + x.shape[axis], i))

        cases.node(name, "GatherElements", [cases.away(*shape), indices], reference, {"axis": axis})


def reductions():
    cases = FILES["reduce"]
    def product(x, axes, keep):
        for axis in sorted((a % x.dim() for a in axes), reverse=True):
            x = x.prod(axis, keepdim=keep)
        return x

    functions = {
        "ReduceSum": lambda x, a, k: x.sum(a, k),
        "ReduceMean": lambda x, a, k: x.mean(a, k),
        "ReduceSumSquare": lambda x, a, k: (x * x).sum(a, k),
        "ReduceL1": lambda x, a, k: x.abs().sum(a, k),
        "ReduceL2": lambda x, a, k: torch.linalg.vector_norm(x, 2, a, k),
        "ReduceLogSum": lambda x, a, k: x.sum(a, k).log(),
        "ReduceLogSumExp": lambda x, a, k: x.logsumexp(a, k),
        "ReduceMax": lambda x, a, k: x.amax(a, k),
        "ReduceMin": lambda x, a, k: x.amin(a, k),
        "ReduceProd": product,
    }
    forms = [
        ([2, 3, 4], (-1,), 1),
        ([2, 3, 4], (1, -3), 0),
        ([3, 2, 2, 3], (2, 3), 1),
        ([2, 5], None, 0),
        ([2, 5], None, 1),
        ([1, 3, 1], (0, 1), 0),
    ]
    for op, function in functions.items():
        for shape, axes, keep in forms:
            name = f"{op} of {shape} over {'all' if axes is None else list(axes)}{', kept' if keep else ''}"
            limits = {"low": 0.5} if op == "ReduceLogSum" else {"kinks": [0]} if op == "ReduceL1" else {}
            x = cases.spread(shape)[0] if op in ("ReduceMax", "ReduceMin") else cases.away(*shape, **limits)
            over = tuple(range(len(shape))) if axes is None else axes
            inputs = [x] if axes is None else [x, ints(*axes)]
            cases.node(name, op, inputs, lambda x, *_: function(x, over, bool(keep)), {"keepdims": keep})
    x = cases.away(2, 3)
    none = constant(np.zeros(0, np.int64))
    attributes = {"noop_with_empty_axes": 1}
    cases.node("ReduceSum over nothing", "ReduceSum", [x, none], lambda x, _: x * 1, attributes)
    zeros = np.array([[1.0, 2.0, 3.0], [0.0, 2.0, -1.5], [0.0, 2.0, 0.0]])
    over = [zeros, ints(1)]
    cases.node("ReduceProd of zeros", "ReduceProd", over, lambda x, _: x.prod(1, keepdim=True))
    equal = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    cases.node("ReduceMax of equal ones", "ReduceMax", [equal, ints(1)], lambda x, _: x.amax(1, True))
    over = [np.zeros((2, 3)), ints(1)]
    cases.node("ReduceL2 of zeros", "ReduceL2", over, lambda x, _: torch.linalg.vector_norm(x, 2, 1, True))


def products():
    cases = FILES["matrix"]
    offsets = {"a row": [5], "a matrix": [3, 5], "a column": [3, 1], "one": [1], "no offset": None}
    for (trans_a, trans_b), (what, c) in itertools.product(itertools.product((0, 1), (0, 1)), offsets.items()):
        name = "Gemm of A{} B{} and {}".format("'" * trans_a, "'" * trans_b, what)
        inputs = [cases.away(*([4, 3] if trans_a else [3, 4])), cases.away(*([5, 4] if trans_b else [4, 5]))]
        if c:
            inputs.append(cases.away(*c))
        scaled = what in ("a row", "a column")
        alpha, beta = (0.5, -1.5) if scaled else (1.0, 1.0)

        def reference(a, b, c=None):
            product = (a.T if trans_a else a) @ (b.T if trans_b else b) * alpha
            return product if c is None else product + beta * c

        attributes = {"transA": trans_a, "transB": trans_b}
        if scaled:
            attributes |= {"alpha": alpha, "beta": beta}
        cases.node(name, "Gemm", inputs, reference, attributes)
    for a, b in (
        ([3, 4], [4, 5]),
        ([2, 3, 4], [4, 5]),
        ([3, 4], [2, 4, 2]),
        ([2, 1, 3, 4], [3, 4, 2]),
        ([1, 2, 3, 2], [3, 1, 2, 2]),
        ([4], [4]),
        ([4], [4, 3]),
        ([4], [2, 4, 3]),
        ([2, 3, 4], [4]),
        ([1, 2, 3], [3, 1]),
    ):
        name = f"MatMul of {a} and {b}"
        cases.node(name, "MatMul", [cases.away(*a), cases.away(*b)], torch.matmul)
    for equation, shapes in (
        ("ij,jk->ik", [[2, 3], [3, 4]]),
        ("bhid, bhjd -> bhij", [[2, 2, 3, 2], [2, 2, 4, 2]]),
        ("ij,jk", [[2, 3], [3, 4]]),
        ("ij->i", [[2, 3]]),
        ("ij,k->ik", [[2, 3], [4]]),
        ("ab,bc,cd->ad", [[2, 3], [3, 2], [2, 4]]),
        ("ij->ji", [[2, 3]]),
    ):
        name = f"Einsum {equation}"
        inputs = [cases.away(*shape) for shape in shapes]
        cases.node(name, "Einsum", inputs, lambda *x: torch.einsum(equation, *x), {"equation": equation})


for make in (unary, binary, choices, joins, slices, views, picks, reductions, products):
    make()
for file, cases in FILES.items():
    cases.write(f"{file}.json.gz")
