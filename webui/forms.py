"""What every page that changes something shares: the running parts, the page token, refusals."""

import hmac
import secrets
from typing import Any

from quart import g, render_template, request

from server.edge.rights import Matter
from server.host.gateway import Gateway


class Forms:
    """The token of this server start; a form without it changes nothing."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.token = secrets.token_urlsafe(24)

    async def read(self) -> dict[str, str] | None:
        """The fields of the posted form, or None when it is not one of ours."""
        form = await request.form
        given = str(form.get("token", ""))
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return None
        return {name: str(value) for name, value in form.items()}

    async def refuse(self) -> tuple[Any, int]:
        """The answer to a form that is not ours."""
        page = await render_template(
            "message.html",
            heading="Please try again",
            message="The page was older than the running server. Open it again and repeat.",
            failed=True,
        )
        return page, 403

    async def forbid(self, message: str) -> tuple[Any, int]:
        """The answer to who is known, and may not see or do this."""
        page = await render_template(
            "message.html",
            heading="Not with this key",
            message=message,
            failed=True,
            home=True,
        )
        return page, 403

    def may(self, matter: Matter) -> bool:
        """Whether the visitor may see and change what belongs to ``matter``."""
        return self.gateway.access.may(g.caller.kind, matter)

    def pinned(self, *names: str) -> dict[str, str]:
        """Which of these settings will return at the next start, and who sets them."""
        started = self.gateway.started_with
        return {name: f"the {started.source(name)}" for name in names if started.pinned(name)}
