#!/usr/bin/env bash
# Installs what bench:quantise compares with into .cache/quantise-peer of the checkout.
# Needs Python 3.10 to 3.13 with venv, and PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 -m venv .cache/quantise-peer
.cache/quantise-peer/bin/pip install --quiet --disable-pip-version-check -r bench/peers/requirements-quantise.txt
echo ".cache/quantise-peer has onnxruntime.quantization"
