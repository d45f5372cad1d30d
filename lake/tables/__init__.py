"""Tables of the lake: where they lie, which version is pinned, what is unreferenced."""
