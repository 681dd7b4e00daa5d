"""The configuration of a deployed run: an operator's file, and what the server itself knows.

run.toml, --set  ->  checked  ->  + folder of the results, signing key, known regions, store
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deployment.errors import HostError
from deployment.server.settings import ServerSettings
from privacy.configuration import read_toml
from server.run_config import ConfigError, RunConfig, parse_config, parse_override

RUNS = "runs"
"""Folder of the results, in the server's."""


def read_run(
    path: Path, settings: ServerSettings, n_regions: int, overrides: Sequence[str] = ()
) -> RunConfig:
    """Read what a run is to do.

    Parameters
    ----------
    path : Path
        Sections ``[run]``, ``[clustering]``, ``[recommendation]``, ``[privacy]`` and
        ``[public]``; relative paths start at its folder.
    n_regions : int
        Regions that may connect: waited for, unless the file says another number.
    overrides : sequence of str
        ``section.key=value``.

    Raises
    ------
    ConfigError
        If it cannot be read, a key is unknown or a value out of range.
    HostError
        If it names a signing key, known regions or a store of its own, or nobody is enrolled.
    """
    content = read_toml(path, "Run", ConfigError, "Nothing was started.")
    for override in overrides:
        section, key, value = parse_override(override)
        content.setdefault(section, {})[key] = value
    checked = parse_config(content, str(path))
    for key in ("signing-key", "known-regions", "store"):
        if key in content.get("run", {}):
            raise HostError(
                f"{path} names run.{key}. Nothing was started. A deployed run takes the server's "
                "own: leave it out."
            )
    if not n_regions:
        raise HostError(
            "No region is enrolled. Nothing was started. `fedinterest server invite REGION` "
            "begins that."
        )
    given = content.get("run", {})
    folder = path.resolve().parent
    out = folder / checked.run.out if checked.run.out else settings.folder / RUNS / checked.run.name
    run = checked.run.model_copy(
        update={
            "out": str(out.resolve()),
            "signing_key": str(settings.signing_key),
            "known_regions": str(settings.known_regions),
            "store": settings.store,
            "n_clients": given.get("n-clients", n_regions),
        }
    )
    public = checked.public
    if public.catalogue:
        public = public.model_copy(update={"catalogue": str(folder / public.catalogue)})
    # Checked once more: more answers may be asked for than there are regions.
    whole = checked.model_copy(update={"run": run, "public": public})
    return parse_config(whole.model_dump(by_alias=True, mode="json"), str(path))
