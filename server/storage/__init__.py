"""What is kept on disk: usage, thought signatures, kept answers."""
