"""Writes PyTorch's gradients of elementwise, layout, reduction and matrix operators: the fixtures of test/onnx/grad.

    .cache/train-peer/bin/python bench/peers/grad_reference_b.py test/onnx/grad/fixtures

A case is one ONNX node, what it is fed with, and the gradients of sum(output * weight). Inputs and weights
are multiples of 1/4096, which two bytes hold; gradients are worked out in double precision.
"""

import base64
import gzip
import itertools
import json
import math
import random
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

UNIT = 4096
FILES = {'elementwise': [], 'layout': [], 'reduce': [], 'matrix': []}


class Draw:
    """Random tensors of one case: the same for its name."""

    def __init__(self, name):
        self.random = random.Random(name)

    def real(self, *shape, low=-2.0, high=2.0, kinks=()):
        """Uniform; nowhere nearer to a kink than 1/8."""

        def one():
            while True:
                value = round(self.random.uniform(low, high) * UNIT) / UNIT
                if all(abs(value - kink) > 0.125 for kink in kinks):
                    return value

        return np.array([one() for _ in range(math.prod(shape))], np.float64).reshape(shape)

    def distinct(self, *shapes, gap=0.125):
        """Tensors of which no two elements are nearer than a gap."""
        counts = [math.prod(shape) for shape in shapes]
        ranks = list(range(sum(counts)))
        self.random.shuffle(ranks)
        values = (np.array(ranks, np.float64) - sum(counts) // 2) * gap
        parts = np.split(values, np.cumsum(counts)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes)]

    def whole(self, low, high, *shape):
        """int64 from low to high, high left out."""
        values = [self.random.randrange(low, high) for _ in range(math.prod(shape))]
        return np.array(values, np.int64).reshape(shape)


class Constant:
    """An input that is an initializer."""

    def __init__(self, value):
        self.value = np.asarray(value)


def ints(*values):
    return Constant(np.array(values, np.int64))


def case(file, name, op, inputs, reference, attributes=None, opset=None, dropped=()):
    """Adds a case. `reference` gets the inputs as tensors, constants as they are; `dropped` inputs have no gradient."""
    tensors = []
    for given in inputs:
        if given is None or isinstance(given, Constant):
            tensors.append(given and given.value)
        else:
            tensor = torch.from_numpy(np.array(given))
            tensors.append(tensor.requires_grad_() if tensor.is_floating_point() else tensor)
    results = reference(*tensors)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    draw = Draw(name + ' weights')
    weights = [draw.real(*result.shape, low=-1, high=1) for result in results]
    loss = sum((result * torch.from_numpy(weight)).sum() for result, weight in zip(results, weights))
    loss.backward()

    def gradient(i, tensor):
        if not torch.is_tensor(tensor) or not tensor.requires_grad or i in dropped:
            return None
        return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad

    entry = {
        'name': name,
        'op': op,
        'attributes': attributes or {},
        'inputs': [stored_input(given) for given in inputs],
        'loss': loss.item(),
        'weights': [short(weight) for weight in weights],
        'gradients': [
            None if found is None else exact(found.numpy())
            for found in (gradient(i, tensor) for i, tensor in enumerate(tensors))
        ],
    }
    if opset:
        entry['opset'] = opset
    FILES[file].append(entry)


def packed(kind, array):
    return {'shape': list(array.shape), 'type': kind, 'data': base64.b64encode(array.tobytes()).decode()}


def exact(array):
    return packed('float32', np.ascontiguousarray(array, '<f4'))


def short(array):
    parts = np.asarray(array) * UNIT
    assert (parts == np.round(parts)).all() and (abs(parts) < 2**15).all(), 'no multiple of 1/4096 below 8'
    return packed('int16', parts.astype('<i2'))


def stored_input(given):
    if given is None:
        return None
    array = given.value if isinstance(given, Constant) else np.asarray(given)
    kind = {'i': 'int64', 'b': 'bool'}.get(array.dtype.kind)
    entry = packed(kind, array.astype({'int64': '<i8', 'bool': 'u1'}[kind])) if kind else short(array)
    return {**entry, 'constant': True} if isinstance(given, Constant) else entry


