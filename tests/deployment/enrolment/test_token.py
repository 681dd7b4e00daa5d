from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployment.enrolment.errors import TokenError
from deployment.enrolment.token import Token, read_token
from privacy.signing import is_signed

SECRETS = st.binary(min_size=32, max_size=32)


@given(SECRETS)
def test_a_token_is_read_back_from_its_text(secret: bytes) -> None:
    assert Token.parse(f" {Token(secret).text}\n").secret == secret


@given(SECRETS, st.integers(18, 90), st.sampled_from("0123456789abcdef"))
def test_a_mistake_in_copying_is_told_without_the_text(secret: bytes, at: int, other: str) -> None:
    text = Token(secret).text
    changed = text[:at] + other + text[at + 1 :]
    if changed == text:
        return
    with pytest.raises(TokenError) as error:
        Token.parse(changed)
    assert secret.hex()[:12] not in str(error.value)


@given(SECRETS)
def test_neither_verifier_nor_repr_nor_proof_tell_the_secret(secret: bytes) -> None:
    token = Token(secret)
    said = f"{token!r} {token} {token.verifier} {token.sign(b'message')}"
    assert secret.hex() not in said
    assert not any(secret.hex()[i : i + 16] in said for i in range(0, 48))


def test_proofs_hold_for_one_message_and_one_token() -> None:
    token, other = Token.create(), Token.create()
    assert is_signed(b"a request", token.sign(b"a request"), token.verifier)
    assert not is_signed(b"another one", token.sign(b"a request"), token.verifier)
    assert not is_signed(b"a request", other.sign(b"a request"), token.verifier)


def test_tokens_have_256_bits_of_their_own() -> None:
    made = {Token.create().secret for _ in range(50)}
    assert len(made) == 50
    assert {len(secret) for secret in made} == {32}


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(Token.create().text)
    path.chmod(0o640)
    with pytest.raises(TokenError, match=re.escape(f"chmod 600 {path}")):
        read_token(path)
    path.chmod(0o600)
    assert len(read_token(path).secret) == 32


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"fedinterest-token-", b"x" * 10**6])
def test_a_file_without_a_token_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(TokenError, match="This is no enrolment token"):
        read_token(path)


def test_a_missing_token_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="cannot be read"):
        read_token(tmp_path / "nothing")
