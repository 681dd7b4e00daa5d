from __future__ import annotations

import asyncio
import http.client
import logging
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from deployment.enrolment import service
from deployment.enrolment.errors import StoreError
from deployment.enrolment.intake import Intake, Outcome
from deployment.enrolment.limits import RateLimit
from deployment.enrolment.request import LONGEST_BODY, ROUTE
from deployment.enrolment.service import REFUSAL, make_app
from deployment.enrolment.token import Token
from tests.deployment.enrolment.examples import Setting, an_agent


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


@pytest.fixture
def client(setting: Setting) -> Iterator[TestClient]:
    app = make_app(setting.intake, RateLimit(0, 1000))
    with TestClient(app) as client:
        yield client


def test_a_request_is_queued_and_told_again(setting: Setting, client: TestClient) -> None:
    agent, token = an_agent(), setting.token()
    first = client.post(ROUTE, content=setting.signed(agent, token).write())
    again = client.post(ROUTE, content=setting.signed(agent, token).write())
    assert (first.status_code, first.json()) == (202, {"state": "waiting"})
    assert (again.status_code, again.json()) == (200, {"state": "waiting"})


def test_all_refusals_look_alike(setting: Setting, client: TestClient) -> None:
    used = setting.token("east")
    setting.ask(an_agent("east"), used)
    replaced = setting.token()
    good = setting.token()
    refused = [
        client.post(ROUTE, content=body)
        for body in (
            b"",
            b"{}",
            b"[" * 9_000,
            b"x" * (LONGEST_BODY + 1),
            b"x" * 10**6,
            setting.signed(an_agent(), Token.create()).write(),
            setting.signed(an_agent(), replaced).write(),
            setting.signed(an_agent("south"), good).write(),
            setting.signed(an_agent("east"), used).write(),
            setting.signed(an_agent(), good, seconds=9999).write(),
        )
    ]
    refused += [client.get(ROUTE), client.post("/"), client.get("/docs"), client.put(ROUTE)]
    refused += [client.post(ROUTE + "/"), client.request("TRACE", ROUTE)]
    told = {(one.status_code, one.text, tuple(sorted(one.headers.items()))) for one in refused}
    assert len(told) == 1
    assert refused[0].status_code == 403
    assert refused[0].json() == {"detail": REFUSAL}
    assert setting.waiting() == ["east"]
    assert len(setting.refused()) == 7  # and the server's record tells them apart


def test_a_record_that_fails_refuses_alike_and_is_logged(
    setting: Setting, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    body = setting.signed(an_agent(), setting.token()).write()
    setting.store.path.write_bytes(b"damaged" * 1000)
    answer = client.post(ROUTE, content=body)
    assert (answer.status_code, answer.json()) == (403, {"detail": REFUSAL})
    assert "file is not a database" in caplog.text


def test_what_was_not_foreseen_refuses_alike_and_logs_no_text(
    setting: Setting, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Intake):
        def take(self, body: bytes) -> Outcome:
            raise KeyError(body.decode())

    app = make_app(Broken(setting.store, lambda: setting.now), RateLimit(0, 10))
    with TestClient(app) as broken:
        answer = broken.post(ROUTE, content=b"what was sent")
    assert (answer.status_code, answer.json()) == (403, {"detail": REFUSAL})
    assert "KeyError" in caplog.text
    assert "what was sent" not in caplog.text


def test_too_many_requests_are_refused_alike_before_any_work(setting: Setting) -> None:
    body = setting.signed(an_agent(), setting.token()).write()
    with TestClient(make_app(setting.intake, RateLimit(0, 2))) as client:
        statuses = [client.post(ROUTE, content=b"x").status_code for _ in range(2)]
        late = client.post(ROUTE, content=body)
    assert statuses == [403, 403]
    assert (late.status_code, late.json()) == (403, {"detail": REFUSAL})
    assert setting.refused() == {"malformed": 2}
    assert setting.waiting() == []


def test_noise_cannot_fill_the_log(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    with TestClient(make_app(setting.intake, RateLimit(0, 0))) as client:
        for _ in range(20):
            client.post(ROUTE, content=b"x")
            client.get("/elsewhere")
    assert caplog.text.count("refused") == 1


@pytest.mark.parametrize("ends", [True, False])
def test_a_body_that_does_not_come_is_not_waited_for(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(service, "BODY_SECONDS", 0.1)
    app = make_app(setting.intake, RateLimit(0, 10))
    sent: list[MutableMapping[str, Any]] = []
    pieces = [{"type": "http.request", "body": b"x" * 100, "more_body": True}]

    async def receive() -> MutableMapping[str, Any]:
        if pieces:
            return pieces.pop()
        if ends:
            return {"type": "http.disconnect"}
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": ROUTE, "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 403
    assert REFUSAL.encode() in sent[1]["body"]
    assert setting.refused() == {}


def test_permissions_come_back_steadily_and_do_not_pile_up() -> None:
    now = [0.0]
    rate = RateLimit(2, 3, lambda: now[0])
    assert [rate.allows() for _ in range(4)] == [True, True, True, False]
    now[0] = 0.5
    assert [rate.allows() for _ in range(2)] == [True, False]
    now[0] = 1e6
    assert [rate.allows() for _ in range(4)] == [True, True, True, False]


def test_the_log_says_what_happened_and_nothing_secret(
    setting: Setting, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    agent, token = an_agent(), setting.token()
    client.post(ROUTE, content=setting.signed(agent, token).write())
    client.post(ROUTE, content=setting.signed(an_agent(), token).write())
    assert "queued a request of region 'north'" in caplog.text
    assert "refused of region 'north': token-used-twice" in caplog.text
    for secret in (token.secret.hex(), token.verifier, token.text):
        assert secret not in caplog.text


def test_the_process_listens_on_loopback_and_ends_when_told(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "deployment.enrolment.service", str(tmp_path)]
    with subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE) as process:
        try:
            answer = _first_answer(port)
            listening = Path(f"/proc/{process.pid}/net/tcp").read_text()
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=20)
    assert answer == 403
    assert re.search(rf"0100007F:{port:04X} 00000000:0000 0A", listening)
    assert not re.search(rf"00000000:{port:04X} 00000000:0000 0A", listening)
    assert b"Traceback" not in errors


def test_a_record_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "enrolment.sqlite").write_bytes(b"damaged" * 1000)
    from deployment.enrolment.service import main

    with pytest.raises(StoreError, match="not a database"):
        main([str(tmp_path), "--port", "1"])


def _first_answer(port: int) -> int:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            return connection.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise TimeoutError
