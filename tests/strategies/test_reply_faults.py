"""What a server's operator reads of a reply that is no answer."""

from __future__ import annotations

import pytest
from flwr.app import Error
from flwr.common.constant import ErrorCode

from client.errors import UnreadableRequestError
from strategies.reply_faults import UNREADABLE_REQUEST, fault_of


def test_the_clients_error_has_the_name_that_the_server_knows() -> None:
    assert UnreadableRequestError.__name__ == UNREADABLE_REQUEST


@pytest.mark.parametrize(
    ("code", "told", "reason"),
    [
        (ErrorCode.INVALID_FAB, "The bundle is not approved here.", "bundle-not-approved"),
        (ErrorCode.CLIENT_APP_RAISED_EXCEPTION, UNREADABLE_REQUEST, "request-unreadable"),
        (ErrorCode.NODE_UNAVAILABLE, "", "not-connected"),
        (ErrorCode.REPLY_MESSAGE_UNAVAILABLE, None, "not-in-time"),
        (ErrorCode.CLIENT_APP_CRASHED, "", "program-ended"),
        (ErrorCode.UNKNOWN, "ValueError", "client-failed"),
        (99, "", "client-failed"),
    ],
)
def test_errors_have_a_reason_and_a_sentence(code: int, told: str | None, reason: str) -> None:
    fault = fault_of(Error(code, told))
    assert fault.reason == reason
    assert fault.sentence.endswith(".")


@pytest.mark.parametrize("told", ["anna bought milk", "\x1b[2J", "A" * 61, ""])
def test_words_that_are_no_types_name_are_not_shown(told: str) -> None:
    fault = fault_of(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, told))
    assert fault.sentence == "failed with an error; its own log says why."
