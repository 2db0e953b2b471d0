"""What can be set, and what was set: command line, environment, ``settings.toml``."""
