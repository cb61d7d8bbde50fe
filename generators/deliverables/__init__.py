"""One module per deliverable, found by `generators.deliverable`."""
