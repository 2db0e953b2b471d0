"""A running program: its parts, its settings while it runs, what it answers about itself."""
