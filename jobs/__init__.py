"""The Spark stages: one module per stage, DataFrames in, DataFrames out."""