def unary():
    def add(op, function, attributes=None, suffix='', opset=None, **limits):
        name = f'{op}{suffix}'
        draw = Draw(name)
        shape = [draw.random.randint(1, 4) for _ in range(draw.random.randint(2, 4))]
        shape[-1] = draw.random.choice([3, 5, 7])
        case('elementwise', name, op, [draw.real(*shape, **limits)], function, attributes, opset)

    alpha = {'alpha': {'float': 0.3}}
    add('Abs', torch.abs, kinks=[0])
    add('Neg', torch.neg)
    add('Exp', torch.exp)
    add('Log', torch.log, low=0.25)
    add('Sqrt', torch.sqrt, low=0.25)
    add('Reciprocal', torch.reciprocal, low=0.5)
    add('Reciprocal', torch.reciprocal, suffix=' below 0', low=-2, high=-0.5)
    add('Sin', torch.sin)
    add('Cos', torch.cos)
    add('Erf', torch.erf)
    add('Sigmoid', torch.sigmoid, low=-4, high=4)
    add('Tanh', torch.tanh)
    add('Softplus', F.softplus, low=-4, high=4)
    add('Softsign', F.softsign, kinks=[0])
    add('Relu', torch.relu, kinks=[0])
    add('LeakyRelu', F.leaky_relu, kinks=[0])
    add('LeakyRelu', lambda x: F.leaky_relu(x, 0.3), alpha, ' of 0.3', kinks=[0])
    add('Elu', F.elu, kinks=[0])
    add('Elu', lambda x: F.elu(x, 0.3), alpha, ' of 0.3', kinks=[0])
    add('Celu', lambda x: F.celu(x, 0.3), alpha, ' of 0.3', kinks=[0])
    add('Selu', F.selu, kinks=[0])
    add('HardSigmoid', lambda x: torch.clamp(0.2 * x + 0.5, 0, 1), low=-4, high=4, kinks=[-2.5, 2.5])
    sixth = {'alpha': {'float': 1 / 6}, 'beta': {'float': 0.5}}
    add('HardSigmoid', F.hardsigmoid, sixth, ' of 1/6', low=-5, high=5, kinks=[-3, 3])
    add('HardSwish', F.hardswish, low=-5, high=5, kinks=[-3, 3])
    add('Mish', F.mish, low=-4, high=4)
    add('Gelu', F.gelu, opset=20, low=-4, high=4)
    tanh = {'approximate': 'tanh'}
    add('Gelu', lambda x: F.gelu(x, approximate='tanh'), tanh, ' by tanh', 20, low=-4, high=4)
    add('Identity', lambda x: x * 1)
    add('Cast', lambda x: x * 1, {'to': 1})
    add('Dropout', lambda x: x * 1)


BROADCASTS = {
    'of equal shapes': ([2, 3, 5], [2, 3, 5]),
    'of a row': ([2, 3, 5], [5]),
    'of a column': ([3, 1], [2, 3, 4]),
    'of both': ([3, 1, 5], [2, 1, 4, 1]),
    'of a scalar': ([], [2, 3]),
    'of one element': ([3, 2], [1]),
    'of ones before': ([1, 1, 2, 3], [2, 3]),
}


