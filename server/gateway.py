"""The running parts, and what pages, tray and command line may ask of them.

Holds the settings in force. A change is checked, saved, handed to the parts that read it, and takes
effect without cutting a stream.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from server import __version__, settings as settings_file
from server.access import Access
from server.doors import Doors
from server.fetch import Fetcher
from server.metrics import Metrics
from server.oauth import SignIn, Tokens
from server.pipeline import Pipeline
from server.settings import OPTIONS, Settings
from server.signature_store import SignatureStore
from server.throttle import Throttle, ThrottleState
from server.upstreams import UPSTREAMS
from server.upstreams.base import Account, Parts
from server.usage import UsageLog

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot for everything that shows the state of the server."""

    version: str
    upstream: str | None
    upstream_reason: str
    account: Account
    throttle: ThrottleState
    running: int
    setup_address: str


class Gateway:
    """One server's parts, built from settings; closed when the server stops."""

    def __init__(self, settings: Settings, *, fetcher: Fetcher | None = None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.usage = UsageLog(settings.data_dir, self.metrics)
        self.signatures = SignatureStore(settings.data_dir)
        self.throttle = Throttle(
            rate_limit_s=settings.rate_limit_s,
            wait_mode=settings.wait_mode,
            queue_limit=settings.queue_limit,
        )
        self.http = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8)
        )
        self.tokens = Tokens(
            token_file=settings.token_file,
            data_dir=settings.data_dir,
            client=self._oauth_client,
        )
        self.sign_in = SignIn(self.tokens)
        self.doors = Doors(
            Parts(settings=settings, tokens=self.tokens, http=self.http), UPSTREAMS
        )
        self.pipeline = Pipeline(
            self.doors, self.throttle, self.usage, self.signatures, fetcher or Fetcher()
        )
        self.access = Access(settings)
        self.metrics.queued.set_function(lambda: self.throttle.state().waiting)
