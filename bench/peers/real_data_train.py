"""The trainer of bench:real-data in PyTorch: optimisers, schedules and augmentation by a recipe's settings."""

import math

import torch


def optimizer_of(model, spec: dict) -> torch.optim.Optimizer:
    """Matrices, kernels and tables decay; biases and the scales of normalisations do not."""
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim >= 2], "weight_decay": spec.get("weightDecay", 0.0)},
        {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
    ]
    if spec["kind"] == "sgd":
        return torch.optim.SGD(groups, lr=spec["rate"], momentum=spec["momentum"])
    return torch.optim.AdamW(groups, lr=spec["rate"])


def rate_at(step: int, steps: int, settings: dict) -> float:
    rate = settings["optimizer"]["rate"]
    warm_up = settings["schedule"].get("warmupSteps", 0)
    if step < warm_up:
        return rate * (step + 1) / warm_up
    return rate * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))) / 2


def augmented(inputs: dict, specs: list, random: torch.Generator) -> dict:
    inputs = dict(inputs)
    for spec in specs:
        if spec["kind"] == "crop":
            inputs["input"] = cropped(inputs["input"], spec["pad"], random)
        elif spec["kind"] == "flip":
            x = inputs["input"]
            mirrored = torch.rand(len(x), generator=random) < 0.5
            inputs["input"] = torch.where(mirrored[:, None, None, None], x.flip(3), x)
        elif spec["kind"] == "token-dropout":
            ids = inputs["input_ids"]
            gone = (torch.rand(ids.shape, generator=random) < spec["share"]) & (inputs["attention_mask"] == 1)
            gone[:, 0] = False
            inputs["input_ids"] = torch.where(gone, spec["token"], ids)
        else:
            raise SystemExit(f"no augmentation {spec['kind']}")
    return inputs


def cropped(x: torch.Tensor, pad: int, random: torch.Generator) -> torch.Tensor:
    size = x.shape[2]
    wide = torch.nn.functional.pad(x, (pad,) * 4)
    at = torch.randint(0, 2 * pad + 1, (len(x), 2), generator=random).tolist()
    return torch.stack([wide[i, :, row : row + size, column : column + size] for i, (row, column) in enumerate(at)])


def train(model, data, settings: dict, loss_of, after_step=None, random_name: str = "") -> None:
    """Trains on the training part. `loss_of(scores, batch)`; `after_step(step, steps)` behind each update."""
    inputs, labels = data
    batch, count = settings["batch"], len(labels)
    per_epoch = count // batch
    steps = settings["epochs"] * per_epoch
    random = torch.Generator().manual_seed(1000 * settings["seed"] + sum(random_name.encode()))
    optimizer = optimizer_of(model, settings["optimizer"])
    model.train()
    step = 0
    for epoch in range(settings["epochs"]):
        order = torch.randperm(count, generator=random)
        total = 0.0
        for i in range(per_epoch):
            index = order[i * batch : (i + 1) * batch]
            given = augmented({k: v[index] for k, v in inputs.items()}, settings["augment"], random)
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, steps, settings)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(**given), {"index": index, "inputs": given, "labels": labels[index]})
            loss.backward()
            if "clipNorm" in settings:
                torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clipNorm"])
            optimizer.step()
            if after_step is not None:
                after_step(step, steps)
            total += loss.item()
            step += 1
        print(f"  epoch {epoch + 1} of {settings['epochs']}: loss {total / per_epoch:.4f}", flush=True)
    model.eval()
