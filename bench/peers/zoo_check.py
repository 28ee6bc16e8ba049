"""Compares the zoo's networks with the ones they are named after.

Each network is made by torchvision or Hugging Face Transformers with random weights, saved as safetensors, built by
`tierbed zoo build --weights`, and both are run on the same inputs.

    npm run build
    python3 -m venv /tmp/venv-zoo
    /tmp/venv-zoo/bin/pip install torch torchvision transformers safetensors onnxruntime
    /tmp/venv-zoo/bin/python bench/peers/zoo_check.py [--tierbed dist/cli/main.js] [NAME ...]

Prints one line a network and exits with 1 when a parameter count or an output differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnxruntime
import torch
import torchvision
import transformers
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4

IMAGE = ["wide_resnet101_2", "resnext101_64x4d", "wide_resnet50_2", "resnext50_32x4d"]
SMALL = dict(hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048)
TEXT = {
    "bert-base": (transformers.BertForSequenceClassification, transformers.BertConfig()),
    "roberta-base": (
        transformers.RobertaForSequenceClassification,
        transformers.RobertaConfig(
            vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
        ),
    ),
    "bert-small": (transformers.BertForSequenceClassification, transformers.BertConfig(**SMALL)),
    "roberta-tiny": (transformers.BertForSequenceClassification, transformers.BertConfig(vocab_size=28996, **SMALL)),
}


def image_model(name):
    """Random weights whose statistics are not the defaults, so that a mean taken for a variance would show."""
    model = getattr(torchvision.models, name)(weights=None).eval()
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.1, 0.4) if path.endswith("bn3") else torch.nn.init.uniform_(
                module.weight, 0.7, 1.3
            )
            torch.nn.init.normal_(module.bias, std=0.1)
    return model


def text_model(name):
    cls, config = TEXT[name]
    model = cls(config).eval()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            # Far from the small defaults, so that attention is not uniform and biases count.
            parameter.normal_(1.0 if path.endswith("LayerNorm.weight") else 0.0, 0.1 if parameter.dim() == 1 else 0.05)
    return model


def inputs_of(name, model, rng):
    """Two batches; those of text have other lengths and padding."""
    if name in IMAGE:
        for n in (1, 2):
            yield {"input": torch.from_numpy(rng.standard_normal((n, 3, 224, 224), dtype=numpy.float32))}
        return
    config = model.config
    for n, length, real in ((1, 128, 57), (3, 40, 31)):
        ids = rng.integers(5, config.vocab_size, (n, length))
        mask = numpy.ones((n, length), numpy.int64)
        mask[0, real:] = 0
        ids[0, real:] = config.pad_token_id
        given = {"input_ids": ids, "attention_mask": mask}
        if config.model_type == "bert":
            given["token_type_ids"] = rng.integers(0, 2, (n, length))
        yield {key: torch.from_numpy(value) for key, value in given.items()}


def check(name, tierbed, folder):
    torch.manual_seed(1)
    rng = numpy.random.default_rng(1)
    model = image_model(name) if name in IMAGE else text_model(name)
    weights, onnx_path = folder / "model.safetensors", folder / "model.onnx"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, weights)
    command = ["node", tierbed, "zoo", "build", name, "--weights", weights, "--out", onnx_path, "--json"]
    built = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    want = sum(parameter.numel() for parameter in model.parameters())
    session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    worst = 0.0
    spread = 0.0
    for given in inputs_of(name, model, rng):
        with torch.no_grad():
            answer = model(**given).logits if name in TEXT else model(given["input"])
        expected = answer.numpy()
        actual = session.run(["logits"], {key: value.numpy() for key, value in given.items()})[0]
        worst = max(worst, float(numpy.abs(actual - expected).max() / numpy.abs(expected).max()))
        spread = max(spread, float(expected.std()))
    good = worst <= TOLERANCE and built["parameters"] == want and spread > 1e-3
    print(
        f"{'ok  ' if good else 'FAIL'} {name}: {built['parameters']} parameters (reference {want}), "
        f"largest difference {worst:.2e} of the largest output, outputs' sd {spread:.3g}",
        flush=True,
    )
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tierbed", default=ROOT / "dist" / "cli" / "main.js")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    good = True
    for name in arguments.names or [*IMAGE, *TEXT]:
        with tempfile.TemporaryDirectory() as folder:
            good &= check(name, arguments.tierbed, pathlib.Path(folder))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
