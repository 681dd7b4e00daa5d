"""What nobody foresaw ends a command with a traceback: the token that it held is not in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deployment.enrolment.token import Token
from tests.deployment.enrolment.command_line import point_at, write_agent, write_token

BREAKS_OFF = """
import sys
import deployment.enrolment.enrolling as enrolling

def break_off(agent, token, **arguments):
    text = token.text
    raise RuntimeError("nobody foresaw this") if text else None

enrolling.enroll = break_off
import fedinterest
fedinterest.main()
"""


def test_a_command_that_breaks_off_shows_no_token(tmp_path: Path) -> None:
    token = Token.create()
    settings = write_agent(tmp_path)
    (tmp_path / "ca.crt").touch()
    point_at(settings, "localhost:1", tmp_path / "ca.crt")
    token_file = write_token(tmp_path, token.text)
    arguments = ["agent", "enroll", "--settings", str(settings), "--token-file", str(token_file)]
    done = subprocess.run(
        [sys.executable, "-c", BREAKS_OFF, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "RuntimeError: nobody foresaw this" in said  # it came so far
    for form in (token.text, token.secret.hex(), repr(token.secret)):
        assert form not in said
