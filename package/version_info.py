"""The version resource of the Windows programs, made from the project's version.

Written as text and given to PyInstaller as a file: its own classes for it import only on Windows,
which would make that branch of the spec impossible to check elsewhere. A program without one looks
suspicious to virus scanners.
"""

import re

from tray.menu import APP_NAME

_TEMPLATE = """\
VSVersionInfo(
  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0x0,
                    OS=0x40004, fileType=0x1, subtype=0x0, date=(0, 0)),
  kids=[
    StringFileInfo([StringTable('040904B0', [
      StringStruct('CompanyName', '{name} contributors'),
      StringStruct('FileDescription', '{name}'),
      StringStruct('FileVersion', '{version}'),
      StringStruct('InternalName', 'gemini-api-proxy'),
      StringStruct('LegalCopyright', 'MIT licence'),
      StringStruct('OriginalFilename', '{name}.exe'),
      StringStruct('ProductName', '{name}'),
      StringStruct('ProductVersion', '{version}'),
    ])]),
    VarFileInfo([VarStruct('Translation', [0x0409, 1200])]),
  ],
)
"""


def version_info(version: str) -> str:
    """The text; a version such as ``1.2.3rc1`` gives the numbers 1, 2, 3, 0."""
    found = [int(number) for number in re.findall(r"\d+", version.partition("rc")[0])]
    numbers = tuple([*found, 0, 0, 0, 0][:4])
    return _TEMPLATE.format(numbers=numbers, version=version, name=APP_NAME)
