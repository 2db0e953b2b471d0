"""Gemini's own API, passed through without loss."""
