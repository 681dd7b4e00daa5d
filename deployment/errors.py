"""Errors of a deployment: what was found, what was not done, what to do."""


class DeploymentError(Exception):
    """Something that keeps a server's host or an agent from working."""


class SecretFileError(DeploymentError):
    """A secret that cannot be kept, or that others than its owner can read."""


class PortError(DeploymentError):
    """A port that nothing answers at, or that is taken."""


class SupervisionError(DeploymentError):
    """Processes that cannot be started, looked at or ended."""


class HostError(DeploymentError):
    """A server's host that cannot be set up or started."""


class CertificateError(HostError):
    """A certificate that is missing, over, or for other names."""


class SuperlinkAwayError(HostError):
    """A server's SuperLink that does not answer now; one that was killed comes back."""


class NodeKeyError(DeploymentError):
    """A node's key that cannot be used."""