def binary():
    def add(op, function, second=None):
        for how, (a, b) in BROADCASTS.items():
            draw = Draw(f'{op} {how}')
            inputs = [draw.real(*a), draw.real(*b, **(second or {}))]
            case('elementwise', f'{op} {how}', op, inputs, function)

    add('Add', torch.add)
    add('Sub', torch.sub)
    add('Mul', torch.mul)
    add('Div', torch.div, {'low': 0.5})
    for how, (a, b) in BROADCASTS.items():
        draw = Draw(f'Pow {how}')
        inputs = [draw.real(*a, low=0.5), draw.real(*b)]
        case('elementwise', f'Pow {how}', 'Pow', inputs, torch.pow)
        for op, function in (('Min', torch.minimum), ('Max', torch.maximum)):
            case('elementwise', f'{op} {how}', op, Draw(f'{op} {how}').distinct(a, b), function)
    for exponent in (0.0, 1.0, 2.0, 3.0):
        name = f'Pow to a constant {exponent}'
        base = Draw(name).real(2, 5)
        case('elementwise', name, 'Pow', [base, Constant(exponent)], lambda x, e: x ** float(e))
    base = np.array([0.0, 1.0, -1.5, 2.0])
    case('elementwise', 'Pow of 0', 'Pow', [base, Constant(2.0)], lambda x, e: x ** float(e))
    case('elementwise', 'Pow to 0 of 0', 'Pow', [base, Constant(0.0)], lambda x, e: x ** float(e))
    whole = Constant(np.array([2, 3, 1], np.int64))
    base = Draw('Pow to integers').real(2, 3)
    case('elementwise', 'Pow to integers', 'Pow', [base, whole], lambda x, e: x ** torch.from_numpy(e))
    three = ([2, 3, 4], [3, 1], [4])
    values = Draw('Sum of three')
    case('elementwise', 'Sum of three', 'Sum', [values.real(*s) for s in three], lambda a, b, c: a + b + c)
    case('elementwise', 'Mean of three', 'Mean', [values.real(*s) for s in three], lambda a, b, c: (a + b + c) / 3)
    case('elementwise', 'Sum of one', 'Sum', [values.real(3)], lambda a: a * 1)
    distinct = values.distinct(*three)
    case('elementwise', 'Max of three', 'Max', distinct, lambda a, b, c: torch.maximum(torch.maximum(a, b), c))
    equal = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    case('elementwise', 'Max where equal', 'Max', equal, torch.maximum)
    case('elementwise', 'Min where equal', 'Min', equal, torch.minimum)


def choices():
    for how, shapes in {
        'of equal shapes': ([2, 3], [2, 3], [2, 3]),
        'of broadcast values': ([2, 3, 4], [3, 1], [4]),
        'of a broadcast condition': ([3, 1], [2, 3, 4], []),
    }.items():
        draw = Draw(f'Where {how}')
        condition = draw.whole(0, 2, *shapes[0]).astype(bool)
        case('elementwise', f'Where {how}', 'Where', [condition, draw.real(*shapes[1]), draw.real(*shapes[2])], torch.where)
    low, high = Constant(-0.5), Constant(1.0)
    for how, bounds in {'': (low, high), ' from below': (low,), ' from above': (None, high)}.items():
        kinks = [float(bound.value) for bound in bounds if bound]
        x = Draw(f'Clip{how}').real(3, 7, kinks=kinks)

        def clamp(x, lowest=None, highest=None):
            return torch.clamp(x, *(None if bound is None else float(bound) for bound in (lowest, highest)))

        case('elementwise', f'Clip{how}', 'Clip', [x, *bounds], clamp)
    at_bounds = np.array([-1.0, -0.5, 0.0, 1.0, 2.0])
    case('elementwise', 'Clip at its bounds', 'Clip', [at_bounds, low, high], lambda x, a, b: torch.clamp(x, float(a), float(b)))
    for how, (x, slope) in {
        'by channel': ([2, 3, 2, 2], [3, 1, 1]),
        'by one': ([2, 5], [1]),
        'by element': ([2, 3], [2, 3]),
    }.items():
        draw = Draw(f'PRelu {how}')
        inputs = [draw.real(*x, kinks=[0]), draw.real(*slope)]
        case('elementwise', f'PRelu {how}', 'PRelu', inputs, lambda x, s: torch.where(x > 0, x, x * s))


