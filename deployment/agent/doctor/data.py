"""What the region answers from: its events, the public catalogue, and the language model.

Counts are exact and the operator's own: they are shown here, and never leave this machine. Words
of errors that could repeat a row are not shown.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from client.errors import CatalogueError, EncoderError, EventsError
from client.settings import AgentSettings
from deployment.agent.doctor.finding import Finding, not_checked, warning, well, wrong
from deployment.agent.doctor.patient import Patient
from deployment.agent.layout import count_rows

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""A region must not depend on the hub; the doctor asks nobody but the server."""
OPEN_TO_OTHERS = stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH
HALF = 0.5
LONGEST_WORDS = 300


def look_at_data(patient: Patient) -> Iterator[Finding]:
    """Look at events, catalogue and model."""
    settings = patient.settings
    yield events_mode(settings.events)
    yield rows(settings)
    yield model(patient)


def events_mode(path: Path) -> Finding:
    """Look who can read the events."""
    name = "events-file"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return wrong(
            name,
            f"Events {path} cannot be read ({error.strerror}).",
            "Look at `events` in agent.toml, and who may read the file.",
        )
    if not os.access(path, os.R_OK):
        return wrong(name, f"Events {path} cannot be read by this user.", "Set its owner right.")
    if mode & OPEN_TO_OTHERS and not _is_kept_in(path):
        return warning(
            name,
            f"Events {path} are open to others on this machine (mode {mode:04o}).",
            f"chmod 600 {path}, or let the folder keep others out.",
        )
    return well(name, f"Events {path} are this user's alone.")


def _is_kept_in(path: Path) -> bool:
    """Tell whether a folder above the file lets nobody else through."""
    others = stat.S_IXGRP | stat.S_IXOTH
    return any(not folder.stat().st_mode & others for folder in path.resolve().parents)


def rows(settings: AgentSettings) -> Finding:
    """Count what of the events can be used, as `agent init` does."""
    name = "events"
    try:
        counted = count_rows(settings)
    except CatalogueError as error:  # public
        return wrong("catalogue", str(error), "Look at `catalogue` in agent.toml.")
    except EventsError as error:
        # What follows the first sentence may be a parser's, with what it stumbled over.
        told = str(error).partition(" (")[0][:LONGEST_WORDS]
        return wrong(
            name,
            f"{told}.",
            "They need the columns user_id, item_id, action and timestamp with a time zone.",
        )
    found = f"{counted.used} events can be used, {counted.rejected} cannot; {counted.items} items"
    remedy = f"{settings.rejected_events} tells why, once the agent has read them."
    if not counted.used:
        return wrong(name, f"{found}.", remedy)
    if counted.rejected > HALF * (counted.used + counted.rejected):
        return warning(name, f"{found}: most are lost.", remedy)
    return well(name, f"{found}.")


def model(patient: Patient) -> Finding:
    """Load the language model without the network, and compare it with what is pinned."""
    name, settings = "model", patient.settings
    for key, value in OFFLINE.items():
        os.environ.setdefault(key, value)
    from client.encoder import Encoder

    try:
        encoder = Encoder(settings.encoder, settings.pooling)
        encoder.encode(["one text"])
        fingerprint = encoder.fingerprint
    except EncoderError as error:
        return wrong(
            name, str(error), "Set encoder to a folder on this machine that holds the model."
        )
    found = f"{settings.encoder} loads offline; its fingerprint is {fingerprint}"
    if patient.policy is None:
        return not_checked(name, f"{found}. What the policy pins cannot be read.")
    pinned = patient.policy.trusted.encoders
    if pinned and fingerprint not in pinned:
        return wrong(
            name,
            f"{found}; the policy pins {', '.join(sorted(pinned))}.",
            "Use the model that runs use, or pin this one once you have checked it.",
        )
    return well(name, f"{found}{', as pinned' if pinned else ''}.")
