"""macOS: what of pystray's icon is ours: AppKit on the main thread only, and the app's events.

AppKit belongs to the main thread (Apple, *Thread Safety Summary*); newer systems end a program that
touches it elsewhere. pystray calls it from whichever thread asks.
"""

import importlib
import io
from collections.abc import Callable
from typing import Any

MENU_ENDS_S = 0.2
"""How long after a menu has closed the chosen item has surely been reported."""


def icon_class(pystray: Any) -> Any:
    """pystray's class, with our parts before its own."""
    return type("Icon", (_Ours, pystray.Icon), {})


def on_main_thread(work: Callable[[], None]) -> None:
    """Do ``work`` in the main thread's loop, in the order of the calls."""
    importlib.import_module("PyObjCTools.AppHelper").callAfter(work)


class _Ours:
    """The parts; ``on_end`` and ``on_reopen`` are set before the icon runs."""

    on_end: Callable[[bool], None] = staticmethod(lambda _: None)
    """End the app; True: and return only when that is done."""
    on_reopen: Callable[[], None] = staticmethod(lambda: None)
    _icon: Any
    _app: Any
    _status_bar: Any
    _status_item: Any
    _icon_image: Any
    _events: Any = None
    _menu_is_open = False
    _menu_is_old = False

    def _run(self) -> None:
        self._events = application_events(self)
        self._app.setDelegate_(self._events)
        super()._run()  # type: ignore[misc]  # of pystray

    def _stop(self) -> None:
        on_main_thread(super()._stop)  # type: ignore[misc]  # of pystray

    def _assert_image(self) -> None:
        """A template picture of full resolution; pystray's of 22 px is blurred on Retina."""
        app_kit = importlib.import_module("AppKit")
        foundation = importlib.import_module("Foundation")
        buffer = io.BytesIO()
        self._icon.save(buffer, "png")
        image = app_kit.NSImage.alloc().initWithData_(foundation.NSData(buffer.getvalue()))
        side = self._status_bar.thickness()
        image.setSize_((side, side))
        image.setTemplate_(True)
        self._icon_image = image
        self._status_item.button().setImage_(image)

    def _notify(self, _message: str, _title: str | None = None) -> None:
        """Nothing: pystray's would come from "Script Editor". Icon, menu and window tell it."""

    def _update_menu(self) -> None:
        """A menu is made anew: never while one is open, whose items would then mean others."""
        self._menu_is_old = self._menu_is_open
        if self._menu_is_open:
            return
        super()._update_menu()  # type: ignore[misc]  # of pystray
        menu = self._status_item.menu()
        if menu is not None and self._events is not None:
            menu.setDelegate_(self._events)

    def menu_opens(self) -> None:
        self._menu_is_open = True

    def menu_closed(self) -> None:
        """AppKit reports the chosen item after this."""
        helper = importlib.import_module("PyObjCTools.AppHelper")
        helper.callLater(MENU_ENDS_S, self._settle)

    def _settle(self) -> None:
        self._menu_is_open = False
        if self._menu_is_old:
            self._update_menu()


def application_events(icon: _Ours) -> Any:
    """The delegate of the application and of the menu: an Objective-C object."""
    foundation = importlib.import_module("Foundation")

    class Events(foundation.NSObject):  # type: ignore[misc, name-defined]  # no types
        def applicationShouldHandleReopen_hasVisibleWindows_(self, _app: Any, _any: Any) -> bool:  # noqa: N802
            """The app was opened again, by a double click or the Dock."""
            icon.on_reopen()
            return False

        def applicationWillTerminate_(self, _note: Any) -> None:  # noqa: N802
            """Log-off, or Quit from the Dock: the process ends when this returns."""
            icon.on_end(True)

        def menuWillOpen_(self, _menu: Any) -> None:  # noqa: N802
            icon.menu_opens()

        def menuDidClose_(self, _menu: Any) -> None:  # noqa: N802
            icon.menu_closed()

    return Events.alloc().init()
