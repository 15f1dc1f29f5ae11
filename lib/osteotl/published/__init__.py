"""A published comparison: its printed figures as data, what follows from them, and simulated twins of its cohort.

What the notebook `published` needs. No study depends on it.
"""
