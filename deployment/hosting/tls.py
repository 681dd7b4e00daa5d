"""A connection by TLS that believes one authority alone, and what kept it from being made.

The standard library's client says exactly what is wrong with a certificate.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

# Of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
_IN_THE_CLEAR = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


@dataclass(frozen=True)
class Fault:
    """Why there is no connection, and what to do."""

    what: str
    remedy: str


def trusting(ca: Path) -> ssl.SSLContext:
    """Return a context that believes the authority in ``ca`` alone; may raise OSError."""
    context = ssl.create_default_context(cafile=str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def fault_of(server: str, host: str, ca: Path, error: Exception) -> Fault:
    """Say what kept a connection from being made.

    Parameters
    ----------
    server : str
        ``host:port``.
    host : str
        The name that its certificate has to be for.
    ca : Path
    error : OSError or UnicodeError
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_fault(server, host, ca, error)
    if isinstance(error, ssl.SSLError):
        clear = " (it seems to answer without TLS)" if error.reason in _IN_THE_CLEAR else ""
        return Fault(
            f"{server} does not speak TLS as it should ({reason_of(error)}){clear}",
            "Look whether the port is the server's public one.",
        )
    return Fault(
        f"{server} cannot be reached ({reason_of(error)})",
        "Look at the address and at the network's rules.",
    )


def _certificate_fault(
    server: str, host: str, ca: Path, error: ssl.SSLCertVerificationError
) -> Fault:
    match error.verify_code:
        case code if code == _EXPIRED:
            what = f"The certificate of {server} has expired"
            remedy = "The server's operator has to renew it; look at this machine's date, too."
        case code if code == _NOT_YET_VALID:
            what = f"The certificate of {server} is not valid yet"
            remedy = "Look at this machine's date."
        case code if code in (_OTHER_NAME, _OTHER_ADDRESS):
            what = f"The certificate of {server} is for another name than {host!r}"
            remedy = "Use the name that the server's operator gave you."
        case _:
            what = f"The certificate of {server} is not one of the authority in {ca}"
            remedy = (
                "Either the file is another server's, or somebody stands in between: "
                "ask the server's operator."
            )
    return Fault(f"{what} ({error.verify_message})", remedy)


def reason_of(error: Exception) -> str:
    """Return an error's reason in a few words."""
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
