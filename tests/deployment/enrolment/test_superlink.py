from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deployment.enrolment import superlink
from deployment.enrolment.errors import SuperlinkError
from deployment.enrolment.superlink import check_flower, reach
from tests.deployment.enrolment.certificates import Authority


def test_the_installed_flower_is_the_one_that_is_leant_on() -> None:
    check_flower()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superlink, "version", lambda name: "1.42.0")
    with (
        pytest.raises(SuperlinkError, match=r"Flower 1\.42\.0 .*\(1\.41\.x\): its version"),
        reach("127.0.0.1:1", None),
    ):
        pytest.fail("was reached")


def test_changed_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def register(request: object) -> object:
        return request

    changed = ((register, "/v1/control/register-node"), *superlink._FRAGMENTS[1:])
    monkeypatch.setattr(superlink, "_FRAGMENTS", changed)
    with pytest.raises(SuperlinkError, match=r"register differ\. No node was registered"):
        check_flower()


def test_changed_parameters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed:
        @classmethod
        def from_server_address(cls, address: str) -> Changed:
            raise NotImplementedError

    monkeypatch.setattr(superlink, "ControlHttpClient", Changed)
    with pytest.raises(SuperlinkError, match=r"ControlHttpClient\.from_server_address differ"):
        check_flower()


@pytest.mark.parametrize("address", ["10.0.0.1:9443", "example.org:9443", "[2001:db8::1]:1", "x"])
def test_in_the_clear_only_this_machine_is_called(address: str) -> None:
    with pytest.raises(SuperlinkError, match="It was not called"), reach(address, None):
        pytest.fail("was reached")


def test_nobody_there_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        reach(f"127.0.0.1:{port}", None) as control,
        pytest.raises(SuperlinkError, match="Look whether it runs"),
    ):
        control.nodes()


@pytest.mark.parametrize("content", [None, b"no certificate", b"\xff"])
def test_an_unusable_authority_is_told(tmp_path: Path, content: bytes | None) -> None:
    ca = tmp_path / "ca.crt"
    if content is not None:
        ca.write_bytes(content)
    with pytest.raises(SuperlinkError, match="cannot be used"), reach("127.0.0.1:1", ca):
        pytest.fail("was reached")


def test_a_good_authority_is_taken(tmp_path: Path) -> None:
    with reach("example.org:1", Authority(tmp_path).file):
        pass
