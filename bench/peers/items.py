"""What the Python sides of bench:quantise share: the calibration items that it wrote, and a process's peak memory."""

import re
import resource
import sys
from pathlib import Path

import numpy as np


def item_stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.item"))


def item_inputs(folder: Path, stem: str) -> dict[str, np.ndarray]:
    return {path.name[len(stem) + 1 : -len(".npy")]: np.load(path) for path in folder.glob(f"{stem}.*.npy")}


def peak_memory_bytes() -> int:
    """As bench/peak-memory.ts has it."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        if found:
            return 1024 * int(found.group(1))
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
