"""Cohort table -> weights -> predictions.

Importing this package settles how torch and ultralytics behave (offline, silent); neither is loaded before it is used.
"""

from osteotl.detection import hermetic

hermetic.prepare()
