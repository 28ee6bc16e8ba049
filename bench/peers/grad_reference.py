"""Writes PyTorch's gradients of the operators of pictures, of normalisations, of softmax and its losses.

    .cache/train-peer/bin/python bench/peers/grad_reference.py     (bench/peers/setup-train.sh makes it)
"""

import numpy as np
import torch
import torch.nn.functional as F
from grad_fixture import Cases, constant, exact, stored, write_fixture

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def padded(x, begins, ends, value=0.0):
    """PyTorch's operators know no padding that differs from side to side."""
    pairs = [side for begin, end in zip(reversed(begins), reversed(ends)) for side in (begin, end)]
    return F.pad(x, pairs, value=value)


def same_pads(auto_pad, sizes, kernel, strides, dilations):
    begins, ends = [], []
    for size, k, s, d in zip(sizes, kernel, strides, dilations):
        total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        less, more = total // 2, total - total // 2
        begins.append(less if auto_pad == "SAME_UPPER" else more)
        ends.append(more if auto_pad == "SAME_UPPER" else less)
    return begins, ends


def add_conv(cases, name, x, w, bias=True, group=1, strides=None, dilations=None, pads=None, auto_pad=None):
    rank = len(x) - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    begins, ends = (pads or [0] * 2 * rank)[:rank], (pads or [0] * 2 * rank)[rank:]
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        begins, ends = same_pads(auto_pad, x[2:], w[2:], strides, dilations)

    def function(x, w, b=None):
        return CONV[rank](padded(x, begins, ends), w, b, stride=strides, dilation=dilations, groups=group)

    inputs = [cases.uniform(*x), cases.uniform(*w, low=-1, high=1)] + ([cases.uniform(w[0])] if bias else [])
    attributes = {"group": group, "strides": strides, "dilations": dilations}
    attributes |= {"auto_pad": auto_pad} if auto_pad else {"pads": [*begins, *ends]}
    cases.add(f"Conv {name}", "Conv", function, inputs, attributes)


def add_conv_transpose(cases, name, x, w, bias=True, group=1, strides=None, dilations=None, pads=None, extra=None,
                       by_shape=False, auto_pad=None):
    rank = len(x) - 2
    strides, dilations, extra = strides or [1] * rank, dilations or [1] * rank, extra or [0] * rank
    full = [(n - 1) * s + (k - 1) * d + 1 + e for n, k, s, d, e in zip(x[2:], w[2:], strides, dilations, extra)]
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        totals = [max(0, f - n * s) for f, n, s in zip(full, x[2:], strides)]
        less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
        pads = [*less, *more] if auto_pad == "SAME_UPPER" else [*more, *less]
    pads = pads or [0] * 2 * rank
    stops = [f - pad for f, pad in zip(full, pads[rank:])]

    def function(x, w, b=None):
        # Whole, with zeros where the output is longer than what is reached; then without what is padded away.
        y = CONV_TRANSPOSE[rank](x, w, None, stride=strides, dilation=dilations, groups=group)
        y = padded(y, [0] * rank, extra)
        for axis, (start, stop) in enumerate(zip(pads[:rank], stops)):
            y = y.narrow(axis + 2, start, stop - start)
        return y if b is None else y + b.reshape(-1, *[1] * rank)

    inputs = [cases.uniform(*x), cases.uniform(*w, low=-1, high=1)] + ([cases.uniform(w[1] * group)] if bias else [])
    attributes = {"group": group, "strides": strides, "dilations": dilations, "output_padding": extra}
    if auto_pad:
        attributes |= {"auto_pad": auto_pad}
    elif by_shape:
        attributes |= {"output_shape": [stop - start for start, stop in zip(pads, stops)]}
    else:
        attributes |= {"pads": pads}
    cases.add(f"ConvTranspose {name}", "ConvTranspose", function, inputs, attributes)


