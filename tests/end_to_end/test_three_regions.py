"""Ten commands, three regions over TLS: clusters, lists, ledgers that audit clean, nothing left."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from tests.end_to_end.three_regions import REGIONS, Deployment, three_regions

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("three")
    with three_regions(folder) as found:
        yield found


def test_ten_commands_are_enough(made: Deployment) -> None:
    assert len(made.typed) <= 10


def test_every_region_answered_every_question(made: Deployment) -> None:
    report = made.report()
    assert report.run.n_clients == len(REGIONS)
    assert report.privacy.epsilon == 1.0
    assert report.privacy.noise == "discrete"
    assert report.privacy.refusals == []
    assert report.run.late_answers == 0


def test_each_region_recommends_by_the_map_that_was_pushed(made: Deployment) -> None:
    for region in REGIONS:
        assert (made.folder / region / "cluster-map.npz").exists()
    assert "New for you" in made.lists
    assert "Your usuals" in made.lists


def test_ledgers_audit_clean(made: Deployment) -> None:
    told = made.look("fedinterest", "audit", "server/runs/first", *REGIONS)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "SIMULATED" not in told.stdout


def test_secrets_are_in_no_log_and_nothing_is_left(made: Deployment) -> None:
    """Last in this file: it ends everything."""
    logs = [path for path in made.folder.rglob("*.log") if path.is_file()]
    assert len(logs) >= 3 + 2 * len(REGIONS)
    told = b"".join(path.read_bytes() for path in logs)
    secrets = made.secrets()
    assert len(secrets) >= 1 + 1 + 4 * len(REGIONS)
    for secret in secrets:
        assert secret not in told
    made.down()
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "environ"])
        if str(made.folder) in " ".join((process.info["environ"] or {}).values())
    ]
    assert left == []
