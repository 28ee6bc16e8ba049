"""Writes PyTorch's step of a small BERT: test/onnx/grad/whole-zoo.test.ts has the same from the zoo.

    .cache/train-peer/bin/python bench/peers/grad_bert.py     (bench/peers/setup-train.sh makes it)
"""

import numpy as np
import torch
import torch.nn.functional as F
from grad_fixture import Cases, encoded, exact, stored, write_fixture
from train_models import Bert

LAYERS, HIDDEN, HEADS, INTERMEDIATE, VOCABULARY, LABELS = 2, 16, 2, 24, 30, 3
ITEMS, LENGTH = 3, 7


def main():
    cases = Cases(9)
    model = Bert(LAYERS, HIDDEN, HEADS, INTERMEDIATE, VOCABULARY, LABELS)
    model.bert.embeddings.position_embeddings = torch.nn.Embedding(12, HIDDEN)
    model = model.double()
    state = {}
    for name, parameter in model.named_parameters():
        low, high = (0.75, 1.25) if name.endswith("LayerNorm.weight") else (-0.5, 0.5)
        state[name] = cases.uniform(*parameter.shape, low=low, high=high)
        parameter.data = torch.from_numpy(state[name])
    sizes = np.array([[7], [5], [2]])
    mask = (np.arange(LENGTH) < sizes).astype(np.int64)
    inputs = {
        "input_ids": cases.rng.integers(1, VOCABULARY, (ITEMS, LENGTH)) * mask,
        "attention_mask": mask,
        "token_type_ids": (np.arange(LENGTH) > sizes // 2).astype(np.int64),
    }
    targets = np.array([[0.875, 0.0625, 0.0625], [0.0, 0.0, 1.0], [0.25, 0.5, 0.25]])
    logits = model(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    loss = F.cross_entropy(logits, torch.from_numpy(targets))
    loss.backward()
    write_fixture("bert.json.gz", {
        "inputs": {**{name: encoded(value, "int64") for name, value in inputs.items()}, "targets": exact(targets)},
        "weights": {name: exact(value) for name, value in state.items()},
        "loss": loss.item(),
        "gradients": {name: stored(parameter.grad.numpy()) for name, parameter in model.named_parameters()},
    })


main()
