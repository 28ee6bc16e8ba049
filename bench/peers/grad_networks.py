"""Writes what PyTorch's step of ResNet-20 and MobileNetV2 is like: test/onnx/grad/whole-networks.test.ts takes the same.

    .cache/train-peer/bin/python bench/peers/grad_networks.py     (bench/peers/setup-train.sh makes it)

Weights and pictures are made of their names and places, here as there; of each gradient its length is kept, and what
it is along two directions that are made so too.
"""

import numpy as np
import torch
import torch.nn.functional as F
from grad_fixture import write_fixture
from train_models import CifarResNet, MobileNetV2


def noise(name, shape):
    """Numbers from -1 to 1, by the name and the place."""
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) & 0xFFFFFFFF
    mask = np.uint64(0xFFFFFFFF)
    x = (np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed)) & mask
    for _ in range(2):
        x ^= x >> np.uint64(16)
        x = (x * np.uint64(0x45D9F3B)) & mask
    x ^= x >> np.uint64(16)
    return (x.astype(np.float64) / 2**31 - 1).astype(np.float32).astype(np.float64).reshape(shape)


def weight(name, shape):
    """As wide as keeps the variance behind a ReLU; around 1 and 0 where there is one number a channel."""
    if len(shape) == 1:
        middle = 0.0 if name.endswith("bias") else 1.0
        return (middle + 0.25 * noise(name, shape)).astype(np.float32).astype(np.float64)
    bound = np.sqrt(6 / np.prod(shape[1:]))
    return (bound * noise(name, shape)).astype(np.float32).astype(np.float64)


def step(model, classes, pictures):
    model = model.double().train()
    for name, parameter in model.named_parameters():
        parameter.data = torch.from_numpy(weight(name, tuple(parameter.shape)))
    scores = model(torch.from_numpy(noise("input", pictures)))
    loss = F.cross_entropy(scores, torch.arange(pictures[0]) % classes)
    loss.backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad.numpy()
        along = [float((gradient * noise(f"{name} {i}", gradient.shape)).sum()) for i in (1, 2)]
        gradients[name] = {"length": float(np.sqrt((gradient**2).sum())), "along": along}
    return {"pictures": pictures, "classes": classes, "loss": loss.item(), "gradients": gradients}


write_fixture("networks.json.gz", {
    "resnet20": step(CifarResNet(3, 10), 10, (8, 3, 32, 32)),
    "mobilenet_v2": step(MobileNetV2(1000), 1000, (6, 3, 96, 96)),
})
