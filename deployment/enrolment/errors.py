"""Errors of enrolment: what was found, what was not done, what to do."""

from __future__ import annotations

from deployment.errors import DeploymentError


class EnrolmentError(DeploymentError):
    """Something that keeps a region from being enrolled, approved or revoked."""


class TokenError(EnrolmentError):
    """An enrolment token that cannot be read or made."""


class StoreError(EnrolmentError):
    """The record of enrolments cannot be read or written."""


class UnreachableError(EnrolmentError):
    """The server's enrolment service cannot be reached, or is not the one it should be."""


class SuperlinkError(EnrolmentError):
    """Flower's SuperLink cannot be reached, or does not do what is leant on."""


class KnownRegionsWriteError(EnrolmentError):
    """The record of known regions cannot be written; the one from before stands."""
