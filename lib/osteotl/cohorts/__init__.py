"""Films and reference standard -> the cohort table."""
