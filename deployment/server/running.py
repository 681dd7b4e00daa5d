"""Start a run on a server's SuperLink, and follow it to its end.

bundle, run configuration  ->  SuperLink (Control, on loopback)  ->  ServerApp  ->  log, end

The bundle that is submitted is the file that regions have approved, byte for byte.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flwr.common.config import get_fab_config
from flwr.common.serde import user_config_to_proto
from flwr.proto.control_pb2 import ListRunsRequest, StartRunRequest, StreamLogsRequest
from flwr.proto.fab_pb2 import Fab
from flwr.supercore.control import ControlHttpClient

from deployment.errors import HostError, SuperlinkAwayError
from deployment.server.control import control_api
from deployment.server.settings import ServerSettings

Value = bool | int | float | str
_FINISHED = "finished"
_POLL_SECONDS = 0.5
_GONE_SECONDS = 120.0
"""A SuperLink that was killed is started again within this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended, in Flower's words.

    Attributes
    ----------
    how : str
        ``completed``, ``failed`` or ``stopped``.
    details : str
        Why; may be empty.
    """

    how: str
    details: str

    @property
    def is_completed(self) -> bool:
        """Whether it came to its end."""
        return self.how == "completed"


def read_bundle(path: Path) -> bytes:
    """Read a bundle that is to be run here.

    Raises
    ------
    HostError
        If it cannot be read, or is no bundle of an app with a ServerApp.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HostError(
            f"Bundle {path} cannot be read ({error.strerror}). Nothing was started."
        ) from error
    try:
        components = get_fab_config(content)["tool"]["flwr"]["app"]["components"]
        is_app = {"serverapp", "clientapp"} <= set(components)
    except Exception as error:  # Flower raises what it happens to meet in a broken file
        raise HostError(
            f"{path} is no bundle ({type(error).__name__}). Nothing was started. "
            "`flwr build --app FOLDER` makes one."
        ) from error
    if not is_app:
        raise HostError(f"{path} has no ServerApp and ClientApp. Nothing was started.")
    return content


def start_run(settings: ServerSettings, bundle: bytes, config: Mapping[str, Value]) -> int:
    """Submit a run; return its number.

    Parameters
    ----------
    bundle : bytes
        What `flwr build` has made; regions let it in by its SHA-256.
    config : mapping
        Flower's run configuration: dotted keys.

    Raises
    ------
    HostError
        If the SuperLink cannot be reached, or does not take it.
    """
    request = StartRunRequest(
        fab=Fab(hash_str=hashlib.sha256(bundle).hexdigest(), content=bundle),
        override_config=user_config_to_proto(dict(config)),
    )
    with control_api(settings, "No run was started") as control:
        answer = control.StartRun(request)
    if not answer.HasField("run_id"):
        raise HostError(f"The SuperLink started no run: {answer.note or 'it does not say why'}.")
    return int(answer.run_id)


def follow(settings: ServerSettings, run: int, show: Callable[[str], None]) -> RunEnd:
    """Pass on a run's log until it ends; a SuperLink that comes back within minutes is waited for.

    Raises
    ------
    HostError
        If the SuperLink stays away, or does not know the run.
    """
    last, gone_since = 0.0, None
    while True:
        try:
            with control_api(settings, "The run was lost sight of") as control:
                gone_since = None
                for part in control.StreamLogs(StreamLogsRequest(run_id=run, after_timestamp=last)):
                    last = max(last, part.latest_timestamp)
                    for line in part.log_output.splitlines():
                        show(line)
                end = _end(control, run)
        except SuperlinkAwayError:
            gone_since = gone_since or time.monotonic()
            if time.monotonic() - gone_since > _GONE_SECONDS:
                raise
            end = None
        if end is not None:
            return end
        time.sleep(_POLL_SECONDS)


def _end(control: ControlHttpClient, run: int) -> RunEnd | None:
    found = control.ListRuns(ListRunsRequest(run_id=run)).run_dict
    if run not in found:
        raise HostError(f"The SuperLink does not know run {run}: its database is another one.")
    status = found[run].status
    if status.status != _FINISHED:
        return None
    return RunEnd(how=status.sub_status, details=status.details)
