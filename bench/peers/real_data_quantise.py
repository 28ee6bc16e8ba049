"""Fake quantisation for bench:real-data: activations in uint8 over their range, weights in int8 by output channel."""

import torch

WEIGHT_STEPS = 127
PERCENTILE = 99.99


class Points:
    """What is done where int8 would round. `mode`: `float` nothing, `observe` takes ranges of one batch, `fake` rounds.

    Weights are rounded to symmetric steps, which follow them; gradients pass roundings straight, and stop where an
    activation saturates (as torch.fake_quantize_per_tensor_affine has it).
    """

    def __init__(self):
        self.mode = "float"
        self.method = "minmax"
        self.ranges: dict[str, tuple[float, float]] = {}
        # Of the last batch; None: ranges are not followed.
        self.seen: dict[str, tuple[float, float]] | None = None

    def __call__(self, name: str, x: torch.Tensor) -> torch.Tensor:
        if self.mode == "float":
            return x
        if self.mode == "observe":
            self.ranges[name] = range_of(x.detach(), self.method)
            return x
        if self.seen is not None:
            self.seen[name] = (x.detach().min().item(), x.detach().max().item())
        low, high = (min(0.0, self.ranges[name][0]), max(0.0, self.ranges[name][1]))
        scale = (high - low) / 255 or 1.0
        return torch.fake_quantize_per_tensor_affine(x, scale, min(255, max(0, round(-low / scale))), 0, 255)

    def weight(self, w: torch.Tensor, axis: int | None) -> torch.Tensor:
        if self.mode != "fake":
            return w
        size = w.detach().abs()
        most = size.max() if axis is None else size.flatten(1).max(1).values.view(-1, *[1] * (w.ndim - 1))
        scale = torch.where(most > 0, most, torch.ones_like(most)) / WEIGHT_STEPS
        return w + (torch.round(w.detach() / scale) * scale - w.detach())

    def follow(self, momentum: float) -> None:
        """Takes the last batch into the moving averages."""
        for name, seen in (self.seen or {}).items():
            self.ranges[name] = tuple(
                momentum * old + (1 - momentum) * new for old, new in zip(self.ranges[name], seen, strict=True)
            )


def range_of(x: torch.Tensor, method: str) -> tuple[float, float]:
    """The range of a tensor: all of it, or without a share of it (of either end half, of one end where it begins at 0)."""
    low, high = x.min().item(), x.max().item()
    if method == "minmax":
        return low, high
    values = x.flatten()
    cut = 1 - PERCENTILE / 100

    def beyond(share: float, largest: bool) -> float:
        """The value that a share of all lies beyond."""
        return values.topk(max(1, int(share * values.numel())), largest=largest).values[-1].item()

    if low >= 0:
        return low, beyond(cut, True)
    if high <= 0:
        return beyond(cut, False), high
    return beyond(cut / 2, False), beyond(cut / 2, True)


def calibrate(model, inputs: dict[str, torch.Tensor], method: str) -> None:
    """Takes the ranges of the float model on all items at once, and rounds from now on."""
    points = model.points
    points.mode, points.method = "observe", method
    model.eval()
    with torch.no_grad():
        model(**inputs)
    points.mode = "fake"
