"""What a training's bits depend on beside its settings, seed, data and sources: versions and the kind of machine."""

import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch


def describe_machine(device: torch.device) -> Mapping[str, str]:
    """Versions, the kind of device, the number of threads, and the processor's model."""
    return {**name_arithmetic(device), "processor": name_processor()}


def name_arithmetic(device: torch.device) -> Mapping[str, str]:
    """The same without the processor's model: a cluster's nodes may differ in that and share a training."""
    if device.type == "cuda":
        kind = torch.cuda.get_device_name(device)
    else:
        kind = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    threads = str(torch.get_num_threads())
    return {"torch": torch.__version__, "numpy": np.__version__, "device": kind, "threads": threads}


@cache
def name_processor() -> str:
    """The processor's model where Linux tells it, else what Python knows."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), platform.processor() or platform.machine())
