"""The signals that end the program in order."""

import signal

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Ctrl-C; a service manager; a closed terminal; the same on Windows, where the console closes."""


def ends() -> list[signal.Signals]:
    """Those that this system has. One that is ignored, as under ``nohup``, stays so."""
    there = [signal.Signals[name] for name in NAMES if name in signal.Signals.__members__]
    return [number for number in there if signal.getsignal(number) != signal.SIG_IGN]
