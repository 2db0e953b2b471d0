"""What the console says at start: where the server is, who answers, and what to do if nobody can.

``docker-compose logs`` shows these lines, so they hold everything a headless user needs and nothing
that is secret, with two exceptions the contract names: a key in the run that created it, and the
access token when SHOW_TOKEN asks for it.
"""

from server import __version__
from server.host.gateway import Gateway
from server.network.proxies import from_surroundings


def start_lines(gateway: Gateway, *, key_is_new: bool) -> list[str]:
    """Printed as soon as the server answers."""
    settings, status = gateway.settings, gateway.status()
    lines = [
        f"Gemini API Proxy {__version__}",
        f"  Listening on {', '.join(settings.host)}, port {settings.port}",
        f"  OpenAI clients:    {gateway.base_url}/v1",
        f"  Anthropic clients: {gateway.base_url}",
        f"  Dashboard:         {gateway.base_url}/",
        f"  Upstream: {status.upstream or 'none'} ({status.upstream_reason})",
        f"  Limits: {_limits(gateway)}",
    ]
    if status.upstream == "demo":
        lines.append("  The demo is for looking, not for agents: answers are made up here, and it")
        lines.append("  calls no tool unless the client forces one.")
    if status.upstream is None:
        lines.append(f"  Not signed in. Open {status.setup_address} to choose how to reach Gemini.")
    if settings.trusted_networks:
        lines.append(f"  No key needed from: {', '.join(settings.trusted_networks)}")
    if key_is_new and gateway.access.generated_key:
        lines.append(f"  API key for callers from elsewhere: {gateway.access.generated_key}")
        lines.append("  (shown once; later: --show-key)")
    lines += [f"  Warning: {problem}" for problem in from_surroundings().problems()]
    if not gateway.usage.persistent:
        lines.append(f"  Warning: {settings.data_dir} cannot be written; nothing will be saved.")
    return lines


def account_lines(gateway: Gateway) -> list[str]:
    """Printed when Google has answered who is behind the upstream."""
    status = gateway.status()
    account, problem = status.account, status.account.problem
    if problem is not None:
        lines = [f"  {problem.message}", f"  {problem.remedy}"]
        return [*lines, f"  {problem.link}"] if problem.link else lines
    if not account.authenticated:
        return [f"  Not signed in. Open {status.setup_address} to choose how to reach Gemini."]
    known = [account.email, account.tier and f"tier {account.tier}"]
    known.append(account.project and f"project {account.project}")
    return [f"  Account: {', '.join(word for word in known if word) or 'ready'}"]


def token_lines(token: str) -> list[str]:
    """SHOW_TOKEN: the one place where a credential is printed on purpose."""
    return [
        "  WARNING: SHOW_TOKEN is on. Whoever sees this line can use your account:",
        f"  {token}",
    ]


def _limits(gateway: Gateway) -> str:
    state = gateway.throttle.state()
    spacing = f"one request every {state.rate_limit_s:g} s" if state.rate_limit_s else "none"
    mode = "waiting requests are queued" if state.wait_mode else "429 when limited"
    return f"{spacing}; {mode}"
