#!/bin/sh
# Takes out of node_modules what no container of this platform ever loads: 400 MB of 500.
set -eu
cd "$1"
arch=$(node -p process.arch)

# ONNX Runtime ships its libraries for every platform.
find onnxruntime-node/bin/napi-v6 -mindepth 2 -maxdepth 2 ! -path "*/linux/$arch" -exec rm -rf {} +
find onnxruntime-node/bin/napi-v6 -type d -empty -delete
rm -rf onnxruntime-node/script

# Of the build for the web, Node loads one entry point and the plain wasm module (services/node/engines/wasm.ts).
find onnxruntime-web/dist -type f \
  ! -name 'ort.node.min.*js' ! -name 'ort-wasm-simd-threaded.mjs' ! -name 'ort-wasm-simd-threaded.wasm' -delete
rm -rf onnxruntime-web/lib onnxruntime-web/docs onnxruntime-node/lib onnxruntime-common/lib

# An optional extra of ssh2 that would have to be compiled; ssh2 does without.
rm -rf cpu-features

find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete
