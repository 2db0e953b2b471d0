"""The request inspector's page: client request, upstream request and stream side by side."""

from datetime import datetime
from typing import Any

from quart import redirect, render_template

from server.inspector import KEPT, LONGEST_BYTES, Inspector
from webui.forms import Forms


class InspectPage:
    """``/inspect``."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms

    @property
    def _inspector(self) -> Inspector:
        return self._forms.gateway.pipeline.inspector

    async def show(self) -> str:
        usage = await self._forms.gateway.usage.summary()
        return await render_template(
            "inspect.html",
            on=self._inspector.on,
            traces=self._inspector.traces(),
            entries={entry["id"]: entry for entry in usage["recent_requests"]},
            clock=lambda moment: datetime.fromtimestamp(moment).astimezone().strftime("%H:%M:%S"),
            kept=KEPT,
            longest_kib=LONGEST_BYTES // 1024,
            token=self._forms.token,
        )

    async def change(self) -> Any:
        form = await self._forms.read()
        if form is None:
            return await self._forms.refuse()
        self._inspector.switch(on=form.get("on") == "yes")
        return redirect("/inspect", 303)
