"""A bundle is hostile input: what is not what Flower builds is not read, and nothing hides."""

from __future__ import annotations

import stat
import struct
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployment.agent import bundle as module
from deployment.agent.bundle import LONGEST_PROJECT, Bundle, read_bundle
from deployment.agent.comparison import HOME, changes, compare_with_installed
from deployment.agent.errors import BundleError
from deployment.agent.shown_text import shown
from deployment.agent.view import describe_bundle, describe_changes, describe_code
from tests.deployment.agent.examples import PROJECT, a_bundle, zipped


def entry(name: str, **attributes: int) -> bytes:
    """Return a zip file with one entry of these attributes."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    for key, value in attributes.items():
        setattr(info, key, value)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "content")
    return buffer.getvalue()


def twice() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("client/app.py", "good")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("client/app.py", "evil")
    return buffer.getvalue()


def test_a_sound_bundle_says_what_it_is() -> None:
    found = read_bundle(a_bundle(code="x = 1\n"))
    assert (found.name, found.version) == ("fedinterest", "0.1.0")
    assert list(found.files) == ["pyproject.toml", "client/code.py"]


HOSTILE = {
    "absolute": entry("/etc/passwd"),
    "above": entry("../evil.py"),
    "above in between": entry("client/../../evil.py"),
    "windows": entry("C:\\evil.py"),
    "backslash": entry("client\\evil.py"),
    "folder": entry("client/"),
    "empty part": entry("client//evil.py"),
    "link": entry("client/link.py", external_attr=(stat.S_IFLNK | 0o777) << 16),
    "device": entry("client/null", external_attr=(stat.S_IFCHR | 0o666) << 16),
    "terminal codes": entry("client/\x1b[2Jgood.py"),
    "turned text": entry("client/\u202eyp.doog"),
    "line break": entry("client/good.py\nclient/other.py"),
    "zero byte": entry("client/good.py\0.txt"),
    "other case": zipped({"client/App.py": "a", "client/app.py": "b"}),
    "bzip2": zipped({"client/app.py": "a" * 100}, zipfile.ZIP_BZIP2),
    "no zip": b"PK\x03\x04 and nothing",
    "nothing": b"",
    "long name": entry("a" * 300),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_flower_would_not_build_is_not_read(kind: str) -> None:
    with pytest.raises(BundleError, match="Nothing was unpacked or approved") as caught:
        read_bundle(HOSTILE[kind])
    assert shown(str(caught.value)) == str(caught.value)


def test_same_name_twice_is_not_read() -> None:
    with pytest.raises(BundleError, match="in it twice"):
        read_bundle(twice())


def test_bomb_is_not_unpacked() -> None:
    bomb = zipped({"client/app.py": b"\0" * (module.LARGEST_CONTENT + 1)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(BundleError, match="unpacks to more than"):
        read_bundle(bomb)


def test_bomb_that_lies_about_its_size_is_not_unpacked() -> None:
    bomb = bytearray(zipped({"a.py": b"\0" * (module.LARGEST_CONTENT + 1)}, zipfile.ZIP_DEFLATED))
    place = bomb.rindex(b"PK\x01\x02") + 24  # the unpacked size, in the directory
    bomb[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(BundleError, match="Nothing was unpacked"):
        read_bundle(bytes(bomb))


def test_too_many_or_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 1)
    with pytest.raises(BundleError, match="2 entries"):
        read_bundle(a_bundle(code=""))
    monkeypatch.setattr(module, "LARGEST_BUNDLE", 10)
    with pytest.raises(BundleError, match="more than 10 bytes"):
        read_bundle(a_bundle(code=""))


@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_damaged_bundle_is_an_error_for_people_or_a_bundle(noise: bytes, where: int) -> None:
    content = bytearray(a_bundle(code="x = 1\n"))
    place = where % len(content)
    content[place : place + len(noise)] = noise
    with suppress(BundleError):  # nothing else
        assert isinstance(read_bundle(bytes(content)), Bundle)


def test_hidden_characters_of_a_change_are_shown() -> None:
    old = read_bundle(a_bundle(code="x = 1\n"))
    evil = "x = 1\r\x1b[1A\u202e # \u200bharmless\u2028import os\n"
    new = read_bundle(a_bundle(code=evil))
    text = "\n".join(describe_changes(old, new))
    assert r"+x = 1\r\x1b[1A\u202e # \u200bharmless\u2028import os" in text
    assert shown(text, keep="\n") == text


def test_change_far_to_the_right_or_far_down_is_shown() -> None:
    old = read_bundle(a_bundle(code="x = 1\n"))
    right = read_bundle(a_bundle(code="x = 1" + " " * 5000 + "; import os\n"))
    assert "; import os" in "\n".join(describe_changes(old, right))
    down = read_bundle(a_bundle(code="x = 1\n" + "#\n" * 50_000 + "import os\n"))
    assert list(describe_changes(old, down))[-2:] == ["  +import os", "   "]


def test_file_that_is_no_text_is_told_not_shown() -> None:
    old, new = read_bundle(zipped({"a.py": b"x"})), read_bundle(zipped({"a.py": b"\xff\xfe\x00"}))
    assert list(changes(old, new)) == ["a.py: no text; 1 bytes before, 3 bytes now"]
    assert list(changes(None, new)) == ["a.py: no text; nothing before, 3 bytes now"]


def test_new_and_removed_files_are_shown() -> None:
    old, new = read_bundle(a_bundle(one="1\n")), read_bundle(a_bundle(two="2\n"))
    lines = list(changes(old, new))
    assert "--- approved/client/one.py" in lines
    assert "-1" in lines
    assert "+++ new/client/two.py" in lines
    assert "+2" in lines
    assert list(changes(old, old)) == []


def test_name_that_a_bundle_gives_itself_is_escaped_and_short() -> None:
    project = PROJECT.replace("fedinterest", "\\u001b]0;owned" + "x" * 500)
    lines = list(describe_bundle(read_bundle(zipped({"pyproject.toml": project}))))
    assert lines[0].startswith(r"\x1b]0;owned")
    assert len(lines[0]) < 120
    deep = "a = " + "[" * 10_000 + "\n"
    assert read_bundle(zipped({"pyproject.toml": deep})).name == "unknown"
    long = PROJECT + "#" * LONGEST_PROJECT
    assert read_bundle(zipped({"pyproject.toml": long})).name == "unknown"


def installed_files() -> dict[str, bytes | str]:
    return {
        path.relative_to(HOME).as_posix(): path.read_bytes()
        for package in ("client", "privacy", "strategies", "server")
        for path in (HOME / package).rglob("*.py")
    }


def test_bundle_of_the_installed_program_is_told_from_another() -> None:
    files = installed_files()
    same = compare_with_installed(read_bundle(zipped(files)))
    assert same.is_installed
    assert "the same program" in "\n".join(describe_code(same))
    files["client/app.py"] = "import os\n"
    files["client/new.py"] = ""
    del files["privacy/door.py"]
    files["server/app.py"] = ""
    other = compare_with_installed(read_bundle(zipped(files)))
    assert not other.is_installed
    assert (other.different, other.only_bundle) == (("client/app.py",), ("client/new.py",))
    assert (other.only_installed, other.others_differ) == (("privacy/door.py",), ("server/app.py",))
    assert "does NOT hold the installed program" in "\n".join(describe_code(other))


def test_bundle_without_the_program_is_not_called_the_installed_one() -> None:
    assert not compare_with_installed(
        read_bundle(zipped({"a.py": ""})), Path("/nowhere")
    ).is_installed
