"""Models, and how much of each is trained."""
