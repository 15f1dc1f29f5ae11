"""Predictions -> numbers; knows nothing of films or torch."""
