"""What the server's host leans on in Flower, compared before anything is started.

nginx lets through the routes that a node of this version calls. That Control and
Runtime stay on loopback follows from how the SuperLink takes its address.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import version

from deployment.errors import HostError
from deployment.server.nginx import FLEET_ROUTES

WANTED = "1.41."
_REGISTRATION = {"register-node", "unregister-node"}
_FRAGMENTS = (
    # One port for all three interfaces, at the address that was asked for.
    ("_run_superlink_http_api", "host=lifespan_config.host,\n        port=lifespan_config.port"),
    ("_run_superlink_http_api", "ssl_certfile=lifespan_config.ssl_certfile"),
    # The older interfaces, which listen everywhere, are off unless the environment says 1.
    ("SuperLinkLifespan", 'os.getenv(FLWR_INTERNAL_GRPC_CONTROL_API) == "1"'),
    ("SuperLinkLifespan", 'os.getenv(FLWR_INTERNAL_GRPC_FLEET_API) == "1"'),
)


def check_flower() -> None:
    """Compare what is leant on with the Flower that is installed.

    Raises
    ------
    HostError
        If anything differs; it names the version found and the one wanted.
    """
    found = version("flwr")
    differences = [] if found.startswith(WANTED) else ["the version"]
    try:
        differences += _differences()
    except (ImportError, AttributeError, OSError) as error:
        differences.append(str(error))
    if differences:
        raise HostError(
            f"Flower {found} is not the one that this was written for ({WANTED}x): "
            f"{'; '.join(differences)}. Nothing was started. Install the versions of "
            "constraints.txt."
        )


def _differences() -> list[str]:
    differences = []
    router = import_module("flwr.superlink.routers.fleet.router").router
    routes = {route.path.removeprefix("/v1/fleet/") for route in router.routes}
    if routes != {*FLEET_ROUTES, *_REGISTRATION}:
        differences.append(f"its Fleet routes are {sorted(routes)}")
    superlink = import_module("flwr.superlink.cli.flower_superlink")
    for name, fragment in _FRAGMENTS:
        if fragment not in inspect.getsource(getattr(superlink, name)):
            differences.append(f"{name} has no {fragment!r}")
    return differences
