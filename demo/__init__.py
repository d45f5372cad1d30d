"""The demo company: a consumer bank, generated from a seed and a size, with the truth planted beside it."""
