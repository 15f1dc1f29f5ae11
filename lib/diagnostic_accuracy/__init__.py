"""Paired comparison of diagnostic tests on the same cases: arrays and tables in, tables out."""
