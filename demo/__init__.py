"""The demo company: a consumer bank, generated from a seed and a size, with the planted truth next to it."""
