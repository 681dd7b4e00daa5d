"""Libraries are the released ones, and are sent once."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

from starlette.testclient import TestClient

from server.dashboard.assets import FOLDER, Assets
from server.dashboard.settings import Settings
from tests.server.dashboard.site import browser, made

OWN = {"styles.css", "charts.js", "icon.svg"}


def test_every_library_has_its_sum_and_its_licence() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", readme, re.MULTILINE))
    sent = {path.name for path in FOLDER.iterdir() if path.suffix in {".js", ".css", ".svg"}}
    assert set(told) == sent - OWN
    for name, digest in told.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
    for licence in re.findall(r"`((?:LICENSE|NOTICE)-[^`]+)`", readme):
        assert (FOLDER / licence).stat().st_size > 100
    assert 'version:"6.0.0"' in (FOLDER / "echarts.min.js").read_text(encoding="utf-8")
    assert 'version:"2.0.10"' in (FOLDER / "htmx.min.js").read_text(encoding="utf-8")


def test_own_files_fetch_nothing_from_elsewhere() -> None:
    for name in OWN:
        text = (FOLDER / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text)


def _client(tmp_path: Path) -> TestClient:
    return browser(made(Settings(data=tmp_path)), "http://127.0.0.1:8600")


def test_files_are_kept_forever_under_the_name_of_their_content(tmp_path: Path) -> None:
    client, path = _client(tmp_path), Assets().path("styles.css")
    answer = client.get(path)
    digest = hashlib.sha256((FOLDER / "styles.css").read_bytes()).hexdigest()
    assert path == f"/assets/styles.{digest[:16]}.css"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/css")
    again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_files_are_packed_for_who_can_unpack(tmp_path: Path) -> None:
    client, path = _client(tmp_path), Assets().path("echarts.min.js")
    with client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == (FOLDER / "echarts.min.js").read_bytes()
    plain = client.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == (FOLDER / "echarts.min.js").read_bytes()
