"""Personal data in a text: its kinds, their recognisers, and the search."""
