"""Computations of the stage clean, without Spark."""
