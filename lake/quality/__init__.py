"""Quality checks: the shipped SQL files, and what runs them."""
