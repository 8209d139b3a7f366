"""Metrics as pure functions on float64 arrays: they import numpy and scipy, and nothing of this package."""
