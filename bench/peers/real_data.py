"""The PyTorch side of bench:real-data: the same recipes on the same items.

Takes the files of jobs (`npm run bench:real-data -- --export` prints them), and adds a line for each operator to the file
of what is found, as the other side does; what is there already is not made again. For a try, export with `--epochs 1`.
Cutting a model changes nothing in it: this side has no such operator, and leaves these recipes out.
"""

import copy
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from real_data_models import Bert, CifarResNet, load, load_npy, load_onnx, start_from_teacher
from real_data_prune import Pruner
from real_data_quantise import calibrate
from real_data_train import train
from torch.nn import functional as F

# Logits of the loaded network are those of ONNX Runtime, to this.
SAME = 1e-4
MOMENTUM = 0.99


class Job:
    def __init__(self, path: str):
        job = json.loads(Path(path).read_text())
        self.data, self.seed, self.model = job["data"], job["seed"], job["model"]
        self.folder, self.runs, self.recipes = Path(job["folder"]), Path(job["runs"]), job["recipes"]

    def part(self, name: str) -> tuple[dict, torch.Tensor]:
        arrays = {p.name[len(name) + 1 : -4]: torch.from_numpy(np.load(p)) for p in self.folder.glob(f"{name}.*.npy")}
        labels = arrays.pop("labels")
        return arrays, labels

    def start(self):
        """The workload's own network."""
        if self.data == "cifar10":
            return load_onnx(CifarResNet(9, "pad", "linear"), self.model).eval()
        return load_onnx(Bert(4, 128, 4, 512, 4000, 32), self.model).eval()

    def student(self, teacher):
        if self.data == "cifar10":
            model = load_npy(CifarResNet(3, "convolution", "fc"), self.folder / "student")
            start_from_teacher(model, teacher, {f"layer{i}.": (3, 9) for i in (1, 2, 3)})
        else:
            model = load_npy(Bert(2, 64, 2, 256, 4000, 32), self.folder / "student")
            start_from_teacher(model, teacher, {"bert.encoder.layer.": (2, 4)})
        return model


def check_start(job: Job, model) -> None:
    inputs = {k: v[:64] for k, v in job.part("evaluation")[0].items()}
    session = onnxruntime.InferenceSession(job.model, providers=["CPUExecutionProvider"])
    expected = session.run(["logits"], {k: v.numpy() for k, v in inputs.items()})[0]
    with torch.no_grad():
        apart = np.abs(model(**inputs).numpy() - expected).max() / np.abs(expected).max()
    print(f"{job.data}: the network's logits are ONNX Runtime's to {apart:.1e} of the largest", flush=True)
    if apart > SAME:
        raise SystemExit("the network is not the same")


def taken(job: Job, model, step: dict):
    """The network behind a step."""
    options = step["options"]
    training = job.part("training")
    cross_entropy = lambda scores, batch: F.cross_entropy(scores, batch["labels"])  # noqa: E731
    torch.manual_seed(job.seed)
    match step["operator"]:
        case "train":
            train(model, training, options, cross_entropy, random_name="train")
        case "prune":
            pruner = Pruner(model, options["sparsity"])
            train(model, training, options["train"], cross_entropy, pruner.after_step, "prune")
            print("  left:", [int((~gone).sum()) for gone in pruner.gone], flush=True)
        case "sptq":
            model = model.fold()
            calibrate(model, job.part("calibration")[0], options["method"])
        case "qat":
            model = model.fold()
            calibrate(model, job.part("calibration")[0], options["method"])
            model.points.seen = {}
            train(model, training, options["train"], cross_entropy, lambda *_: model.points.follow(MOMENTUM), "qat")
            model.points.seen = None
        case "distill":
            model = distilled(job, model, options, training)
        case name:
            raise SystemExit(f"no operator {name}")
    return model


def distilled(job: Job, teacher, options: dict, training):
    teacher.eval()
    student = job.student(teacher)
    temperature, alpha = options["temperature"], options["alpha"]
    answers = None if options.get("teacherSees") == "batch" else scores_of(teacher, training[0])

    def loss(scores, batch):
        with torch.no_grad():
            target = teacher(**batch["inputs"]) if answers is None else answers[batch["index"]]
        divergence = F.kl_div(
            F.log_softmax(scores / temperature, -1),
            F.log_softmax(target / temperature, -1),
            reduction="batchmean",
            log_target=True,
        )
        own = F.cross_entropy(scores, batch["labels"])
        return alpha * temperature**2 * divergence + (1 - alpha) * own

    train(student, training, options["train"], loss, random_name="distill")
    return student


@torch.no_grad()
def scores_of(model, inputs: dict) -> torch.Tensor:
    model.eval()
    count = len(next(iter(inputs.values())))
    return torch.cat([model(**{k: v[i : i + 200] for k, v in inputs.items()}) for i in range(0, count, 200)])


def made(job: Job, steps: list):
    """The network behind all steps. What was trained is kept beside the job, by its steps."""
    if not steps:
        return job.start()
    *before, last = steps
    key = hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()[:16]
    kept = job.folder / f"torch-{key}.pt"
    trains = last["operator"] in ("train", "distill")
    if trains and kept.exists():
        shell = job.student(job.start()) if last["operator"] == "distill" else job.start()
        return load(shell, torch.load(kept)).eval()
    model = taken(job, copy.deepcopy(made(job, before)), last)
    if trains:
        torch.save(model.state_dict(), kept)
    return model


def done(job: Job, recipe: dict) -> bool:
    if not job.runs.exists():
        return False
    wanted = ("accuracy", "pytorch", job.data, recipe["name"], job.seed, recipe["key"])
    for line in job.runs.read_text().splitlines():
        try:
            run = json.loads(line)
        except ValueError:
            continue
        if tuple(run.get(k) for k in ("kind", "side", "data", "operator", "seed", "key")) == wanted:
            return True
    return False


def main() -> None:
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for path in sys.argv[1:]:
        job = Job(path)
        check_start(job, job.start())
        for recipe in job.recipes:
            if any(step["operator"] == "partition" for step in recipe["steps"]) or done(job, recipe):
                continue
            began = time.perf_counter()
            print(f"{job.data} seed {job.seed}: {recipe['name']}", flush=True)
            inputs, labels = job.part("evaluation")
            model = made(job, recipe["steps"])
            right = (scores_of(model, inputs).argmax(1) == labels).sum().item()
            line = {
                "kind": "accuracy",
                "side": "pytorch",
                "data": job.data,
                "operator": recipe["name"],
                "seed": job.seed,
                "key": recipe["key"],
                "accuracy": 100 * right / len(labels),
                "items": len(labels),
                "bytes": None,
                "seconds": time.perf_counter() - began,
            }
            with job.runs.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)


main()
