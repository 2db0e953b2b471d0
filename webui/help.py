"""The help page: what version this is, where to go on."""

import platform
import sys

from quart import render_template

from webui.forms import Forms


class HelpPage:
    """``GET /help``."""

    def __init__(self, forms: Forms) -> None:
        self._gateway = forms.gateway

    async def show(self) -> str:
        return await render_template(
            "help.html",
            status=self._gateway.status(),
            data_dir=self._gateway.settings.data_dir,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
            packaged=bool(getattr(sys, "frozen", False)),
        )
