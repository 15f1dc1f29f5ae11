"""Tells the test which steps did their work, and lets it slow them down."""

import os
import time
from pathlib import Path


def trace(step):
    """Leave a line in trace.txt; then wait as long as the test asks."""
    descriptor = os.open(Path(step.data).parent / "trace.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{step.name}\n".encode())
    os.close(descriptor)
    until = time.monotonic() + float(os.environ.get("SMALL_STUDY_SECONDS", "0"))
    while time.monotonic() < until:
        time.sleep(0.01)
