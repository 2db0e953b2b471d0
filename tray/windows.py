"""Windows: what of pystray's icon is ours, because its own holds up a log-off.

pystray 0.19.5 answers 0 to every message that it does not know. To ``WM_QUERYENDSESSION`` that
means "do not log off", and to ``WM_CLOSE`` "not me": the Restart Manager of an installer waits in
vain (Microsoft, *Shutting Down*, *Guidelines for Applications*).
"""

import sys
from collections.abc import Callable
from typing import Any

WM_CLOSE, WM_QUERYENDSESSION, WM_ENDSESSION = 0x0010, 0x0011, 0x0016
WM_RBUTTONUP = 0x0205
MUTEX = "GeminiApiProxy"
"""Held while the app runs; ``package/windows.iss`` looks for it (``AppMutex``)."""

Handler = Callable[[int, int], int]


def icon_class(pystray: Any) -> Any:
    """pystray's class, with our parts before its own."""
    return type("Icon", (_Ours, pystray.Icon), {})


class Handlers(dict[int, Handler]):
    """pystray's table of messages; what is not in it goes to the system, as it should."""

    def __init__(self, known: dict[int, Handler], others: Callable[[int, int, int], int]) -> None:
        super().__init__(known)
        self._others = others

    def get(self, message: int, _default: object = None) -> Handler:
        """The one for ``message``: pystray calls nothing else."""
        known = super().get(message)
        return known or (lambda first, second: self._others(message, first, second))


class _Ours:
    """The parts; ``on_end`` is set before the icon runs."""

    on_end: Callable[[bool], None] = staticmethod(lambda _: None)
    """End the app; True: and return only when that is done."""
    _message_handlers: Any
    _hwnd: Any
    _menu_is_open = False
    _menu_is_old = False

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if sys.platform == "win32" and isinstance(getattr(self, "_message_handlers", None), dict):
            ours = {
                WM_QUERYENDSESSION: lambda *_: 1,
                WM_ENDSESSION: self._on_session_end,
                WM_CLOSE: self._on_close,
            }
            self._message_handlers = Handlers(self._message_handlers | ours, self._others)

    def _others(self, message: int, first: int, second: int) -> int:
        import pystray._win32 as backend  # noqa: PLC0415  # there on Windows only

        answer: int = backend.win32.DefWindowProc(self._hwnd, message, first, second)
        return answer

    def _on_session_end(self, ending: int, _: int) -> int:
        """The process is ended as soon as this returns; ``ending`` 0: somebody objected."""
        if ending:
            self.on_end(True)
        return 0

    def _on_close(self, *_: int) -> int:
        self.on_end(False)
        return 0

    def _on_notify(self, first: int, second: int) -> None:
        """A click on the icon. The menu is shown in here, until it closes."""
        self._menu_is_open = second == WM_RBUTTONUP
        try:
            super()._on_notify(first, second)  # type: ignore[misc]  # of pystray
        finally:
            self._menu_is_open = False
            if self._menu_is_old:
                self._update_menu()

    def _update_menu(self) -> None:
        """The system's menu is destroyed and made anew: never while it is open."""
        self._menu_is_old = self._menu_is_open
        if not self._menu_is_open:
            super()._update_menu()  # type: ignore[misc]  # of pystray


if sys.platform == "win32":
    import ctypes

    def hold_mutex() -> Any:
        """Tell installers that the app runs. The handle lasts as long as the process."""
        return ctypes.windll.kernel32.CreateMutexW(None, False, MUTEX)
