from __future__ import annotations

from importlib import import_module

import pytest

from deployment.errors import HostError
from deployment.server import flower_check


def test_the_flower_that_is_installed_is_the_one_wanted() -> None:
    flower_check.check_flower()


def test_another_version_is_refused_and_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower_check, "version", lambda name: "1.42.0")
    with pytest.raises(HostError, match=r"Flower 1\.42\.0 .*\(1\.41\.x\).*Nothing was started"):
        flower_check.check_flower()


def test_a_new_fleet_route_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    router = import_module("flwr.superlink.routers.fleet.router").router
    monkeypatch.setattr(router, "routes", router.routes[1:])
    with pytest.raises(HostError, match="its Fleet routes are"):
        flower_check.check_flower()


def test_a_superlink_that_takes_its_address_otherwise_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    superlink = import_module("flwr.superlink.cli.flower_superlink")

    def _run_superlink_http_api() -> None:
        """Listen everywhere."""

    monkeypatch.setattr(superlink, "_run_superlink_http_api", _run_superlink_http_api)
    with pytest.raises(HostError, match="_run_superlink_http_api has no"):
        flower_check.check_flower()


def test_a_missing_interface_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    superlink = import_module("flwr.superlink.cli.flower_superlink")
    monkeypatch.delattr(superlink, "SuperLinkLifespan")
    with pytest.raises(HostError, match="SuperLinkLifespan"):
        flower_check.check_flower()
