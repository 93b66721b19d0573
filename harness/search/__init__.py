"""Searches: Optuna on held-out training videos, an honest comparison on test."""
