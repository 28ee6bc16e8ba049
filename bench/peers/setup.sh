#!/usr/bin/env bash
# Installs the peers that bench:overhead compares with, and tritonclient, into .venv of the checkout.
# Needs Python 3.10 to 3.12 with venv, and PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
echo ".venv has the peers. For the interoperability test: export TIERBED_PEERS_PYTHON=$PWD/.venv/bin/python"
