"""Structured pruning for bench:real-data: whole channels, neurons and heads by the L2 norm of all that goes with them.

What has gone is zero from then on, which gives what the network without it gives: this side writes no smaller file.
"""

import math
from dataclasses import dataclass

import torch

# Channels that are left of a group are a multiple of this, as on the other side.
BLOCK = 8
DECISIONS = 40
END = 0.6


@dataclass
class Group:
    """Units that go or stay. `axes`: tensor, axis, and its indices by unit [units, indices]."""

    kind: str
    units: int
    axes: list[tuple[str, int, torch.Tensor]]


def each(count: int, offset: int = 0) -> torch.Tensor:
    return torch.arange(offset, offset + count)[:, None]


def norm_axes(name: str, indices: torch.Tensor) -> list:
    return [(f"{name}.weight", 0, indices), (f"{name}.bias", 0, indices)]


def resnet_groups(model) -> list[Group]:
    """Inner channels of each block; and those that run along the shortcuts, from the stage on where they begin."""
    groups = []
    planes = model.PLANES
    for stage, count in enumerate(planes):
        for i in range(model.blocks):
            name = f"layer{stage + 1}.{i}"
            axes = [(f"{name}.conv1.weight", 0, each(count)), *norm_axes(f"{name}.bn1", each(count))]
            groups.append(Group("channels", count, [*axes, (f"{name}.conv2.weight", 1, each(count))]))
    for first, count in enumerate(planes):
        before = planes[first - 1] if first > 0 else 0
        pad = (count - before) // 2
        # Zeros are put on either side of the channels of the stage before: what is there begins here.
        own = torch.tensor([i for i in range(count) if not pad <= i < pad + before])[:, None] if first else each(count)
        axes = [("conv1.weight", 0, own), *norm_axes("bn1", own)] if first == 0 else []
        indices = own
        for stage in range(first, len(planes)):
            if stage > first:
                indices = indices + (planes[stage] - planes[stage - 1]) // 2
                axes.append((f"layer{stage + 1}.0.conv1.weight", 1, previous))
            elif first == 0:
                axes.append(("layer1.0.conv1.weight", 1, indices))
            for i in range(model.blocks):
                name = f"layer{stage + 1}.{i}"
                axes += [(f"{name}.conv2.weight", 0, indices), *norm_axes(f"{name}.bn2", indices)]
                if i > 0:
                    axes.append((f"{name}.conv1.weight", 1, indices))
            previous = indices
        axes.append((f"{model.head}.weight", 1, indices))
        groups.append(Group("channels", len(own), axes))
    return groups


def bert_groups(model) -> list[Group]:
    groups = []
    for i in range(model.layers):
        name = f"bert.encoder.layer.{i}"
        hidden = model.classifier.weight.shape[1]
        heads = torch.arange(hidden).view(model.heads, -1)
        axes = [(f"{name}.attention.output.dense.weight", 1, heads)]
        for part in ("query", "key", "value"):
            axes += norm_axes(f"{name}.attention.self.{part}", heads)
        groups.append(Group("heads", model.heads, axes))
        groups.append(neurons(model, f"{name}.intermediate.dense", f"{name}.output.dense"))
    groups.append(neurons(model, "bert.pooler.dense", "classifier"))
    return groups


def neurons(model, first: str, second: str) -> Group:
    count = model.get_parameter(f"{first}.weight").shape[0]
    return Group("neurons", count, [*norm_axes(first, each(count)), (f"{second}.weight", 1, each(count))])


class Pruner:
    def __init__(self, model, sparsity: float):
        self.sparsity = sparsity
        self.groups = resnet_groups(model) if hasattr(model, "blocks") else bert_groups(model)
        self.weights = dict(model.named_parameters())
        self.gone = [torch.zeros(group.units, dtype=torch.bool) for group in self.groups]

    def after_step(self, step: int, steps: int) -> None:
        last = min(steps - 1, max(0, math.floor(END * steps) - 1))
        every = max(1, last // DECISIONS)
        if step == last or (step < last and step % every == 0):
            left = 1 - (step + 1) / (last + 1)
            self.advance(self.sparsity if step >= last else self.sparsity * (1 - left**3))
        self.zero()

    @torch.no_grad()
    def advance(self, sparsity: float) -> None:
        for group, gone in zip(self.groups, self.gone, strict=True):
            scores = torch.zeros(group.units)
            for name, axis, indices in group.axes:
                weight = self.weights[name]
                if weight.ndim < 2:
                    continue
                by_index = weight.pow(2).transpose(0, axis).flatten(1).sum(1)
                scores += by_index[indices].sum(1)
            scores[gone] = -1
            count = group.units - kept(group, group.units - math.floor(group.units * sparsity + 1e-6))
            gone[scores.sort(stable=True).indices[:count]] = True

    @torch.no_grad()
    def zero(self) -> None:
        for group, gone in zip(self.groups, self.gone, strict=True):
            if not gone.any():
                continue
            for name, axis, indices in group.axes:
                self.weights[name].index_fill_(axis, indices[gone].flatten(), 0.0)


def kept(group: Group, left: int) -> int:
    """How many units stay where so many would be left: the nearest multiple of what fills a kernel."""
    multiple = 1 if group.kind == "heads" or group.units < 2 * BLOCK or left < BLOCK else BLOCK
    return min(group.units, max(multiple, math.floor(left / multiple + 0.5) * multiple))
