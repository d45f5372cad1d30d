"""Answers, scores, baselines and the report."""
