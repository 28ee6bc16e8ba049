"""The PyTorch side of bench:train: one process that does training steps when it is told to.

Takes the file of a job (bench/train-sides.ts), answers one line of JSON when it is ready, and one for each line
`{"steps": n}` on its standard input: the times and losses of n steps, and the peak memory of the process so far.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from items import peak_memory_bytes
from torch.nn import functional as F
from train_models import BUILD


def load(model: torch.nn.Module, folder: Path) -> None:
    """The weights of the other side; a name or shape that does not fit is an error."""
    state = {
        name: torch.from_numpy(np.load(folder / f"{name}.npy"))
        for name in model.state_dict()
        if not name.endswith("num_batches_tracked")
    }
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise SystemExit(f"the weights do not fit: {missing} {unexpected}")


def optimizer_of(model: torch.nn.Module, spec: dict) -> torch.optim.Optimizer:
    if spec["kind"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=spec["rate"], momentum=spec["momentum"])
    return torch.optim.AdamW(model.parameters(), lr=spec["rate"], weight_decay=spec["weightDecay"])


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    start = peak_memory_bytes()
    torch.set_num_threads(job["threads"])
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    model = BUILD[job["model"]]()
    load(model, Path(job["weights"]))
    model.train()
    folder = Path(job["batch"])
    inputs = {path.stem: torch.from_numpy(np.load(path)) for path in folder.glob("*.npy")}
    labels = inputs.pop("labels")
    optimizer = optimizer_of(model, job["optimizer"])

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(**inputs), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    print(json.dumps({"version": f"PyTorch {torch.__version__}", "startBytes": start}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        answer = {"ms": [], "cpuMs": [], "loss": []}
        for _ in range(order["steps"]):
            began, cpu = time.perf_counter(), time.process_time()
            loss = step()
            answer["ms"].append(1000 * (time.perf_counter() - began))
            answer["cpuMs"].append(1000 * (time.process_time() - cpu))
            answer["loss"].append(loss)
        answer["peakMemoryBytes"] = peak_memory_bytes()
        print(json.dumps(answer), flush=True)


main()
