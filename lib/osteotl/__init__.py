"""OsteoTL compares detectors of malignant bone tumours that differ only in how they were initialised."""

__version__ = "0.2.0"
