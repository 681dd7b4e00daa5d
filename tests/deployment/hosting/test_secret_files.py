from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deployment.errors import SecretFileError
from deployment.hosting.secret_files import private_folder, read_secret, replace, write_once

CONTENT = b"a token nobody should read"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_once(path, CONTENT)
    with pytest.raises(SecretFileError, match="exists already"):
        write_once(path, b"another")
    assert path.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["token"]


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretFileError, match="exists already"):
        write_once(tmp_path / "token", CONTENT)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602])
def test_a_secret_that_others_can_touch_is_not_used(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "token"
    write_once(path, CONTENT)
    path.chmod(bits)
    with pytest.raises(SecretFileError, match="open to others") as caught:
        read_secret(path)
    assert CONTENT.decode() not in str(caught.value)


def test_a_secret_behind_a_link_is_not_used(tmp_path: Path) -> None:
    write_once(tmp_path / "token", CONTENT)
    (tmp_path / "link").symlink_to("token")
    with pytest.raises(SecretFileError, match="cannot be read"):
        read_secret(tmp_path / "link")


def test_a_secret_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_once(tmp_path / "token", CONTENT)
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with pytest.raises(SecretFileError, match="another user"):
        read_secret(tmp_path / "token")


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match=r"token cannot be read \(No such file"):
        read_secret(tmp_path / "token")


def test_a_secret_is_read_back_and_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_once(tmp_path / "token", CONTENT)
        replace(tmp_path / "other", CONTENT)
    finally:
        os.umask(before)
    assert read_secret(tmp_path / "token") == CONTENT
    assert mode(tmp_path / "token") == mode(tmp_path / "other") == 0o600


def test_what_is_replaced_is_new_and_private(tmp_path: Path) -> None:
    path = tmp_path / "programs"
    path.write_bytes(b"old")
    path.chmod(0o644)
    replace(path, CONTENT)
    assert read_secret(path) == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["programs"]


def test_a_failed_replacement_leaves_what_was_there(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(SecretFileError, match="cannot be written"):
        replace(taken, CONTENT)
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_a_folder_that_others_enter_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(SecretFileError, match="chmod 700"):
        private_folder(tmp_path / "open")
    assert mode(private_folder(tmp_path / "new" / "inner")) == 0o700


def test_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SecretFileError, match="No space left"):
        replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
