"""Near-duplicates: signatures of texts, which pairs to compare, and clusters. Without Spark."""
