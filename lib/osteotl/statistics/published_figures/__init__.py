"""Figures of published comparisons, as printed: one YAML file each, read by `published.load_published`."""
