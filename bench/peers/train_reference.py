"""Writes what PyTorch's optimisers, schedules, clipping and a whole small training do: test/operators/train/fixtures/torch.json."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

FIXTURE = Path(__file__).resolve().parents[2] / "test" / "operators" / "train" / "fixtures" / "torch.json"


def numbers(tensor):
    return [float(np.float32(value)) for value in tensor.detach().flatten()]


def optimizers(rng):
    """Weights behind each of six steps with given gradients."""
    start = rng.uniform(-1, 1, 6).round(3)
    gradients = rng.uniform(-1, 1, (6, 6)).round(3)
    made = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "sgd, momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        "sgd, nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        "adam": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1),
    }
    found = {}
    for name, make in made.items():
        weight = nn.Parameter(torch.tensor(start, dtype=torch.float32))
        optimizer = make([weight])
        steps = []
        for gradient in gradients:
            weight.grad = torch.tensor(gradient, dtype=torch.float32)
            optimizer.step()
            steps.append(numbers(weight))
        found[name] = steps
    return {"start": start.tolist(), "gradients": gradients.tolist(), "weights": found}


def schedules():
    """The rate of each step: 12 steps, 3 an epoch."""
    found = {}

    def rates(make, per_step):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        schedule = make(optimizer)
        rates = []
        for step in range(12):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if per_step or step % 3 == 2:
                schedule.step()
        return rates

    lr = torch.optim.lr_scheduler
    found["cosine"] = rates(lambda o: lr.CosineAnnealingLR(o, T_max=12, eta_min=0.01), True)
    found["step"] = rates(lambda o: lr.StepLR(o, step_size=2, gamma=0.2), False)
    found["warm-up"] = rates(
        lambda o: lr.SequentialLR(
            o, [lr.LinearLR(o, start_factor=0.25, total_iters=3), lr.CosineAnnealingLR(o, T_max=8)], milestones=[4]
        ),
        True,
    )
    return found


def clipping(rng):
    parts = [rng.uniform(-2, 2, 5).round(3), rng.uniform(-2, 2, 3).round(3)]
    weights = [nn.Parameter(torch.zeros(len(part))) for part in parts]
    for weight, part in zip(weights, parts):
        weight.grad = torch.tensor(part, dtype=torch.float32)
    norm = nn.utils.clip_grad_norm_(weights, 1.5)
    clipped = [numbers(weight.grad) for weight in weights]
    return {"gradients": [part.tolist() for part in parts], "norm": float(norm), "clipped": clipped}


def training(rng):
    """A convolution with BatchNorm and a linear head: all items in each batch, so that their order does not matter."""
    torch.manual_seed(1)
    conv, norm, head = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(4, 3)
    model = nn.Sequential(conv, norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    x = rng.uniform(-1, 1, (12, 1, 5, 5)).round(3)
    y = [i % 3 for i in range(12)]
    start = {name: numbers(value) for name, value in model.state_dict().items() if value.dim() > 0}
    decays = [conv.weight, head.weight]
    others = [conv.bias, norm.weight, norm.bias, head.bias]
    optimizer = torch.optim.AdamW([{"params": decays, "weight_decay": 0.1}, {"params": others, "weight_decay": 0}], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = loss_of(model(torch.tensor(x, dtype=torch.float32)), torch.tensor(y))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    end = {name: numbers(value) for name, value in model.state_dict().items() if value.dim() > 0}
    return {"x": x.reshape(12, -1).tolist(), "y": y, "start": start, "losses": losses, "end": end}


def main():
    rng = np.random.default_rng(1)
    fixture = {
        "torch": torch.__version__.split("+")[0],
        "optimizers": optimizers(rng),
        "schedules": schedules(),
        "clipping": clipping(rng),
        "training": training(rng),
    }
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    FIXTURE.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
