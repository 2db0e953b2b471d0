"""Bytes to Google: connections, proxies, certificates, and failures below HTTP."""