def joins():
    for axis, shapes in ((1, [[2, 1, 3], [2, 4, 3], [2, 2, 3]]), (-1, [[2, 3], [2, 5]]), (-3, [[1, 2, 2], [3, 2, 2]]), (0, [[3]])):
        name = f'Concat of {len(shapes)} along {axis}'
        draw = Draw(name)
        case('layout', name, 'Concat', [draw.real(*s) for s in shapes], lambda *x: torch.cat(x, axis), {'axis': axis})
    for axis, shape, sizes in ((0, [7, 2], [1, 4, 2]), (-1, [2, 3, 5], [2, 3]), (1, [2, 4], [4])):
        name = f'Split into {sizes} along {axis}'
        x = Draw(name).real(*shape)
        case('layout', name, 'Split', [x, ints(*sizes)], lambda x, s: torch.split(x, s.tolist(), axis), {'axis': axis})
    x = Draw('Split in unequal thirds').real(2, 8)
    attributes = {'axis': -1, 'num_outputs': 3}
    case('layout', 'Split in unequal thirds', 'Split', [x], lambda x: torch.split(x, 3, -1), attributes)


def slices():
    def add(shape, taken, axes=None, leave_steps=False):
        name = f'Slice of {shape}: {taken}' + (f' along {axes}' if axes else '')
        x = Draw(name).real(*shape)
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
        case('layout', name, 'Slice', inputs, reference)

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
    draw = Draw('random slices')
    for _ in range(12):
        shape = [draw.random.randint(1, 6) for _ in range(draw.random.randint(1, 3))]
        axes = draw.random.sample(range(len(shape)), draw.random.randint(1, len(shape)))
        taken = []
        for axis in axes:
            size = shape[axis]
            step = draw.random.choice([1, 1, 2, 3, -1, -2, -3])
            start = draw.random.randrange(size)
            end = draw.random.randint(start + 1, size + 2) if step > 0 else draw.random.randint(0, start) - 1
            taken.append((start, -far if end < 0 else end, step))
        add(shape, taken, axes)


