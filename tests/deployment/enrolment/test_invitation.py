from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from deployment.enrolment.errors import TokenError
from deployment.enrolment.invitation import Invitation, read_invitation
from deployment.enrolment.token import Token
from deployment.server.certificates import make_certificates, now


@pytest.fixture
def made(tmp_path: Path) -> Invitation:
    (tmp_path / "certificates").mkdir(mode=0o700)
    make_certificates(tmp_path / "certificates", ("fed.example.org",), now())
    return Invitation(
        region="north",
        server="fed.example.org:8443",
        server_key="ab" * 32,
        authority=(tmp_path / "certificates" / "ca.crt").read_text(),
        token=Token.create(),
    )


def kept(folder: Path, content: bytes) -> Path:
    path = folder / "north.invitation"
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def test_invitation_is_read_as_it_was_written(tmp_path: Path, made: Invitation) -> None:
    assert read_invitation(kept(tmp_path, made.write())) == made


def test_token_is_not_in_what_a_log_may_show(made: Invitation) -> None:
    assert made.token.secret.hex() not in repr(made)


def test_invitation_that_others_can_read_is_refused(tmp_path: Path, made: Invitation) -> None:
    path = kept(tmp_path, made.write())
    path.chmod(0o640)
    with pytest.raises(TokenError, match=r"can be read by others.*chmod 600"):
        read_invitation(path)


def test_invitation_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="No such file"):
        read_invitation(tmp_path / "north.invitation")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"server": "fed.example.org"}, "server"),
        ({"server": "user@fed.example.org:1"}, "server"),
        ({"server-key": "ab"}, "server-key"),
        ({"authority": "no certificate"}, "no certificate of an authority"),
        ({"authority": None}, "authority"),
        ({"more": 1}, "more"),
        ({"token": "fedinterest-token-12"}, "no enrolment token"),
        ({"region": ""}, "region"),
    ],
)
def test_what_is_wrong_is_told_without_the_token(
    tmp_path: Path, made: Invitation, change: dict[str, object], told: str
) -> None:
    content = {
        "region": made.region,
        "server": made.server,
        "server-key": made.server_key,
        "authority": made.authority,
        "token": made.token.text,
    } | change
    plain = {key: value for key, value in content.items() if value is not None}
    with pytest.raises(TokenError) as caught:
        read_invitation(kept(tmp_path, tomli_w.dumps(plain).encode()))
    assert told in str(caught.value)
    assert "Nothing was sent" in str(caught.value)
    assert made.token.secret.hex() not in str(caught.value)
