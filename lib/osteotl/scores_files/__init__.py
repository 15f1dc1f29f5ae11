"""Score tables of other programs -> one checked table of predictions."""
