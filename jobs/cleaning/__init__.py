"""What cleaning computes with. Without Spark."""
