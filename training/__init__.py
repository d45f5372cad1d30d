"""From pinned tables to a measured model: plan, loader, model, loop, evaluation. Imports neither jobs nor pyspark."""
