"""Cohort table -> weights -> predictions."""
