"""The help page: where to go on, and what is wrong."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from quart import render_template

from server.host.doctor import Check, Finding, examine, render
from server.logs import redact
from webui.forms import Forms


class HelpPage:
    """``/help``: opened, and with what the doctor found."""

    def __init__(self, forms: Forms, checks: Sequence[Check]) -> None:
        self._forms = forms
        self._gateway = forms.gateway
        self._checks = checks

    async def examine(self) -> Any:
        """Look at everything now; what is found is shown, and kept nowhere."""
        await self._forms.read("")
        settings = self._gateway.settings
        return await self.show(await examine(settings, more=self._checks, gateway=self._gateway))

    async def show(self, found: Sequence[Finding] = ()) -> str:
        return await render_template(
            "help.html",
            token=self._forms.token,
            found=[replace(f, told=redact(f.told), remedy=redact(f.remedy)) for f in found],
            diagnostics=render(found),
            status=self._gateway.status(),
            data_dir=self._gateway.settings.data_dir,
        )
