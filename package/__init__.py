"""What turns the program into packages: icons, licences, the build, installers, release notes.

Nothing here is imported by the running program. ``python -m package`` is ``make package``.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]

NAME = "gemini-api-proxy"
"""Of the executable, the folder in ``dist/`` and the Debian package."""
