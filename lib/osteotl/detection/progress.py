"""Progress that a person can read on the terminal and that never floods a notebook."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field


def _terminal() -> int | None:
    """The descriptor of the terminal's stderr, also from inside a notebook kernel, whose own stderr is the notebook."""
    copied = getattr(sys.stderr, "_original_stdstream_copy", None)
    if isinstance(copied, int):
        return copied
    try:
        return (sys.__stderr__ or sys.stderr).fileno()
    except (AttributeError, OSError, ValueError):
        return None


@dataclass
class Progress:
    """One line every few seconds: step, epoch, films per second, time left.

    Parameters
    ----------
    name : str
        What is in progress, as the line shows it.
    every : float
        Seconds between two lines; 0 shows every step.
    quiet : bool
        Show nothing.
    """

    name: str
    every: float = 10.0
    quiet: bool = False
    started: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)
    lines: int = 0

    def step(self, step: int, steps: int, films: int, epoch: int | None = None, epochs: int | None = None) -> None:
        """Report after `step` of `steps`, with `films` seen so far."""
        now = time.monotonic()
        if self.quiet or (now - self.shown < self.every and step < steps):
            return
        self.shown = now
        seconds = max(now - self.started, 1e-9)
        left = seconds / max(step, 1) * (steps - step)
        where = f" epoch {epoch}/{epochs}" if epoch is not None else ""
        self.say(f"{self.name}: step {step}/{steps}{where}, {films / seconds:.0f} films/s, {_clock(left)} left")

    def say(self, line: str) -> None:
        """One line to the terminal, none to the notebook."""
        if self.quiet:
            return
        descriptor = _terminal()
        if descriptor is None:
            return
        self.lines += 1
        try:
            os.write(descriptor, (line + "\n").encode())
        except OSError:  # a closed terminal must not stop a study
            self.quiet = True


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
