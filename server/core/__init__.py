"""The one path of a request: fit, wait for a turn, send, read, retry, record."""
