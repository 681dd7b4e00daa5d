"""Errors of the dashboard: for its operator at the command line, and for a visitor's page."""

from __future__ import annotations


class DashboardError(Exception):
    """Something that keeps the dashboard from being started or changed; nothing was done."""


class VisitError(Exception):
    """A request that is refused in words: shown as a page, or as JSON to programs.

    Attributes
    ----------
    status : int
        HTTP status.
    reason : str
        Key of the texts ``error.REASON.title``, ``.text`` and ``.advice``.
    headers : dict of str to str
        Sent with the answer.
    detail : str
        What exactly is wrong, in English; told to nobody but who is let in.
    """

    def __init__(
        self, status: int, reason: str, headers: dict[str, str] | None = None, detail: str = ""
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}
        self.detail = detail


class StoreAwayError(Exception):
    """The run store does not answer now; its text says why, to the log and to who is let in."""
