"""The Python side of bench:quantise: onnxruntime.quantization as its documentation says to use it.

Takes the file of a job (bench/quantise-sides.ts), quantises its model, and prints where that is and the peak memory of
this process as JSON.
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

import onnx
from items import item_inputs, item_stems, peak_memory_bytes
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
FORMATS = {"qdq": QuantFormat.QDQ, "qoperator": QuantFormat.QOperator}
# Below this opset there is no quantisation per channel.
LEAST_OPSET = 13
TARGET_OPSET = 17


class Items(CalibrationDataReader):
    """The calibration items, read one after the other."""

    def __init__(self, folder: Path):
        self._stems = item_stems(folder)
        self._folder = folder
        self._next = iter(self._stems)

    def get_next(self):
        stem = next(self._next, None)
        return None if stem is None else item_inputs(self._folder, stem)

    def rewind(self):
        self._next = iter(self._stems)


def prepared(model: str, folder: str) -> str:
    """The model of an opset that can be quantised, after onnxruntime's own preprocessing."""
    loaded = onnx.load(model, load_external_data=False)
    opset = next(entry.version for entry in loaded.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < LEAST_OPSET:
        model_path = os.path.join(folder, "converted.onnx")
        onnx.save(onnx.version_converter.convert_version(onnx.load(model), TARGET_OPSET), model_path)
        model = model_path
    del loaded
    path = os.path.join(folder, "prepared.onnx")
    try:
        quant_pre_process(model, path)
    except Exception:
        # Its symbolic shape inference does not know every model; the documentation then says to leave it out.
        quant_pre_process(model, path, skip_symbolic_shape=True)
    return path


def main() -> None:
    logging.disable(logging.WARNING)
    job = json.loads(Path(sys.argv[1]).read_text())
    setting = job["setting"]
    out = os.path.join(job["outDir"], "model.onnx")
    with tempfile.TemporaryDirectory() as folder:
        # Shape inference leaves files in the working folder.
        os.chdir(folder)
        model = prepared(job["model"], folder)
        if setting["operator"] == "dynamic":
            quantize_dynamic(model, out, weight_type=QuantType.QInt8, per_channel=setting["perChannel"])
        else:
            quantize_static(
                model,
                out,
                Items(Path(job["calibration"])),
                quant_format=FORMATS[setting["format"]],
                calibrate_method=METHODS[setting["method"]],
                per_channel=setting["perChannel"],
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        os.chdir(job["outDir"])
    print(json.dumps({"path": out, "peakMemoryBytes": peak_memory_bytes()}))


main()
