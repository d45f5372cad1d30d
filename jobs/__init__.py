"""The Spark stages: one module a stage, DataFrames in, DataFrames out."""

# In the order in which they run; `tokenize`, which belongs to a training run, comes behind them.
STAGES = ("ingest", "clean", "dedup", "mask", "annotate", "split")
