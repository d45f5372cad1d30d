"""From pinned Parquet files to batches."""
