"""The operator's list: what is on it, whose word counts, and when it approves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from deployment.agent.approvals import (
    Approvals,
    content_hash,
    read_approvals,
    sign_bundle,
    write_approvals,
)
from deployment.agent.errors import ApprovalsError
from deployment.agent.gate import ANOTHER_HASH, NO_APPROVALS, NOT_APPROVED, BundleGate
from deployment.agent.refusals import LARGEST_FILE, read_refusals, record_refusal, refused_now
from privacy.signing import SigningKey
from tests.deployment.agent.examples import a_bundle, an_approval, approvals_file

GOOD, EVIL = a_bundle(code="good"), a_bundle(code="evil")


def a_gate(folder: Path, *bundles: bytes) -> BundleGate:
    return BundleGate(
        approvals=approvals_file(folder, *bundles),
        refusals=folder / "refusals.jsonl",
        where="node",
    )


def admit(gate: BundleGate, content: bytes, claimed: str | None = None) -> str:
    return gate.admit(content, claimed=claimed or content_hash(content), run=7)


def test_bundle_on_the_list_is_let_in_and_no_other(tmp_path: Path) -> None:
    gate = a_gate(tmp_path, GOOD)
    assert admit(gate, GOOD) == ""
    assert admit(gate, EVIL) == NOT_APPROVED
    assert (gate.approves(GOOD), gate.approves(EVIL)) == (True, False)


def test_hash_that_the_server_claims_lets_nothing_in(tmp_path: Path) -> None:
    gate = a_gate(tmp_path, GOOD)
    assert admit(gate, EVIL, claimed=content_hash(GOOD)) == ANOTHER_HASH
    assert admit(gate, GOOD, claimed=content_hash(EVIL)) == ANOTHER_HASH
    assert admit(gate, GOOD, claimed=content_hash(GOOD).upper()) == ANOTHER_HASH


def test_every_refusal_is_recorded_with_what_was_claimed_and_found(tmp_path: Path) -> None:
    gate = a_gate(tmp_path, GOOD)
    admit(gate, GOOD)
    admit(gate, EVIL, claimed="x" * 10_000)
    (refused,) = read_refusals(gate.refusals)
    assert (refused.run, refused.reason, refused.where) == ("7", ANOTHER_HASH, "node")
    assert (refused.found, refused.size) == (content_hash(EVIL), len(EVIL))
    assert refused.claimed == "x" * 128
    assert gate.refusals.stat().st_mode & 0o077 == 0


def test_refusal_that_cannot_be_recorded_stays_one(tmp_path: Path) -> None:
    gate = a_gate(tmp_path)
    gate.refusals.mkdir()
    assert admit(gate, EVIL) == NOT_APPROVED


def test_a_bundle_that_was_not_read_is_not_shown_as_what_the_server_claims() -> None:
    unread = refused_now(run=1, claimed="\x1b[2J", found="", size=0, reason="r", where="node")
    assert unread.shown_hash == "not read, so its hash is not known"
    read = refused_now(run=1, claimed="", found="ab" * 32, size=9, reason="r", where="node")
    assert read.shown_hash == "ab" * 8 + "..."


def test_refusals_do_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "refusals.jsonl"
    path.write_bytes(b"x" * LARGEST_FILE + b"\n")
    refused = refused_now(run=1, claimed="", found="", size=0, reason="r", where="node")
    record_refusal(path, refused)
    assert read_refusals(path) == [refused]
    assert (tmp_path / "refusals.jsonl.1").stat().st_size == LARGEST_FILE + 1


def test_torn_line_does_not_hide_the_others(tmp_path: Path) -> None:
    path = tmp_path / "refusals.jsonl"
    refused = refused_now(run=1, claimed="", found="", size=0, reason="r", where="node")
    record_refusal(path, refused)
    with path.open("ab") as file:
        file.write(b'{"time": "2026\n')
    record_refusal(path, refused)
    assert read_refusals(path) == [refused, refused]


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_list_that_others_can_write_approves_nothing(tmp_path: Path, mode: int) -> None:
    gate = a_gate(tmp_path, GOOD)
    gate.approvals.chmod(mode)
    assert admit(gate, GOOD) == NO_APPROVALS
    gate.approvals.chmod(0o600)
    assert admit(gate, GOOD) == ""


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) - 20],
        lambda text: text.replace("hash", "hsah"),
        lambda text: text + 'trust-everything = "yes"\n',
        lambda text: text.replace("size = ", "size = -"),
        lambda text: "\x00" + text,
    ],
)
def test_damaged_list_approves_nothing(tmp_path: Path, damage: object) -> None:
    gate = a_gate(tmp_path, GOOD)
    assert callable(damage)
    gate.approvals.write_text(damage(gate.approvals.read_text()))
    assert admit(gate, GOOD) == NO_APPROVALS


def test_list_that_is_missing_or_no_file_approves_nothing(tmp_path: Path) -> None:
    gate = a_gate(tmp_path, GOOD)
    gate.approvals.unlink()
    assert admit(gate, GOOD) == NO_APPROVALS
    gate.approvals.mkdir()
    assert admit(gate, GOOD) == NO_APPROVALS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_list_of_another_user_approves_nothing(tmp_path: Path) -> None:
    gate = a_gate(tmp_path, GOOD)
    os.chown(gate.approvals, 12345, 12345)
    with pytest.raises(ApprovalsError, match="belongs to user 12345"):
        read_approvals(gate.approvals)


def test_list_is_read_anew_for_each_bundle(tmp_path: Path) -> None:
    gate = a_gate(tmp_path)
    assert admit(gate, GOOD) == NOT_APPROVED
    approvals_file(tmp_path, GOOD)
    assert admit(gate, GOOD) == ""
    approvals_file(tmp_path)
    assert admit(gate, GOOD) == NOT_APPROVED


def test_word_of_a_pinned_key_counts_until_the_key_is_unpinned(tmp_path: Path) -> None:
    key = SigningKey.create(tmp_path / "release.key")
    signed = an_approval(
        GOOD, release_key=key.public, signature=sign_bundle(content_hash(GOOD), key)
    )
    path = tmp_path / "approvals.toml"
    write_approvals(path, Approvals(release_keys=(key.public,), approved=(signed,)))
    assert read_approvals(path).allow(content_hash(GOOD))
    write_approvals(path, Approvals(approved=(signed,)))
    assert not read_approvals(path).allow(content_hash(GOOD))
    assert read_approvals(path).latest is None


def test_signature_of_another_bundle_is_none(tmp_path: Path) -> None:
    key = SigningKey.create(tmp_path / "release.key")
    with pytest.raises(ValidationError, match="not that of its release key"):
        an_approval(EVIL, release_key=key.public, signature=sign_bundle(content_hash(GOOD), key))
    with pytest.raises(ValidationError, match="come together"):
        an_approval(EVIL, release_key=key.public)


def test_signature_of_the_bare_hash_is_none(tmp_path: Path) -> None:
    """A key that signs hashes for something else has not approved a bundle."""
    key = SigningKey.create(tmp_path / "release.key")
    with pytest.raises(ValidationError, match="not that of its release key"):
        an_approval(GOOD, release_key=key.public, signature=key.sign(content_hash(GOOD).encode()))
