"""Why a reply is no answer, in words for the server's operator.

A region's own words never come with an error: they could tell of data. What comes is a code of
Flower's and the name of an error's type, which anybody can make up; unknown ones are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from flwr.app import Error
from flwr.common.constant import ErrorCode

UNREADABLE_REQUEST = "UnreadableRequestError"
"""Type of the error of a client that cannot read a request."""
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class ReplyFault:
    """Why there is no answer.

    Attributes
    ----------
    reason : str
        Machine-readable, kebab-case.
    sentence : str
        The same for people.
    """

    reason: str
    sentence: str


UNREADABLE_ANSWER = ReplyFault(
    "answer-unreadable",
    "sent an answer that this program cannot read: it runs another version of it. Have one "
    "release installed at the server and at all regions.",
)
_BY_CODE = {
    ErrorCode.INVALID_FAB: ReplyFault(
        "bundle-not-approved",
        "does not approve of this run's bundle: its operator has to look at it and approve it "
        "(`fedinterest agent approve BUNDLE.fab`).",
    ),
    ErrorCode.NODE_UNAVAILABLE: ReplyFault(
        "not-connected", "was gone before it answered; its operator looks at `agent status`."
    ),
    ErrorCode.MESSAGE_UNAVAILABLE: ReplyFault("not-in-time", "did not take the question in time."),
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE: ReplyFault("not-in-time", "did not answer in time."),
    ErrorCode.CLIENT_APP_CRASHED: ReplyFault(
        "program-ended", "lost its program in the middle of the answer; its log says why."
    ),
}


def fault_of(error: Error) -> ReplyFault:
    """Return what an error in place of an answer means."""
    told = str(error.reason or "")
    if UNREADABLE_REQUEST in told:
        return ReplyFault(
            "request-unreadable",
            "cannot read this server's request: it runs another version of this program, of which "
            "the server asks what it does not know. Have one release installed at the server and "
            "at all regions; nothing was charged.",
        )
    if known := _BY_CODE.get(error.code):
        return known
    name = told if told.isidentifier() and len(told) <= LONGEST_NAME else "an error"
    return ReplyFault("client-failed", f"failed with {name}; its own log says why.")
