"""A storm on several servers that share one state: what is asked and broken (clients, faults), what was said (history), and whether that was
right (checker)."""
