"""Paired comparison of diagnostic tests on the same cases: arrays and tables in, tables out.

The package needs numpy, scipy, pandas, statsmodels, scikit-misc, numba and hotcoco only, and can be installed on its
own. docs/diagnostic_accuracy.md explains it with a worked example.
"""
