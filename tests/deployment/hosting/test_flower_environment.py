from __future__ import annotations

import os
import sys
from pathlib import Path

from deployment.hosting.flower_environment import flower_command, flower_environment


def test_nothing_phones_home_and_no_second_door_opens(tmp_path: Path) -> None:
    environment = flower_environment(tmp_path / "home")
    assert environment["FLWR_TELEMETRY_ENABLED"] == "0"
    assert environment["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert environment["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] == "1"
    assert environment["FLWR_INTERNAL_GRPC_CONTROL_API"] == "0"
    assert environment["FLWR_INTERNAL_GRPC_FLEET_API"] == "0"
    assert environment["FLWR_HOME"] == str(tmp_path / "home")


def test_flowers_commands_are_those_of_this_environment(tmp_path: Path) -> None:
    first = flower_environment(tmp_path)["PATH"].split(os.pathsep)[0]
    assert Path(first) == Path(sys.executable).parent
    assert os.access(flower_command("flower-superlink"), os.X_OK)