def views():
    def add(op, shape, reference, attributes=None, *more, note=''):
        name = f'{op} of {shape}{note}'
        case('layout', name, op, [Draw(name).real(*shape), *more], reference, attributes)

    for perm in ([1, 0], [2, 0, 1], [0, 3, 1, 2], [3, 2, 0, 1]):
        shape = [2, 3, 4, 5][: len(perm)]
        add('Transpose', shape, lambda x: x.permute(perm), {'perm': perm}, note=f' to {perm}')
    add('Transpose', [2, 3, 4], lambda x: x.permute(2, 1, 0))
    add('Reshape', [2, 3, 4], lambda x, _: x.reshape(6, 4), None, ints(-1, 4), note=' to -1, 4')
    add('Reshape', [2, 3, 4], lambda x, _: x.reshape(2, 12), None, ints(0, -1), note=' to 0, -1')
    add('Reshape', [1], lambda x, _: x.reshape(()), None, Constant(np.zeros(0, np.int64)), note=' to a scalar')
    add('Flatten', [2, 3, 4], lambda x: x.reshape(2, 12))
    add('Flatten', [2, 3, 4], lambda x: x.reshape(6, 4), {'axis': -1}, note=' along -1')
    add('Squeeze', [1, 3, 1], lambda x, _: x.squeeze(-1), None, ints(-1), note=' of -1')
    add('Squeeze', [1, 3, 1], lambda x: x.squeeze())
    add('Unsqueeze', [2, 3], lambda x, _: x.reshape(1, 2, 3, 1), None, ints(0, -1), note=' at 0, -1')
    add('Expand', [3, 1], lambda x, _: x.expand(2, 3, 4), None, ints(2, 1, 4), note=' to 2, 3, 4')
    add('Expand', [2, 3], lambda x, _: x.expand(2, 3), None, ints(1, 1), note=' to itself')
    add('Expand', [], lambda x, _: x.expand(2, 2), None, ints(2, 2), note=' to 2, 2')
    add('Tile', [2, 3], lambda x, _: x.repeat(2, 3), None, ints(2, 3), note=' by 2, 3')
    add('Tile', [2, 1, 3], lambda x, _: x.repeat(1, 4, 2), None, ints(1, 4, 2), note=' by 1, 4, 2')
    add('Tile', [2, 3], lambda x, _: x.repeat(1, 1), None, ints(1, 1), note=' by 1')

    def blocks(x, mode):
        n, c, h, w = x.shape
        if mode == 'CRD':
            return F.pixel_shuffle(x, 2)
        parts = x.reshape(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2)
        return parts.reshape(n, c // 4, h * 2, w * 2)

    for mode in ('DCR', 'CRD'):
        add('DepthToSpace', [2, 8, 1, 3], lambda x: blocks(x, mode), {'blocksize': 2, 'mode': mode}, note=f' {mode}')

    def unblocked(x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 3, 3, w // 3, 3).permute(0, 3, 5, 1, 2, 4).reshape(n, c * 9, h // 3, w // 3)

    add('SpaceToDepth', [1, 2, 6, 3], unblocked, {'blocksize': 3})


def picks():
    def add(shape, indices, axis, constant=False):
        name = f'Gather from {shape} along {axis}, indices {list(np.shape(indices))}' + (' constant' if constant else '')
        array = np.array(indices, np.int64)
        given = Constant(array) if constant else array

        def reference(x, i):
            i = torch.as_tensor(i)
            at = axis % x.dim()
            i = torch.where(i < 0, i + x.shape[at], i)
            picked = x.index_select(at, i.reshape(-1))
            return picked.reshape(*x.shape[:at], *i.shape, *x.shape[at + 1 :])

        case('layout', name, 'Gather', [Draw(name).real(*shape), given], reference, {'axis': axis})

    add([5, 3], [[0, 4, 2], [2, 2, -1]], 0)
    add([2, 5, 3], [1, 1, 4], 1)
    add([2, 5, 3], 2, 1)
    add([2, 5, 3], 2, 1, True)
    add([2, 5, 3], -1, -1, True)
    add([5, 3], [3], 0, True)
    add([5, 3], [3, 3, -5], 0, True)
    add([2, 3, 4], [[0, -1]], -1)
    for shape, picked, axis in (([3, 4], [2, 4], 0), ([3, 4], [3, 6], 1), ([2, 3, 4], [1, 2, 5], -1)):
        name = f'GatherElements from {shape}: {picked} along {axis}'
        draw = Draw(name)
        indices = draw.whole(-shape[axis], shape[axis], *picked)

        def reference(x, i):
            return torch.gather(x, axis, torch.where(i < 0, i + x.shape[axis], i))

        case('layout', name, 'GatherElements', [draw.real(*shape), indices], reference, {'axis': axis})


def reductions():
    def product(x, axes, keep):
        for axis in sorted((a % x.dim() for a in axes), reverse=True):
            x = x.prod(axis, keepdim=keep)
        return x

    functions = {
        'ReduceSum': lambda x, a, k: x.sum(a, k),
        'ReduceMean': lambda x, a, k: x.mean(a, k),
        'ReduceSumSquare': lambda x, a, k: (x * x).sum(a, k),
        'ReduceL1': lambda x, a, k: x.abs().sum(a, k),
        'ReduceL2': lambda x, a, k: torch.linalg.vector_norm(x, 2, a, k),
        'ReduceLogSum': lambda x, a, k: x.sum(a, k).log(),
        'ReduceLogSumExp': lambda x, a, k: x.logsumexp(a, k),
        'ReduceMax': lambda x, a, k: x.amax(a, k),
        'ReduceMin': lambda x, a, k: x.amin(a, k),
        'ReduceProd': product,
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
            name = f'{op} of {shape} over {"all" if axes is None else list(axes)}{", kept" if keep else ""}'
            draw = Draw(name)
            limits = {'low': 0.5} if op == 'ReduceLogSum' else {'kinks': [0]} if op == 'ReduceL1' else {}
            x = draw.distinct(shape)[0] if op in ('ReduceMax', 'ReduceMin') else draw.real(*shape, **limits)
            over = tuple(range(len(shape))) if axes is None else axes
            inputs = [x] if axes is None else [x, ints(*axes)]
            case('reduce', name, op, inputs, lambda x, *_: function(x, over, bool(keep)), {'keepdims': keep})
    x = Draw('nothing').real(2, 3)
    none = Constant(np.zeros(0, np.int64))
    attributes = {'noop_with_empty_axes': 1}
    case('reduce', 'ReduceSum over nothing', 'ReduceSum', [x, none], lambda x, _: x * 1, attributes)
    zeros = np.array([[1.0, 2.0, 3.0], [0.0, 2.0, -1.5], [0.0, 2.0, 0.0]])
    over = [zeros, ints(1)]
    case('reduce', 'ReduceProd of zeros', 'ReduceProd', over, lambda x, _: x.prod(1, keepdim=True))
    equal = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    case('reduce', 'ReduceMax of equal ones', 'ReduceMax', [equal, ints(1)], lambda x, _: x.amax(1, True))
    case('reduce', 'ReduceL2 of zeros', 'ReduceL2', [np.zeros((2, 3)), ints(1)], lambda x, _: torch.linalg.vector_norm(x, 2, 1, True))


def products():
    offsets = {'a row': [5], 'a matrix': [3, 5], 'a column': [3, 1], 'one': [1], 'no offset': None}
    for (trans_a, trans_b), (what, c) in itertools.product(itertools.product((0, 1), (0, 1)), offsets.items()):
        name = f"Gemm of A{chr(39) * trans_a} B{chr(39) * trans_b} and {what}"
        draw = Draw(name)
        inputs = [draw.real(*([4, 3] if trans_a else [3, 4])), draw.real(*([5, 4] if trans_b else [4, 5]))]
        if c:
            inputs.append(draw.real(*c))
        scaled = what in ('a row', 'a column')
        alpha, beta = (0.5, -1.5) if scaled else (1.0, 1.0)

        def reference(a, b, c=None):
            product = (a.T if trans_a else a) @ (b.T if trans_b else b) * alpha
            return product if c is None else product + beta * c

        attributes = {'transA': trans_a, 'transB': trans_b}
        if scaled:
            attributes |= {'alpha': {'float': alpha}, 'beta': {'float': beta}}
        case('matrix', name, 'Gemm', inputs, reference, attributes)
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
        name = f'MatMul of {a} and {b}'
        draw = Draw(name)
        case('matrix', name, 'MatMul', [draw.real(*a), draw.real(*b)], torch.matmul)
    for equation, shapes in (
        ('ij,jk->ik', [[2, 3], [3, 4]]),
        ('bhid, bhjd -> bhij', [[2, 2, 3, 2], [2, 2, 4, 2]]),
        ('ij,jk', [[2, 3], [3, 4]]),
        ('ij->i', [[2, 3]]),
        ('ij,k->ik', [[2, 3], [4]]),
        ('ab,bc,cd->ad', [[2, 3], [3, 2], [2, 4]]),
        ('ij->ji', [[2, 3]]),
    ):
        name = f'Einsum {equation}'
        draw = Draw(name)
        inputs = [draw.real(*shape) for shape in shapes]
        case('matrix', name, 'Einsum', inputs, lambda *x: torch.einsum(equation, *x), {'equation': equation})


def main(folder):
    for make in (unary, binary, choices, joins, slices, views, picks, reductions, products):
        make()
    for file, cases in FILES.items():
        names = [each['name'] for each in cases]
        assert len(set(names)) == len(names), f'two cases of one name: {file}'
        text = json.dumps({'cases': cases}, separators=(',', ':')).encode()
        path = Path(folder) / f'{file}.json.gz'
        path.write_bytes(gzip.compress(text, 9, mtime=0))
        print(f'{path}: {len(cases)} cases, {path.stat().st_size} bytes')


if __name__ == '__main__':
    main(*sys.argv[1:])
