#!/usr/bin/env bash
# Installs what bench:quantise compares with into .cache of the checkout: onnxruntime.quantization, and, where its
# packages install (Python 3.10 and 3.11, 1 GB), Intel Neural Compressor 2.x, which the benchmark can do without.
# Needs Python 3.10 to 3.13 with venv, and PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."
install() {
  python3 -m venv ".cache/$1"
  ".cache/$1/bin/pip" install --quiet --disable-pip-version-check -r "bench/peers/$2"
}
install quantise-peer requirements-quantise.txt
echo ".cache/quantise-peer has onnxruntime.quantization"
if install compressor-peer requirements-compressor.txt; then
  echo ".cache/compressor-peer has Neural Compressor"
else
  rm -rf .cache/compressor-peer
  echo "Neural Compressor does not install here: bench:quantise goes without"
fi
