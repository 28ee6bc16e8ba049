"""Intel Neural Compressor 2.x beside bench:quantise: the tool of the published study, on the same job as quantise.py."""

import json
import os
import sys
from pathlib import Path

import numpy as np
from items import item_inputs, item_stems, peak_memory_bytes
from neural_compressor import PostTrainingQuantConfig, quantization

ALGORITHMS = {"minmax": "minmax", "percentile": "percentile", "entropy": "kl"}


class Items:
    """The calibration items as Neural Compressor wants them: batches of one with a label that nobody looks at."""

    batch_size = 1

    def __init__(self, folder: Path):
        self._folder = folder
        self._stems = item_stems(folder)

    def __len__(self):
        return len(self._stems)

    def __iter__(self):
        for stem in self._stems:
            yield item_inputs(self._folder, stem), np.zeros(1)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    setting = job["setting"]
    items = Items(Path(job["calibration"]))
    granularity = "per_channel" if setting["perChannel"] else "per_tensor"
    tuned = {
        "weight": {"dtype": ["int8"], "granularity": [granularity]},
        "activation": {"dtype": ["uint8"], "algorithm": [ALGORITHMS[setting["method"]]]},
    }
    config = PostTrainingQuantConfig(
        approach="static",
        quant_format="QDQ" if setting["format"] == "qdq" else "default",
        calibration_sampling_size=[len(items)],
        op_type_dict={op: tuned for op in ("Conv", "MatMul", "Gemm")},
    )
    # It leaves its history in the working folder.
    os.chdir(job["outDir"])
    out = os.path.join(job["outDir"], "model.onnx")
    made = quantization.fit(job["model"], conf=config, calib_dataloader=items)
    if made is None:
        sys.exit("Neural Compressor gave no model")
    made.save(out)
    print(json.dumps({"path": out, "peakMemoryBytes": peak_memory_bytes()}))


main()
