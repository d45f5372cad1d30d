"""The Spark stages: one module a stage, DataFrames in, DataFrames out."""
