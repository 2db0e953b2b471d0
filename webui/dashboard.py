"""The dashboard: what runs now, what has run, what is left, what went wrong."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from quart import g, render_template, request

from server.core.request_record import Exchange
from server.upstreams.code_assist import CodeAssist, Quota
from webui import charts
from webui.forms import Forms

PERIODS = {1: "Today", 7: "7 days", 30: "30 days"}
ROWS = 20
ERRORS = 5
QUOTA_FRESH_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """One request under way."""

    id: str
    state: str
    queued: bool
    asked: str
    model: str
    upstream: str
    client: str
    dialect: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    thought_tokens: int
    estimated: bool
    stream: bool
    elapsed_ms: float
    first_token_ms: float | None
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaBar:
    """What is left of one model."""

    model: str
    percent: float | None
    remaining: int | None
    resets_in_s: float | None


def live_rows(exchanges: Iterable[Exchange], now: float) -> list[LiveRow]:
    """The requests under way at ``now`` (monotonic seconds), oldest first."""
    return [_live_row(exchange, now) for exchange in exchanges]


def _live_row(exchange: Exchange, now: float) -> LiveRow:
    usage, first = exchange.usage, exchange.first_token_s
    return LiveRow(
        id=exchange.id,
        state=live_state(exchange),
        queued=any(ticket.position is not None for ticket in exchange.tickets),
        asked=exchange.asked,
        model=exchange.model,
        upstream=exchange.upstream,
        client=exchange.client,
        dialect=exchange.dialect,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        thought_tokens=usage.thoughts_tokens,
        estimated=usage.estimated,
        stream=exchange.stream,
        elapsed_ms=(now - exchange.began) * 1000,
        first_token_ms=None if first is None else first * 1000,
        retries=max(0, exchange.attempts - max(1, len(exchange.tickets))),
    )


def live_state(exchange: Exchange) -> str:
    """``queued, place 3``, ``waiting for Gemini`` or ``answering``."""
    places = [place for ticket in exchange.tickets if (place := ticket.position) is not None]
    if places:
        return f"queued, place {min(places)}"
    if exchange.first_token_s is not None:
        return "answering"
    return "waiting for Gemini" if exchange.attempts else "reading"


def quota_bars(quota: Sequence[Quota], now: float) -> list[QuotaBar]:
    """One bar a model, the emptiest first; ``now`` in Unix seconds."""
    lowest: dict[str, Quota] = {}
    for bucket in quota:  # several of Google's buckets may stand for one model
        known = lowest.setdefault(bucket.model, bucket)
        if _left(bucket) < _left(known):
            lowest[bucket.model] = bucket
    bars = [
        QuotaBar(
            model=bucket.model,
            percent=None
            if bucket.remaining_fraction is None
            else round(100 * min(1.0, max(0.0, bucket.remaining_fraction)), 1),
            remaining=bucket.remaining,
            resets_in_s=None if bucket.reset_at is None else bucket.reset_at - now,
        )
        for bucket in lowest.values()
    ]
    return sorted(bars, key=lambda bar: (101.0 if bar.percent is None else bar.percent, bar.model))


def _left(bucket: Quota) -> float:
    return 2.0 if bucket.remaining_fraction is None else bucket.remaining_fraction


def last_refusal(recent: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The newest entry that Google itself refused for its limits; ours never left this computer."""
    return next((e for e in recent if e["outcome"] == "rate_limit" and e["attempts"]), None)


def period_of(text: str) -> int:
    """The days that ``?days=`` asks for; a week where that is no period we have."""
    return int(text) if text in map(str, PERIODS) else 7


class Dashboard:
    """``GET /``."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._gateway = forms.gateway

    async def show(self) -> str:
        gateway = self._gateway
        settings = gateway.settings
        days = period_of(request.args.get("days", ""))
        usage = await gateway.usage.summary()
        rows = await gateway.usage.slices(days)
        recent = usage["recent_requests"]
        return await render_template(
            "dashboard.html",
            status=gateway.status(),
            models=gateway.models({row["model"] for row in recent if row["success"]}),
            usage=usage,
            live=live_rows(gateway.pipeline.live.values(), monotonic()),
            recent=recent[:ROWS],
            errors=[row for row in recent if row["error"]][:ERRORS],
            refusal=last_refusal(recent),
            titles={door.name: door.title for door in gateway.doors.listed()},
            watching=gateway.pipeline.inspector.on,
            quota=await self._quota(),
            days=days,
            periods=PERIODS,
            base_url=gateway.base_url,
            api_key=gateway.access.generated_key if g.local else None,
            key_is_set=bool(settings.api_keys),
            token=self._forms.token,
            aliases=settings.aliases,
            pinned=self._forms.pinned("RATE_LIMIT", "WAIT_MODE"),
            **_drawn(rows, days),
        )

    async def _quota(self) -> list[QuotaBar]:
        """Shown as last known; asked for again in the background, so that no page waits for it."""
        upstream = self._gateway.doors.current()
        if not isinstance(upstream, CodeAssist):
            return []
        self._gateway.in_background(_refresh(upstream))
        return quota_bars(upstream.quota(), time.time())


async def _refresh(upstream: CodeAssist) -> None:
    await upstream.refresh_quota(QUOTA_FRESH_S)


def _drawn(rows: Sequence[charts.Row], days: int) -> dict[str, Any]:
    """What the usage part of the page is drawn from."""
    buckets = charts.buckets_of(days, datetime.now().astimezone().date())
    return {
        "totals": charts.totals(rows),
        "by_model": charts.shares(rows, "model"),
        "by_client": charts.shares(rows, "client"),
        "graphs": (
            charts.stacked(
                rows,
                "model",
                buckets,
                title="Tokens by model",
                unit="tokens",
                measure=charts.tokens_of,
            ),
            charts.stacked(
                rows,
                "client",
                buckets,
                title="Requests by client",
                unit="requests",
                measure=charts.requests_of,
            ),
        ),
    }
