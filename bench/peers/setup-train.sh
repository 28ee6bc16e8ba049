#!/usr/bin/env bash
# Installs what bench:train compares with, and what the fixtures of the gradients' tests are made with, into
# .cache/train-peer of the checkout: PyTorch for the CPU, with numpy, onnx and onnxruntime.
# Needs Python 3.10 to 3.13 with venv, and PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="${1:-.cache/train-peer}"
python3 -m venv "$venv"
pip=("$venv/bin/pip" install --quiet --disable-pip-version-check)
torch="$(grep '^torch==' bench/peers/requirements-train.txt)"
# 200 MB instead of the 3 GB of the build for GPUs.
"${pip[@]}" --index-url https://download.pytorch.org/whl/cpu "$torch" 2>/dev/null || echo "PyPI's build of PyTorch it is"
"${pip[@]}" -r bench/peers/requirements-train.txt
echo "$venv has PyTorch"
