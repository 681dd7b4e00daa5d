"""Speaking with the SuperLink's Control API, which is reachable from this machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.error import FlowerError

from deployment.errors import HostError, SuperlinkAwayError
from deployment.server.settings import ServerSettings


@contextmanager
def control_api(settings: ServerSettings, otherwise: str) -> Iterator[ControlHttpClient]:
    """Connect to the Control API.

    Parameters
    ----------
    settings : ServerSettings
    otherwise : str
        What an error means for the caller, such as "No run was started".

    Raises
    ------
    SuperlinkAwayError
        If it does not answer; one that was killed comes back.
    HostError
        If it answers that it will not do what it was asked.
    """
    try:
        client = ControlHttpClient.from_server_address(
            settings.control,
            insecure=False,
            root_certificates=settings.ca_certificate.read_bytes(),
            interceptors=[],
        )
        try:
            yield client
        finally:
            client.close()
    except httpx.HTTPStatusError as error:
        if not error.response.is_client_error:
            raise _away(settings, error, otherwise) from error
        raise HostError(
            f"The SuperLink at {settings.control} refused: {_words(error.response)}. {otherwise}."
        ) from error
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise _away(settings, error, otherwise) from error


def _away(settings: ServerSettings, error: Exception, otherwise: str) -> SuperlinkAwayError:
    return SuperlinkAwayError(
        f"The SuperLink at {settings.control} cannot be spoken to ({type(error).__name__}). "
        f"{otherwise}. `fedinterest server status` tells how the server fares."
    )


def _words(response: httpx.Response) -> str:
    """Return what Flower says of a refusal; its HTTP status, if it says nothing."""
    try:
        told = FlowerError.from_json(response.text)
    except httpx.StreamError:  # Flower has closed a stream of which nothing was read
        told = None
    return told.message.rstrip(".") if told is not None else f"HTTP status {response.status_code}"
