"""What every page that changes something shares: the running parts, the page token, refusals."""

import hmac
import secrets
from typing import Any

from quart import g, render_template, request

from server.edge.rights import Matter
from server.host.gateway import Gateway


class FormError(Exception):
    """What was posted is no form of ours, or asks for nothing there is: ``Forms.refuse``."""

    def __init__(self, status: int, heading: str, message: str) -> None:
        super().__init__(message)
        self.status, self.heading, self.message = status, heading, message


def unknown_action(action: str) -> FormError:
    """400: no button of the page does this."""
    asked = f"“{action[:40]}”" if action else "nothing"
    return FormError(
        400, "Nothing was done", f"The form asks for {asked} (action), which no button here does."
    )


def wants_page() -> bool:
    """Whether a browser asks: every browser says that it takes HTML."""
    return "text/html" in request.headers.get("accept", "")


class Forms:
    """The token of this server start; a form without it changes nothing."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.token = secrets.token_urlsafe(24)

    async def read(self, *actions: str) -> dict[str, str]:
        """The fields of the posted form. ``actions``: what its ``action`` may be; any without them.

        Raises ``FormError``.
        """
        form = await request.form
        given = str(form.get("token", ""))
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            raise FormError(
                403,
                "Please try again",
                "The page was older than the running server. Open it again and repeat.",
            )
        if actions and form.get("action", "") not in actions:
            raise unknown_action(str(form.get("action", "")))
        return {name: str(value) for name, value in form.items()}

    async def refuse(self, error: FormError) -> tuple[Any, int]:
        """The answer to a form that is not ours."""
        return await self.tell(error.status, error.heading, error.message)

    async def forbid(self, message: str) -> tuple[Any, int]:
        """The answer to who is known, and may not see or do this."""
        return await self.tell(403, "Not with this key", message, home=True)

    async def tell(self, status: int, heading: str, message: str, **more: bool) -> tuple[Any, int]:
        """A refusal: a page for browsers, JSON for every other program."""
        if not wants_page():
            return {"error": {"message": message}}, status
        page = await render_template(
            "message.html", heading=heading, message=message, failed=True, **more
        )
        return page, status

    async def ask(self, action: str, heading: str, message: str, button: str) -> str:
        """A page that asks first; its button sends the form again with ``sure``."""
        return await render_template(
            "confirm.html",
            address=request.path,
            action=action,
            token=self.token,
            heading=heading,
            message=message,
            button=button,
        )

    def may(self, matter: Matter) -> bool:
        """Whether the visitor may see and change what belongs to ``matter``."""
        return self.gateway.access.may(g.caller.kind, matter)

    def pinned(self, *names: str) -> dict[str, str]:
        """Which of these settings will return at the next start, and who sets them."""
        started = self.gateway.started_with
        return {name: f"the {started.source(name)}" for name in names if started.pinned(name)}
