"""The application: frame, pages, and what stands before them.

request -> watched -> headers -> failures told -> way in -> who asks -> form is ours -> page
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from prometheus_client.registry import Collector
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.dashboard import assets, failures, live, metrics, signing_in
from server.dashboard.access import Access
from server.dashboard.accounts import Accounts
from server.dashboard.api import API
from server.dashboard.brute_force import Guard
from server.dashboard.csrf import FormTokens, refuse_forged
from server.dashboard.errors import VisitError
from server.dashboard.frame import Frame
from server.dashboard.headers import SecurityHeaders
from server.dashboard.hosts import WayIn
from server.dashboard.live import Changes, Live, no_changes
from server.dashboard.metrics import IsReady, Metrics, Watching, always_ready
from server.dashboard.navigation import Page
from server.dashboard.rendering import Rendered, templates
from server.dashboard.sessions import Sessions
from server.dashboard.settings import Settings, refuse_unsafe
from server.dashboard.tokens import Tokens
from server.dashboard.visitors import RoleNeeded, frame_of, visitor_of


def create_app(
    settings: Settings,
    pages: Sequence[Page] = (),
    *,
    changes: Changes = no_changes,
    is_ready: IsReady = always_ready,
    collectors: Iterable[Collector] = (),
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    settings : Settings
    pages : sequence of Page
        In the order of the navigation.
    changes : callable
        Versions of what pages show, by name (:mod:`server.dashboard.live`).
    is_ready : callable
        Whether the store answers.
    collectors : iterable of Collector
        Figures of the runs for ``/metrics``.

    Raises
    ------
    DashboardError
        If strangers could look in.
    """
    frame = _frame(settings, tuple(pages), changes, Metrics(is_ready, collectors))
    app = FastAPI(
        title="fedinterest",
        summary="Released values of federated clustering runs, read-only.",
        version=version("fedinterest"),
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # its page would come from elsewhere
        redoc_url=None,
        dependencies=[Depends(refuse_forged)],
        middleware=[
            Middleware(Watching, metrics=frame.metrics),
            Middleware(SecurityHeaders, https=settings.https),
            Middleware(failures.Failures),
            Middleware(WayIn, settings=settings),
            Middleware(Access),
        ],
    )
    app.state.frame = frame
    failures.register(app)
    for router in (_home, signing_in.router, assets.router, live.router, metrics.router):
        app.include_router(router)
    for page in pages:
        app.include_router(page.router, dependencies=[Depends(RoleNeeded(page.role))])
    return app


def _frame(
    settings: Settings, pages: tuple[Page, ...], changes: Changes, figures: Metrics
) -> Frame:
    accounts = Accounts(settings.data)
    refuse_unsafe(settings, len(accounts.users()))
    return Frame(
        settings=settings,
        pages=pages,
        accounts=accounts,
        tokens=Tokens(settings.data),
        sessions=Sessions(accounts, 60 * settings.idle_minutes, 3600 * settings.session_hours),
        guard=Guard(),
        forms=FormTokens(),
        assets=assets.Assets(),
        templates=templates(),
        rendered=Rendered(),
        live=Live(changes, settings.poll_seconds, settings.most_streams),
        metrics=figures,
    )


_home = APIRouter(include_in_schema=False)


@_home.get("/")
def home(request: Request) -> Response:
    """Go to the first page that the visitor may see."""
    visitor = visitor_of(request)
    for page in frame_of(request).pages:
        if visitor is not None and visitor.role.includes(page.role):
            return RedirectResponse(page.path, 303)
    raise VisitError(404, "no-pages")
