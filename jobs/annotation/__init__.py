"""Annotations: adjudication, agreement, and Label Studio's format. Without Spark."""
