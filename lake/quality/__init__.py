"""Quality checks: the shipped SQL files, and the code that runs them."""
