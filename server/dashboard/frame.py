"""What the application has at hand for each request; made once, by ``application.create_app``."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import Environment

from server.dashboard.accounts import Accounts
from server.dashboard.assets import Assets
from server.dashboard.brute_force import Guard
from server.dashboard.csrf import FormTokens
from server.dashboard.live import Live
from server.dashboard.metrics import Metrics
from server.dashboard.navigation import Page
from server.dashboard.rendering import Rendered
from server.dashboard.sessions import Sessions
from server.dashboard.settings import Settings
from server.dashboard.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Everything but the pages."""

    settings: Settings
    pages: tuple[Page, ...]
    accounts: Accounts
    tokens: Tokens
    sessions: Sessions
    guard: Guard
    forms: FormTokens
    assets: Assets
    templates: Environment
    rendered: Rendered
    live: Live
    metrics: Metrics
