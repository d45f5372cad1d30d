"""Personal data in a text: what it looks like, and how it is found."""
