"""What can go wrong between a cohort table and a score, each with the replicate it happened in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Replicate:
    """One training run: its arm, the share of labelled films it trains on, and its seed."""

    arm: str
    fraction: float
    seed: int

    def __str__(self) -> str:
        return f"arm {self.arm}, fraction {self.fraction:g}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Where its files lie below outputs/finetune/."""
        return f"{self.arm}/{self.fraction:g}/{self.seed}"


class WeightsError(ValueError):
    """A file of weights cannot be used as it is."""


class TrainingError(RuntimeError):
    """A training run came to nothing; the message names arm, fraction and seed."""


class PairingError(RuntimeError):
    """Arms differ in something other than their initialisation; `differences` lists what."""

    def __init__(self, differences: list[str]):
        super().__init__("arms differ in more than their initialisation:\n" + "\n".join(differences))
        self.differences = differences