def draw_conv(cases, transposed):
    """A random convolution in which something is left for the window to do."""
    rng = cases.rng
    rank = int(rng.choice([1, 2, 2, 3]))
    group = int(rng.choice([1, 1, 2, 3]))
    depthwise = rng.random() < 0.25
    ins, outs = (1, int(rng.integers(1, 3))) if depthwise else (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    kernel = [int(k) for k in rng.integers(1, 4, rank)]
    strides = [int(s) for s in rng.integers(1, 4, rank)]
    dilations = [int(d) for d in rng.integers(1, 3, rank)]
    pads = [int(p) for p in rng.integers(0, 3, 2 * rank)]
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    items = int(rng.integers(1, 4))
    bias = bool(rng.integers(2))
    text = f"{rank}-D, group {group}, kernel {kernel}, strides {strides}, dilations {dilations}, pads {pads}"
    if not transposed:
        sizes = [e + int(rng.integers(0, 5)) for e in extents]
        add_conv(cases, text, [items, group * ins, *sizes], [group * outs, ins, *kernel], bias, group, strides, dilations,
                 pads)
        return
    sizes = [int(n) for n in rng.integers(2, 5, rank)]
    extra = [int(rng.integers(0, s)) for s in strides]
    pads = [min(p, e - 1) for p, e in zip(pads, [*extents, *extents])]
    pads = [min(p, 1) for p in pads] if min(sizes) < 3 else pads
    if any((n - 1) * s + e - a - b < 1 for n, s, e, a, b in zip(sizes, strides, extents, pads[:rank], pads[rank:])):
        return
    add_conv_transpose(cases, f"{text}, output padding {extra}", [items, group * ins, *sizes],
                       [group * ins, outs, *kernel], bias, group, strides, dilations, pads, extra)


def convolutions():
    cases = Cases(1)
    add_conv(cases, "3x3, pads 1", [2, 3, 6, 6], [4, 3, 3, 3], pads=[1, 1, 1, 1])
    add_conv(cases, "3x3, stride 2, odd size", [2, 3, 7, 7], [4, 3, 3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    add_conv(cases, "3x3, stride 2, even size", [2, 2, 8, 6], [3, 2, 3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    add_conv(cases, "7x7, stride 2, pads 3", [1, 2, 11, 10], [2, 2, 7, 7], bias=False, strides=[2, 2], pads=[3] * 4)
    add_conv(cases, "1x1", [2, 5, 4, 3], [6, 5, 1, 1], bias=False)
    add_conv(cases, "1x1, stride 2", [2, 5, 7, 6], [4, 5, 1, 1], bias=False, strides=[2, 2])
    add_conv(cases, "1x1, stride 3, pads", [1, 3, 6, 5], [2, 3, 1, 1], strides=[3, 3], pads=[1, 0, 0, 2])
    add_conv(cases, "1x1, groups", [2, 6, 3, 4], [4, 3, 1, 1], group=2)
    add_conv(cases, "as large as the picture", [3, 4, 3, 5], [2, 4, 3, 5])
    add_conv(cases, "stride longer than the kernel", [1, 2, 9, 11], [3, 2, 2, 1], strides=[3, 4])
    add_conv(cases, "dilations 2 and 3", [1, 2, 9, 10], [3, 2, 3, 3], dilations=[2, 3], pads=[1, 2, 3, 0])
    add_conv(cases, "one-sided pads", [2, 2, 5, 4], [2, 2, 3, 2], pads=[0, 1, 2, 0])
    add_conv(cases, "groups", [2, 6, 5, 5], [9, 2, 3, 3], group=3, pads=[1, 1, 1, 1])
    add_conv(cases, "depthwise", [2, 4, 6, 5], [4, 1, 3, 3], group=4, pads=[1, 1, 1, 1])
    add_conv(cases, "depthwise, stride 2", [2, 3, 7, 8], [3, 1, 3, 3], bias=False, group=3, strides=[2, 2], pads=[1] * 4)
    add_conv(cases, "depthwise, 5x5, dilated", [1, 2, 11, 10], [2, 1, 5, 5], group=2, dilations=[2, 1], pads=[3, 2, 4, 1])
    add_conv(cases, "depthwise, two kernels a channel", [2, 3, 5, 4], [6, 1, 3, 2], group=3, pads=[1, 0, 1, 1])
    add_conv(cases, "depthwise, large picture", [1, 2, 35, 31], [2, 1, 3, 3], group=2, pads=[1, 1, 1, 1])
    add_conv(cases, "one channel to many", [2, 1, 5, 5], [4, 1, 3, 3])
    add_conv(cases, "SAME_UPPER", [1, 2, 7, 8], [3, 2, 3, 4], strides=[2, 3], auto_pad="SAME_UPPER")
    add_conv(cases, "SAME_LOWER", [1, 2, 7, 8], [3, 2, 4, 3], strides=[2, 3], auto_pad="SAME_LOWER")
    add_conv(cases, "VALID", [1, 2, 7, 8], [3, 2, 3, 3], strides=[2, 2], auto_pad="VALID")
    add_conv(cases, "1-D", [3, 2, 9], [4, 2, 3], strides=[2], pads=[1, 0])
    add_conv(cases, "1-D, depthwise, dilated", [2, 3, 12], [3, 1, 3], group=3, dilations=[3], pads=[3, 3])
    add_conv(cases, "3-D", [2, 2, 4, 5, 3], [3, 2, 2, 3, 2], strides=[1, 2, 1], pads=[0, 1, 1, 1, 0, 0])
    add_conv(cases, "3-D, depthwise", [1, 3, 4, 4, 5], [3, 1, 3, 2, 3], group=3, strides=[2, 1, 2], pads=[1, 0, 1, 1, 1, 1])
    add_conv(cases, "many channels", [2, 8, 4, 5], [3, 8, 3, 2], pads=[1, 0, 1, 1])
    add_conv(cases, "many channels, groups, dilated", [1, 16, 5, 4], [4, 8, 2, 2], bias=False, group=2, dilations=[2, 1])
    for _ in range(20):
        draw_conv(cases, transposed=False)
    cases.write("convolution.json.gz")


def transposed_convolutions():
    cases = Cases(2)
    add_conv_transpose(cases, "2x2, stride 2", [2, 3, 4, 3], [3, 2, 2, 2], strides=[2, 2])
    add_conv_transpose(cases, "3x3, stride 2, pads, output padding", [2, 3, 3, 4], [3, 4, 3, 3], strides=[2, 2],
                       pads=[1, 1, 1, 1], extra=[1, 1])
    add_conv_transpose(cases, "groups", [1, 4, 4, 4], [4, 3, 3, 2], group=2, strides=[2, 1], pads=[1, 0, 0, 1])
    add_conv_transpose(cases, "depthwise", [2, 3, 4, 5], [3, 1, 4, 4], bias=False, group=3, strides=[2, 2], pads=[1] * 4)
    add_conv_transpose(cases, "1x1", [2, 3, 3, 3], [3, 2, 1, 1])
    add_conv_transpose(cases, "dilated, output padding", [1, 2, 4, 3], [2, 3, 2, 3], strides=[2, 3], dilations=[3, 2],
                       pads=[1, 1, 1, 1], extra=[1, 2])
    add_conv_transpose(cases, "output_shape", [1, 2, 4, 5], [2, 3, 3, 3], strides=[2, 3], pads=[1, 1, 0, 1], by_shape=True)
    add_conv_transpose(cases, "SAME_UPPER", [1, 2, 4, 5], [2, 2, 3, 4], strides=[2, 3], auto_pad="SAME_UPPER")
    add_conv_transpose(cases, "SAME_LOWER", [1, 2, 4, 5], [2, 2, 3, 4], strides=[2, 1], auto_pad="SAME_LOWER")
    add_conv_transpose(cases, "1-D", [2, 3, 5], [3, 2, 4], strides=[3], pads=[1, 2])
    add_conv_transpose(cases, "3-D", [1, 2, 3, 2, 3], [2, 2, 2, 3, 2], strides=[2, 1, 2], pads=[0, 1, 1, 1, 0, 0])
    for _ in range(14):
        draw_conv(cases, transposed=True)
    cases.write("conv-transpose.json.gz")


def add_max_pool(cases, name, x, kernel, strides=None, pads=None, dilations=None, ceil=False, auto_pad=None):
    rank = len(kernel)
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    begins, ends = (pads or [0] * 2 * rank)[:rank], (pads or [0] * 2 * rank)[rank:]
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        begins, ends = same_pads(auto_pad, x[2:], kernel, strides, dilations)

    def function(x):
        return MAX_POOL[rank](padded(x, begins, ends, -np.inf), kernel, strides, 0, dilations, ceil_mode=ceil)

    attributes = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "ceil_mode": int(ceil)}
    attributes |= {"auto_pad": auto_pad} if auto_pad else {"pads": [*begins, *ends]}
    cases.add(f"MaxPool {name}", "MaxPool", function, [cases.spaced(*x)], attributes)


def add_average_pool(cases, name, x, kernel, strides=None, pads=None, ceil=False, include=False, opset=None):
    """Padding is the same on both sides, as PyTorch has it."""
    rank = len(kernel)
    strides, pads = strides or [1] * rank, pads or [0] * rank

    def function(x):
        return AVERAGE_POOL[rank](x, kernel, strides, pads, ceil, include)

    attributes = {"kernel_shape": kernel, "strides": strides, "pads": [*pads, *pads]}
    attributes |= {"ceil_mode": int(ceil), "count_include_pad": int(include)}
    cases.add(f"AveragePool {name}", "AveragePool", function, [cases.uniform(*x)], attributes, opset)


def pools():
    cases = Cases(3)
    add_max_pool(cases, "2x2, stride 2", [2, 3, 4, 6], [2, 2], [2, 2])
    add_max_pool(cases, "2x2, stride 2, odd size", [2, 2, 5, 7], [2, 2], [2, 2])
    add_max_pool(cases, "2x2, stride 2, odd size, ceil", [2, 2, 5, 7], [2, 2], [2, 2], ceil=True)
    add_max_pool(cases, "3x3, stride 2, pads 1", [2, 2, 7, 8], [3, 3], [2, 2], [1, 1, 1, 1])
    add_max_pool(cases, "3x3, stride 1", [1, 2, 5, 6], [3, 3], [1, 1], [1, 1, 1, 1])
    add_max_pool(cases, "3x3, stride 3, pads 1", [1, 2, 8, 7], [3, 3], [3, 3], [1, 1, 1, 1])
    add_max_pool(cases, "2x3, dilated, one-sided pads", [1, 2, 8, 9], [2, 3], [2, 1], [1, 0, 0, 1], [3, 2])
    add_max_pool(cases, "stride longer than the kernel", [1, 2, 8, 9], [2, 2], [3, 4])
    add_max_pool(cases, "SAME_UPPER", [1, 2, 5, 6], [2, 3], [2, 2], auto_pad="SAME_UPPER")
    add_max_pool(cases, "1-D", [2, 3, 9], [3], [2], [1, 1])
    add_max_pool(cases, "1-D, stride 2", [2, 3, 8], [2], [2])
    add_max_pool(cases, "3-D, stride 2", [1, 2, 4, 4, 6], [2, 2, 2], [2, 2, 2])
    add_max_pool(cases, "3-D, overlapping", [1, 2, 4, 5, 4], [3, 2, 3], [1, 2, 1])
    add_average_pool(cases, "2x2, stride 2", [2, 3, 4, 6], [2, 2], [2, 2])
    add_average_pool(cases, "2x2, stride 2, odd size", [2, 2, 5, 7], [2, 2], [2, 2])
    add_average_pool(cases, "3x3, stride 1, pads 1", [1, 2, 5, 4], [3, 3], [1, 1], [1, 1])
    add_average_pool(cases, "3x3, stride 1, pads 1, counted", [1, 2, 5, 4], [3, 3], [1, 1], [1, 1], include=True)
    add_average_pool(cases, "3x2, stride 2 and 3, pads", [2, 2, 7, 8], [3, 2], [2, 3], [1, 0], include=True)
    add_average_pool(cases, "ceil", [1, 2, 6, 7], [3, 2], [2, 2], [1, 1], ceil=True)
    add_average_pool(cases, "ceil, counted", [1, 2, 6, 7], [3, 2], [2, 2], [1, 1], ceil=True, include=True, opset=19)
    add_average_pool(cases, "1-D", [2, 3, 9], [4], [3], [1])
    add_average_pool(cases, "3-D", [1, 2, 4, 5, 4], [2, 3, 2], [2, 1, 2])
    for rank in (1, 2, 3):
        shape = [2, 3, 4, 3, 2][: rank + 2]
        spatial = tuple(range(2, rank + 2))
        cases.add(f"GlobalAveragePool {rank}-D", "GlobalAveragePool", lambda x: x.mean(spatial, keepdim=True),
                  [cases.uniform(*shape)])
        cases.add(f"GlobalMaxPool {rank}-D", "GlobalMaxPool", lambda x: x.amax(spatial, keepdim=True),
                  [cases.spaced(*shape)])
    cases.write("pooling.json.gz")


def batch_norm(training, eps):
    def function(x, scale, bias, mean, variance):
        return F.batch_norm(x, mean, variance, scale, bias, training=training, eps=eps)

    return function


def statistics(cases, channels):
    return [cases.uniform(channels, low=0.5, high=2), cases.uniform(channels), constant(cases.uniform(channels)),
            constant(cases.uniform(channels, low=0.25, high=2))]


def normalisations():
    cases = Cases(4)
    for shape in ([3, 4], [2, 3, 5], [2, 3, 4, 5], [2, 2, 2, 3, 4]):
        cases.add(f"BatchNormalization frozen, {len(shape)} axes", "BatchNormalization", batch_norm(False, 1e-3),
                  [cases.uniform(*shape), *statistics(cases, shape[1])], {"epsilon": 1e-3})
    for name, shape, axis in (("last axis", [2, 3, 8], -1), ("two axes", [3, 4, 5], 1), ("one row", [6], 0),
                              ("all axes", [2, 3, 4], 0), ("pictures", [2, 3, 2, 4], -3)):
        sizes = shape[axis:] if axis < 0 else shape[axis:]
        for bias in (True, False):
            inputs = [cases.uniform(*shape), cases.uniform(*sizes)] + ([cases.uniform(*sizes)] if bias else [])
            cases.add(f"LayerNormalization {name}{'' if bias else ', no bias'}", "LayerNormalization",
                      lambda x, scale, bias=None: F.layer_norm(x, sizes, scale, bias, 1e-3), inputs,
                      {"axis": axis, "epsilon": 1e-3})
    for shape, groups in (([2, 6, 3, 4], 3), ([3, 4, 5], 2), ([2, 4, 3, 3], 1), ([1, 3, 2, 2, 3], 3)):
        inputs = [cases.uniform(*shape), cases.uniform(shape[1]), cases.uniform(shape[1])]
        cases.add(f"GroupNormalization 21, {groups} groups of {shape}", "GroupNormalization",
                  lambda x, scale, bias: F.group_norm(x, groups, scale, bias, 1e-3), inputs,
                  {"num_groups": groups, "epsilon": 1e-3}, opset=21)

    def by_group(x, scale, bias):
        each = x.shape[1] // 3
        return F.group_norm(x, 3, scale.repeat_interleave(each), bias.repeat_interleave(each), 1e-3)

    cases.add("GroupNormalization 18", "GroupNormalization", by_group,
              [cases.uniform(2, 6, 3, 4), cases.uniform(3), cases.uniform(3)], {"num_groups": 3, "epsilon": 1e-3}, opset=18)
    for shape in ([2, 3, 7], [2, 3, 4, 5], [1, 2, 3, 2, 4]):
        cases.add(f"InstanceNormalization of {shape}", "InstanceNormalization",
                  lambda x, scale, bias: F.instance_norm(x, weight=scale, bias=bias, eps=1e-3),
                  [cases.uniform(*shape), cases.uniform(shape[1]), cases.uniform(shape[1])], {"epsilon": 1e-3})
    cases.write("normalisation.json.gz")


def batch_statistics():
    """BatchNormalization as training has it: a test makes the graph."""
    cases = Cases(5)
    for shape in ([5, 4], [3, 2, 6], [3, 4, 3, 5], [2, 2, 2, 3, 4]):
        inputs = [cases.uniform(*shape) + 3 * cases.uniform(shape[1], *[1] * (len(shape) - 2)),
                  *statistics(cases, shape[1])]
        cases.add(f"BatchNormalization of a batch, {len(shape)} axes", "BatchNormalization", batch_norm(True, 1e-3), inputs,
                  {"epsilon": 1e-3})
    cases.write("batch-statistics.json.gz")


def losses():
    cases = Cases(6)
    for op, function in (("Softmax", torch.softmax), ("LogSoftmax", torch.log_softmax)):
        for shape, axis in (([3, 5], -1), ([2, 4, 3], 1), ([2, 3, 4, 3], 0), ([2, 2, 3, 6], 3)):
            cases.add(f"{op} of {shape}, axis {axis}", op, lambda x: function(x, dim=axis), [cases.uniform(*shape)],
                      {"axis": axis})
    for shape in ([4, 5], [2, 4, 3], [2, 3, 2, 3]):
        places = [shape[0], *shape[2:]]
        for reduction in ("mean", "sum", "none"):
            for weighted, ignored in ((False, None), (True, None), (False, 1), (True, -1)):
                labels = cases.rng.integers(0, shape[1], places)
                if ignored is not None:
                    labels.flat[:: 3] = ignored
                    labels.flat[1] = 0
                weight = [constant(cases.uniform(shape[1], low=0.25, high=2))] if weighted else []
                attributes = {"reduction": reduction} | ({} if ignored is None else {"ignore_index": ignored})
                options = dict(reduction=reduction, ignore_index=-100 if ignored is None else ignored)
                text = f"of {shape}, {reduction}{', weighted' if weighted else ''}{f', without {ignored}' if ignored else ''}"
                cases.add(f"SoftmaxCrossEntropyLoss {text}", "SoftmaxCrossEntropyLoss",
                          lambda x, labels, w=None: F.cross_entropy(x, labels, w, **options),
                          [cases.uniform(*shape), labels, *weight], attributes)
                cases.add(f"NegativeLogLikelihoodLoss {text}", "NegativeLogLikelihoodLoss",
                          lambda x, labels, w=None: F.nll_loss(x, labels, w, **options),
                          [cases.uniform(*shape), labels, *weight], attributes)
    labels = cases.rng.integers(0, 5, 4)
    cases.add("SoftmaxCrossEntropyLoss with the logarithms", "SoftmaxCrossEntropyLoss",
              lambda x, labels: (F.cross_entropy(x, labels), torch.log_softmax(x, 1)), [cases.uniform(4, 5), labels])
    cases.write("losses.json.gz")


def add_pad(cases, name, x, pads, mode, function, axes=None, value=None):
    inputs = [cases.uniform(*x), np.array(pads)]
    if axes is not None or value is not None:
        inputs.append(None if value is None else constant(np.array(value)))
    if axes is not None:
        inputs.append(np.array(axes))
    cases.add(f"Pad {name}", "Pad", function, inputs, {"mode": mode}, opset=19)


def add_resize(cases, name, x, attributes, function, scales=None, sizes=None, axes=None, roi=None):
    inputs = [cases.uniform(*x), None, constant(np.array(scales, float)) if scales else None,
              np.array(sizes) if sizes else None]
    cases.add(f"Resize {name}", "Resize", lambda x, *_: function(x), inputs[:3] if sizes is None else inputs,
              attributes | ({"axes": axes} if axes else {}), opset=19)


def pictures():
    cases = Cases(7)
    add_pad(cases, "zeros", [2, 2, 3, 4], [0, 0, 1, 2, 0, 0, 2, 0], "constant", lambda x, *_: F.pad(x, (2, 0, 1, 2)))
    add_pad(cases, "a value", [2, 2, 3, 4], [0, 1, 1, 0, 0, 0, 2, 1], "constant",
            lambda x, *_: F.pad(x, (0, 1, 1, 2, 1, 0), value=1.5), value=1.5)
    add_pad(cases, "and crop", [2, 5, 6], [0, -1, 2, 0, 1, -3], "constant", lambda x, *_: F.pad(x, (2, -3, -1, 1)))
    add_pad(cases, "some axes", [2, 3, 4, 3], [1, 2, 0, 1], "constant", lambda x, *_: F.pad(x, (2, 1, 1, 0)),
            axes=[-2, 3])
    add_pad(cases, "reflect", [1, 2, 4, 5], [0, 0, 2, 1, 0, 0, 3, 4], "reflect",
            lambda x, *_: F.pad(x, (1, 4, 2, 3), mode="reflect"))
    add_pad(cases, "edge", [1, 2, 3, 4], [0, 0, 2, 0, 0, 0, 1, 3], "edge",
            lambda x, *_: F.pad(x, (0, 3, 2, 1), mode="replicate"))
    add_pad(cases, "wrap", [1, 2, 4, 5], [0, 0, 2, 1, 0, 0, 3, 0], "wrap",
            lambda x, *_: F.pad(x, (1, 0, 2, 3), mode="circular"))

    def to(size, mode, **options):
        return lambda x: F.interpolate(x, size=size, mode=mode, **options)

    def by(factor, mode, **options):
        return lambda x: F.interpolate(x, scale_factor=factor, mode=mode, **options)

    floor = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    add_resize(cases, "nearest, twice", [2, 2, 3, 4], floor, by((2, 2), "nearest"), scales=[1, 1, 2, 2])
    add_resize(cases, "nearest, 2 and 3 times", [1, 2, 3, 2], floor, by((2, 3), "nearest"), scales=[1, 1, 2, 3])
    add_resize(cases, "nearest, to a size", [1, 2, 5, 7], floor, to((8, 4), "nearest"), sizes=[1, 2, 8, 4])
    add_resize(cases, "nearest, 1-D", [2, 2, 5], floor, by(2, "nearest"), scales=[1, 1, 2])
    add_resize(cases, "nearest, 3-D", [1, 2, 2, 3, 2], floor, by((2, 1, 3), "nearest"), scales=[1, 1, 2, 1, 3])
    half = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    add_resize(cases, "linear, half pixel, twice", [2, 2, 3, 4], half, by((2, 2), "bilinear"), scales=[1, 1, 2, 2])
    add_resize(cases, "linear, half pixel, to a size", [1, 2, 5, 7], half, to((8, 4), "bilinear"), sizes=[1, 2, 8, 4])
    add_resize(cases, "linear, some axes", [1, 2, 5, 6], half, to((7, 9), "bilinear"), sizes=[7, 9], axes=[2, 3])
    corners = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    add_resize(cases, "linear, corners", [1, 2, 4, 5], corners, to((7, 3), "bilinear", align_corners=True),
               sizes=[1, 2, 7, 3])
    torch_half = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
    add_resize(cases, "linear, 1-D", [2, 3, 6], torch_half, to(9, "linear"), sizes=[2, 3, 9])
    add_resize(cases, "linear, 3-D", [1, 1, 3, 2, 4], torch_half, to((4, 5, 3), "trilinear"), sizes=[1, 1, 4, 5, 3])
    cubic = {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75}
    add_resize(cases, "cubic", [1, 2, 5, 6], cubic, to((8, 9), "bicubic"), sizes=[1, 2, 8, 9])
    cases.write("pictures.json.gz")


def network():
    """One training step of a small network: test/onnx/grad/training-graph.test.ts has the same."""
    cases = Cases(8)
    shapes = {"stem": [8, 3, 3, 3], "depthwise": [8, 1, 3, 3], "pointwise": [8, 8, 1, 1]}
    state = {f"{name}.weight": cases.uniform(*shape, low=-0.5, high=0.5) for name, shape in shapes.items()}
    for name in ("bn1", "bn2", "bn3"):
        state |= {f"{name}.weight": cases.uniform(8, low=0.5, high=1.5), f"{name}.bias": cases.uniform(8, low=-0.5, high=0.5)}
    state |= {"fc.weight": cases.uniform(5, 8, low=-0.5, high=0.5), "fc.bias": cases.uniform(5, low=-0.5, high=0.5)}
    labels = torch.from_numpy(cases.rng.integers(0, 5, 6))
    targets = F.one_hot(labels, 5).double() * 0.875 + 0.025
    inputs = {"x": cases.uniform(6, 3, 9, 8), "targets": targets.numpy().astype(np.float32)}
    w = {name: torch.from_numpy(value).requires_grad_() for name, value in state.items()}
    statistics = {}

    def bn(name, x):
        statistics[f"{name}.mean"] = x.mean((0, 2, 3))
        statistics[f"{name}.variance"] = x.var((0, 2, 3), unbiased=False)
        return F.batch_norm(x, None, None, w[f"{name}.weight"], w[f"{name}.bias"], training=True, eps=1e-5)

    x = torch.from_numpy(inputs["x"])
    x = F.relu(bn("bn1", F.conv2d(x, w["stem.weight"], padding=1)))
    x = F.max_pool2d(x, 3, 2, 1)
    y = F.relu6(bn("bn2", F.conv2d(x, w["depthwise.weight"], padding=1, groups=8)))
    y = bn("bn3", F.conv2d(y, w["pointwise.weight"]))
    x = F.relu(x + y).mean((2, 3))
    scores = F.linear(x, w["fc.weight"], w["fc.bias"])
    loss = F.cross_entropy(scores, torch.from_numpy(inputs["targets"]).double())
    loss.backward()
    write_fixture("network.json.gz", {
        "inputs": {name: exact(value) for name, value in inputs.items()},
        "weights": {name: exact(value) for name, value in state.items()},
        "loss": loss.item(),
        "gradients": {name: stored(value.grad.numpy()) for name, value in w.items()},
        "statistics": {name: stored(value.detach().numpy()) for name, value in statistics.items()},
    })


network()
convolutions()
transposed_convolutions()
pools()
normalisations()
batch_statistics()
losses()
pictures()
