"""The enrolment service: one route on loopback, behind the reverse proxy.

python -m deployment.enrolment.service SERVER_FOLDER --port PORT

To the outside there are two answers: how a request stands, and one refusal, the same for all
reasons, for other routes, for too many requests and for a full disk. Reasons are in the record
(``fedinterest server requests``) and in this process's log.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployment.enrolment.errors import EnrolmentError
from deployment.enrolment.intake import Intake, Outcome
from deployment.enrolment.limits import RateLimit
from deployment.enrolment.places import record_of
from deployment.enrolment.request import LONGEST_BODY, ROUTE
from deployment.enrolment.store import EnrolmentStore

PER_SECOND = 5.0
AT_ONCE = 20
"""Requests; a region sends one, and another when it asks how that stands."""
BODY_SECONDS = 10.0
CONNECTIONS = 64
REFUSAL = "The request was not accepted. Ask the operator of the server."

_log = logging.getLogger("fedinterest.enrolment")


def make_app(intake: Intake, rate: RateLimit) -> Starlette:
    """Return the service's application.

    Nothing is compared that would have to be in constant time: proofs are signatures, checked by
    public keys. How long an answer takes depends on who holds a real token, and on nothing else
    that its sender does not know.
    """
    seldom = RateLimit(1 / 60, 1)  # what anybody can cause at any rate must not fill the log

    async def enrol(request: Request) -> Response:
        if not rate.allows():
            if seldom.allows():
                _log.warning("refused: too many requests (told once a minute)")
            return _refusal()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(request)
        except (TimeoutError, ClientDisconnect):
            _log.warning("refused: the body did not come")
            return _refusal()
        try:
            outcome = await run_in_threadpool(intake.take, body)
        except EnrolmentError as error:
            _log.error("refused: %s", error)
            return _refusal()
        except Exception as error:
            # The type alone: an error's text may repeat what was sent.
            _log.error("refused: %s", type(error).__name__)
            return _refusal()
        return _answer(outcome)

    async def refuse(request: Request, error: Exception) -> Response:
        if seldom.allows():
            _log.warning("refused: another route or method (told once a minute)")
        return _refusal()

    return Starlette(
        routes=[Route(ROUTE, enrol, methods=["POST"])],
        exception_handlers={404: refuse, 405: refuse},
    )


async def _read_body(request: Request) -> bytes:
    """Read no more than tells that a body is too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_BODY:
            break
    return bytes(body[: LONGEST_BODY + 1])


def _answer(outcome: Outcome) -> Response:
    _log.info("%s", outcome.log)
    if not outcome.state:
        return _refusal()
    return JSONResponse({"state": outcome.state}, status_code=202 if outcome.is_new else 200)


def _refusal() -> Response:
    # The rest of a long body is not waited for.
    return JSONResponse({"detail": REFUSAL}, status_code=403, headers={"Connection": "close"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to end (SIGTERM)."""
    parser = argparse.ArgumentParser(prog="python -m deployment.enrolment.service")
    parser.add_argument("folder", type=Path, help="The server's folder.")
    parser.add_argument("--port", type=int, required=True, help="On 127.0.0.1.")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s enrolment: %(message)s")
    store = EnrolmentStore(record_of(given.folder))
    with store.reading():
        pass  # a record that cannot be used is told now, not to the first region that asks
    intake = Intake(store, lambda: datetime.now(UTC))
    uvicorn.run(
        make_app(intake, RateLimit(PER_SECOND, AT_ONCE)),
        host="127.0.0.1",
        port=given.port,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        log_level="warning",
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
