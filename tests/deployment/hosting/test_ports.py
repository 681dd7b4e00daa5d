from __future__ import annotations

import socket

import pytest

from deployment.errors import PortError
from deployment.hosting.ports import free_port, free_ports, is_listening, wait_until_listening


def nothing_wrong() -> None:
    return None


def test_waiting_ends_at_the_deadline_with_who_was_missing() -> None:
    port = free_port()
    with pytest.raises(PortError, match=f"The SuperLink did not listen at 127.0.0.1:{port} within"):
        wait_until_listening(port, "The SuperLink", 0.3, nothing_wrong)


def test_waiting_ends_at_once_when_nobody_will_come() -> None:
    with pytest.raises(PortError, match="it ended"):
        wait_until_listening(free_port(), "nginx", 60.0, lambda: "it ended")


def test_a_listener_is_seen_and_its_end_too() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        wait_until_listening(port, "The listener", 0.0, nothing_wrong)
        assert is_listening(port)
    assert not is_listening(port)


def test_free_ports_differ() -> None:
    assert len(set(free_ports(200))) == 200
