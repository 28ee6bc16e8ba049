"""Prints the logits that test/workloads/zoo-reference.test.ts expects: what torchvision and Hugging Face Transformers
answer for small networks whose weights and inputs follow the formulas below, which that test repeats.

    /tmp/venv-zoo/bin/python bench/peers/zoo_reference.py     (packages: see zoo_check.py)
"""

import json

import numpy
import torch
import transformers
from torchvision.models.resnet import Bottleneck, ResNet


def wave(name, count):
    """Numbers in [-1, 1] that depend on a name: sin(phase + i*i/1000), phase = the sum of the name's bytes."""
    i = numpy.arange(count, dtype=numpy.float64)
    return numpy.sin(sum(name.encode()) + i * i / 1000)


def fill(model):
    state = {}
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        values = wave(name, tensor.numel())
        if tensor.dim() > 1:
            values = values * (3 / (tensor.numel() / tensor.shape[0])) ** 0.5
        elif name.endswith("running_var") or (name.endswith(".weight") and tensor.dim() == 1):
            values = 1 + values / 2
        else:
            values = values / 10
        state[name] = torch.from_numpy(values.astype(numpy.float32).reshape(tuple(tensor.shape)))
    model.load_state_dict(state, strict=False)
    return model.eval()


def show(name, logits):
    print(name, json.dumps([[round(float(v), 5) for v in row] for row in logits]))


@torch.no_grad()
def main():
    pictures = wave("input", 2 * 3 * 32 * 32).astype(numpy.float32).reshape(2, 3, 32, 32)
    for name, groups, width in (("narrow", 1, 16), ("grouped", 8, 4)):
        model = fill(ResNet(Bottleneck, [1, 2, 1, 1], num_classes=4, groups=groups, width_per_group=width))
        show(name, model(torch.from_numpy(pictures)))

    size = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, vocab_size=50)
    ids = torch.tensor([[5, 9, 33, 7, 2, 40], [11, 3, 28, 1, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    segments = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 1, 1, 0, 0, 0]])
    bert = transformers.BertConfig(max_position_embeddings=12, **size)
    logits = fill(transformers.BertForSequenceClassification(bert))(ids, mask, segments).logits
    show("bert", logits)
    roberta = transformers.RobertaConfig(max_position_embeddings=12, type_vocab_size=1, layer_norm_eps=1e-5, **size)
    logits = fill(transformers.RobertaForSequenceClassification(roberta))(ids, mask).logits
    show("roberta", logits)


main()
