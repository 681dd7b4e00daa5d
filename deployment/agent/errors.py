"""Errors of an agent's processes: what was found, what was not done, what to do."""

from deployment.errors import DeploymentError


class AgentError(DeploymentError):
    """Something that keeps this agent from running."""


class ApprovalsError(AgentError):
    """An approvals file that cannot be relied on: nothing is approved then."""


class BundleError(AgentError):
    """A bundle that is not what Flower builds, or that tries to be something else."""


class FlowerDriftError(AgentError):
    """Flower's insides differ from those that the pinning was written for."""


class ResponseTooLargeError(AgentError):
    """A server's response that is larger than an honest one can be."""


class LostAnswerError(AgentError):
    """An answer that will never come, because whoever worked on it is gone."""
