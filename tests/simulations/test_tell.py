"""What a terminal shows of a run."""

from __future__ import annotations

import logging

import pytest

from simulations.tell import only_progress

LOG = logging.getLogger("flwr")


class Kept(logging.Handler):
    """Keeps the messages that a logger lets through."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_a_runs_progress_is_shown_and_flowers_own_lines_are_not(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flwr")
    shown = [
        "[ROUND 1/10]",
        "Run sample-1 goes on; it began 2026-01-01",
        "\t├──> done, and not asked again: mean",
        "run.checkpoint cannot be written (No space left on device). The run goes on.",
    ]
    LOG.addHandler(kept)
    try:
        with only_progress():
            for message in [*shown, "Aggregated ClientApp-side Train Metrics:"]:
                LOG.info(message)
    finally:
        LOG.removeHandler(kept)
    assert kept.messages == shown


def test_afterwards_everything_is_shown_again_also_after_an_error() -> None:
    filters, propagate = list(LOG.filters), LOG.propagate
    with pytest.raises(RuntimeError), only_progress():
        raise RuntimeError
    assert LOG.filters == filters
    assert LOG.propagate == propagate
