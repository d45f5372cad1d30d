"""Tables of the lake: where they are stored, which version is pinned, which data are unreferenced."""
