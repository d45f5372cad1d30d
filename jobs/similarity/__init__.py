"""Near-duplicates: signatures of texts, candidate pairs, and clusters. Without Spark."""
