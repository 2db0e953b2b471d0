"""The first run: choose a road to Gemini, see that it works, go on to connecting a tool.

The sign-in link stands under Google's own rules (contract section 3, *The honest door*): its
address is Google's, and it and the form for the code work without scripts.
"""

from typing import Any

from quart import render_template, request

from server.edge.rights import ACTIONS
from server.errors import BadRequestError, ProxyError
from server.host.gateway import DoorCheck
from server.settings.load import SettingsError
from webui.forms import Forms, unknown_action

SIGNED_IN = "Signed in."
CLIENT_ELSEWHERE = (
    "The OAuth client is chosen on the server's own computer, or after logging in with ADMIN_KEY."
)
SURE = {
    "sign-out": (
        "Sign out?",
        "The sign-in is forgotten here and ended at Google, and with it the thought signatures and "
        "answers that were kept.",
        "Yes, sign out",
    ),
    "remove-key": (
        "Remove the saved key?",
        "The Gemini API key is forgotten here; at Google it stays as it is.",
        "Yes, remove the saved key",
    ),
}
"""What is done only when its form says ``sure``: heading, meaning and button of the page that asks.
"""

RENEW_S = 540
"""When a page that has been quiet asks for its sign-in link anew, which lasts ten minutes."""


class SetupPage:
    """``/setup``, ``/auth`` and ``/oauth2callback``."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._gateway = forms.gateway

    async def show(
        self,
        message: str | None = None,
        *,
        failed: bool = False,
        check: DoorCheck | None = None,
    ) -> str:
        gateway = self._gateway
        settings = gateway.settings
        offer = await gateway.offer_sign_in(request.args.get("page", ""))
        return await render_template(
            "setup.html",
            status=gateway.status(),
            models=gateway.models(),
            message=message,
            failed=failed,
            check=check,
            token=self._forms.token,
            sure=SURE,
            asked_for=request.args.get("ask", ""),
            ready=[door.name for door in gateway.doors.configured()],
            missing={door.name: door.missing for door in gateway.doors.listed()},
            chosen=settings.upstream,
            has_key=settings.gemini_key is not None,
            key_elsewhere=settings.key_elsewhere
            if settings.gemini_api_key and not settings.gemini_key
            else "",
            signed_in=gateway.tokens.signed_in,
            project=settings.google_cloud_project or "",
            location=settings.google_cloud_location,
            sign_in_url=offer.url,
            state=offer.state,
            client_source=offer.source,
            client_borrowed=offer.borrowed,
            client_uploaded=gateway.client_is_uploaded,
            cli_chosen=settings.use_gemini_cli_client,
            renew_s=RENEW_S,
            client_problem=offer.problem,
            ask_hosts=offer.ask_hosts,
            may_choose_client=self._forms.may("owner"),
            pinned=self._forms.pinned("UPSTREAM", "GEMINI_API_KEY", "GOOGLE_CLOUD_PROJECT"),
        )

    async def change(self) -> Any:
        form = await self._forms.read()
        if not self._forms.may(ACTIONS.get(form.get("action", ""), "page")):
            return await self._forms.forbid(CLIENT_ELSEWHERE)
        asked = SURE.get(form.get("action", ""))
        if asked and form.get("sure") != "yes":
            return await self._forms.ask(form["action"], *asked)
        try:
            message, check = await self._act(form)
        except SettingsError as error:
            return await self.show(error.sentence, failed=True), 400
        except ProxyError as error:
            return await self.show(str(error), failed=True), 400
        return await self.show(message, check=check)

    async def _act(  # noqa: C901, PLR0912  # one case a button
        self, form: dict[str, str]
    ) -> tuple[str, DoorCheck | None]:
        """Do what a form asks; a sentence for the page, and Google's answer where it was asked."""
        gateway = self._gateway
        match form.get("action", ""):
            case "code":
                return await self._sign_in(form.get("state", ""), form.get("code", ""))
            case "key":
                key = form.get("key", "").strip()
                if not key:
                    raise BadRequestError("There is no key in the field; nothing was changed.")
                await gateway.change("GEMINI_API_KEY", key)
                return "The key is saved.", await self._take("gemini-api")
            case "remove-key":
                await gateway.change("GEMINI_API_KEY", "")
                return "The key is removed.", None
            case "vertex":
                for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"):
                    await self._change_typed(form, name)
                return "The project is saved.", await self._take("vertex")
            case "project":
                await self._change_typed(form, "GOOGLE_CLOUD_PROJECT")
                return "The project is saved.", await gateway.check_door("code-assist")
            case "check":
                return "", await gateway.check_door(form.get("upstream", ""))
            case "upstream":
                await gateway.change("UPSTREAM", form.get("upstream", ""))
                used = gateway.status().upstream
                check = await gateway.check_door(used) if used else None
                return f"In use from now on: {used or 'nothing yet'}.", check
            case "client":
                uploaded = (await request.files).get("file")
                gateway.keep_client(uploaded.read().decode("utf-8", "replace") if uploaded else "")
                return "The OAuth client is saved.", None
            case "remove-client":
                gateway.remove_client()
                return "The OAuth client is removed.", None
            case "no-gemini-cli":
                await gateway.change("USE_GEMINI_CLI_CLIENT", value=False)
                return "The Gemini CLI's client is no longer used.", None
            case "trust":
                await gateway.trust(form.get("hosts", ""))
                return "The OAuth client may sign in there from now on.", None
            case "gemini-cli":
                await gateway.change("USE_GEMINI_CLI_CLIENT", value=True)
                return "The Gemini CLI's own client is used from now on, if it is installed.", None
            case "sign-out":
                await gateway.sign_out()
                return "Signed out.", None
            case other:
                raise unknown_action(other)

    async def _change_typed(self, form: dict[str, str], name: str) -> None:
        """Take over a field, unless it still holds what its page showed: that may be old."""
        typed = form.get(name)
        if typed is not None and typed.strip() != form.get(f"was-{name}"):
            await self._gateway.change(name, typed.strip())

    async def _sign_in(self, state: str, code: str) -> tuple[str, DoorCheck]:
        """Finish a sign-in; what Google then says of the account. Raises ``ProxyError``."""
        gateway = self._gateway
        before = gateway.status()
        await gateway.finish_sign_in(state, code)
        asked = gateway.status().upstream == "code-assist"
        check = await self._take("code-assist", just_asked=asked)
        worked = before.account.authenticated and not before.account.problem
        if check.problem and worked and gateway.status().upstream != before.upstream:
            # ``auto`` prefers a signed-in account; one that is refused must not end what works.
            await gateway.change("UPSTREAM", before.upstream)
            return f"{SIGNED_IN} Requests still go to {before.upstream}, which works.", check
        return SIGNED_IN, check

    async def _take(self, name: str, *, just_asked: bool = False) -> DoorCheck:
        """Check a road that was just set up; it takes over from the demo and from what fails."""
        gateway = self._gateway
        check = await gateway.check_door(name, just_asked=just_asked)
        now = gateway.status()
        stuck = now.upstream in (None, "demo") or now.account.problem is not None
        if check.problem is None and now.upstream != name and stuck:
            await gateway.change("UPSTREAM", name)
        return check

    async def came_back(self) -> Any:
        """Google (or the user's browser) brings the code; the one-shot state is its authority."""
        query = request.args
        try:
            # The whole address, so that an error Google sends back is read where codes are.
            said, check = await self._sign_in(query.get("state", ""), request.url)
        except ProxyError as error:
            return await self._not_signed_in(error), error.status if error.status < 500 else 502
        return await render_template(
            "signed_in.html",
            check=check,
            status=self._gateway.status(),
            note=said if said != SIGNED_IN else "",
        )

    async def _not_signed_in(self, error: ProxyError) -> str:
        """Why, and a fresh link where the old one is over: to who may open the set-up page."""
        over = error.code in ("sign_in_expired", "sign_in_already_used")
        offer = None
        if over and self._forms.may("page"):
            offer = await self._gateway.offer_sign_in()
        return await render_template("not_signed_in.html", message=str(error), offer=offer)
