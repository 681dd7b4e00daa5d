"""Submitting and following; with a SuperLink in memory, the real one is in ``end_to_end``."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tomli_w
from flwr.cli.build import build_fab_from_disk
from flwr.proto.control_pb2 import (
    ListRunsRequest,
    ListRunsResponse,
    StartRunRequest,
    StartRunResponse,
    StreamLogsRequest,
    StreamLogsResponse,
)
from flwr.proto.run_pb2 import Run, RunStatus
from flwr.supercore.control import ControlHttpClient

from deployment.errors import HostError, SuperlinkAwayError
from deployment.server import running
from deployment.server.running import follow, read_bundle, start_run
from deployment.server.settings import ServerSettings, read_server_settings

RUN = 17


class FakeControl:
    """Starts one run, and tells its log in the parts that it is given."""

    def __init__(self) -> None:
        self.started: list[StartRunRequest] = []
        self.parts: list[list[StreamLogsResponse] | httpx.HTTPError] = []
        self.asked: list[float] = []
        self.how = "completed"

    def StartRun(self, request: StartRunRequest) -> StartRunResponse:  # noqa: N802
        self.started.append(request)
        return StartRunResponse(run_id=RUN) if self.how else StartRunResponse(note="no")

    def StreamLogs(self, request: StreamLogsRequest) -> Iterator[StreamLogsResponse]:  # noqa: N802
        self.asked.append(request.after_timestamp)
        part = self.parts.pop(0)
        if isinstance(part, httpx.HTTPError):
            raise part
        yield from part

    def ListRuns(self, request: ListRunsRequest) -> ListRunsResponse:  # noqa: N802
        done = RunStatus(status="finished", sub_status=self.how, details="why")
        status = RunStatus(status="running") if self.parts else done
        return ListRunsResponse(run_dict={RUN: Run(run_id=RUN, status=status)})

    def close(self) -> None:
        pass


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> FakeControl:
    fake = FakeControl()
    monkeypatch.setattr(ControlHttpClient, "from_server_address", lambda *_, **__: fake)
    monkeypatch.setattr(running, "_POLL_SECONDS", 0.0)
    return fake


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    (tmp_path / "server.toml").write_text('hosts = ["fed.example.org"]\n')
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "ca.crt").write_bytes(b"certificate")
    return read_server_settings(tmp_path)


def part(text: str, moment: float) -> StreamLogsResponse:
    return StreamLogsResponse(log_output=text, latest_timestamp=moment)


def test_the_bundle_goes_as_it_is_with_its_own_hash(
    control: FakeControl, settings: ServerSettings
) -> None:
    assert start_run(settings, b"bundle", {"run.name": "weekly", "clustering.k": 6}) == RUN
    (sent,) = control.started
    assert sent.fab.content == b"bundle"
    assert sent.fab.hash_str == hashlib.sha256(b"bundle").hexdigest()
    assert sent.override_config["clustering.k"].sint64 == 6


def test_superlink_that_starts_nothing_is_told(
    control: FakeControl, settings: ServerSettings
) -> None:
    control.how = ""
    with pytest.raises(HostError, match="started no run: no"):
        start_run(settings, b"bundle", {})


def test_log_is_told_once_over_a_superlink_that_was_killed(
    control: FakeControl, settings: ServerSettings
) -> None:
    control.parts = [
        [part("one\ntwo\n", 1.0)],
        httpx.ConnectError("killed"),
        [part("three\n", 2.0)],
    ]
    lines: list[str] = []
    end = follow(settings, RUN, lines.append)
    assert lines == ["one", "two", "three"]
    assert control.asked == [0.0, 1.0, 1.0]
    assert end.is_completed


def test_run_that_failed_is_told_with_its_cause(
    control: FakeControl, settings: ServerSettings
) -> None:
    control.how, control.parts = "failed", [[part("one\n", 1.0)]]
    end = follow(settings, RUN, lambda line: None)
    assert (end.how, end.details, end.is_completed) == ("failed", "why", False)


def test_superlink_that_stays_away_is_told(
    control: FakeControl, settings: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_GONE_SECONDS", -1.0)
    control.parts = [httpx.ConnectError("gone")]
    with pytest.raises(HostError, match=r"lost sight of.*server status"):
        follow(settings, RUN, lambda line: None)


def test_run_that_the_superlink_has_forgotten_is_told(
    control: FakeControl, settings: ServerSettings
) -> None:
    control.parts = [[]]
    with pytest.raises(HostError, match="does not know run 18"):
        follow(settings, 18, lambda line: None)


def test_superlink_that_refuses_is_not_waited_for(
    control: FakeControl, settings: ServerSettings
) -> None:
    """A run that it has forgotten, say. Flower closes such a stream before anybody has read it."""
    request = httpx.Request("POST", "https://127.0.0.1/v1/control/stream-logs")
    response = httpx.Response(404, request=request, stream=httpx.ByteStream(b"{}"))
    response.close()
    control.parts = [httpx.HTTPStatusError("404", request=request, response=response), []]
    with pytest.raises(HostError, match=r"refused: HTTP status 404.*lost sight of") as caught:
        follow(settings, RUN, lambda line: None)
    assert not isinstance(caught.value, SuperlinkAwayError)
    assert len(control.asked) == 1


def test_why_a_run_is_not_started_is_told_in_the_superlinks_words(
    control: FakeControl, settings: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = httpx.Request("POST", "https://127.0.0.1/v1/control/start-run")
    told = {"code": 1, "detail": "The bundle is not sound."}
    response = httpx.Response(400, request=request, json=told)

    def refuse(request: StartRunRequest) -> StartRunResponse:
        raise httpx.HTTPStatusError("400", request=response.request, response=response)

    monkeypatch.setattr(control, "StartRun", refuse)
    with pytest.raises(HostError, match=r"refused: The bundle is not sound\. No run was started"):
        start_run(settings, b"bundle", {})


def test_superlink_that_has_trouble_of_its_own_is_waited_for(
    control: FakeControl, settings: ServerSettings
) -> None:
    request = httpx.Request("POST", "https://127.0.0.1/v1/control/stream-logs")
    response = httpx.Response(503, request=request)
    control.parts = [httpx.HTTPStatusError("503", request=request, response=response), []]
    assert follow(settings, RUN, lambda line: None).is_completed
    assert len(control.asked) == 2


def test_bundle_is_checked_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "app.fab"
    with pytest.raises(HostError, match=r"cannot be read .*Nothing was started"):
        read_bundle(path)
    path.write_bytes(b"no archive")
    with pytest.raises(HostError, match=r"is no bundle .*Nothing was started"):
        read_bundle(path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("pyproject.toml", "[project]\n")
    path.write_bytes(packed.getvalue())
    with pytest.raises(HostError, match=r"is no bundle .*Nothing was started"):
        read_bundle(path)


def test_bundle_that_flower_has_built_is_read(tmp_path: Path) -> None:
    app = {"publisher": "t", "components": {"serverapp": "a:app", "clientapp": "b:app"}}
    project = {"name": "app", "version": "1.0.0", "license": "Apache-2.0"}
    (tmp_path / "pyproject.toml").write_text(
        tomli_w.dumps({"project": project, "tool": {"flwr": {"app": app}}})
    )
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("app = None\n")
    content = build_fab_from_disk(tmp_path)
    (tmp_path / "app.fab").write_bytes(content)
    assert read_bundle(tmp_path / "app.fab") == content
