"""Pages around the deliverables: home, backlog, runs, reference."""
