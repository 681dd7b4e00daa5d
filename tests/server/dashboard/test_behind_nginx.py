"""Behind nginx, as docs/dashboard.md says, letter by letter."""

from __future__ import annotations

import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from server.dashboard.roles import Role
from server.dashboard.tokens import Tokens
from server.run_store.opening import open_store
from tests.server.dashboard.site import with_users
from tests.server.dashboard.test_process import (
    PROJECT,
    address,
    free_port,
    make_certificate,
    started,
)

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.crt;
        ssl_certificate_key {folder}/server.key;
        {location}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, dashboard: int) -> Iterator[int]:
    text = (PROJECT / "docs" / "dashboard.md").read_text(encoding="utf-8")
    found = re.search(r"```nginx\n(.*?)```", text, re.DOTALL)
    assert found
    port = free_port()
    location = found[1].replace("127.0.0.1:8600", f"127.0.0.1:{dashboard}")
    (folder / "nginx.conf").write_text(
        CONFIGURATION.format(folder=folder, port=port, location=location)
    )
    assert NGINX
    process = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def test_nginx_passes_pages_and_streams_on(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    people = with_users(tmp_path / "people")
    open_store(str(tmp_path / "store.sqlite")).close()
    dashboard = free_port()
    (tmp_path / "dashboard.toml").write_text(
        f'port = {dashboard}\ntrusted-proxies = ["127.0.0.1"]\n'
        'allowed-hosts = ["fed.example.org", "localhost"]\n'
        'data = "people"\nstore = "store.sqlite"\n'
    )
    given = {"authorization": f"Bearer {Tokens(people).make('test', Role.VIEWER, 1)}"}
    with (
        started(tmp_path, "--settings", str(tmp_path / "dashboard.toml")) as process,
        nginx(tmp_path, dashboard) as port,
    ):
        assert address(process) == "https://fed.example.org"
        trusted = ssl.create_default_context(cafile=tmp_path / "server.crt")
        base = f"https://localhost:{port}"
        with httpx.Client(base_url=base, verify=trusted, trust_env=False, timeout=10) as client:
            _wait_for(client)
            page = client.get("/login")
            assert page.status_code == 200
            assert "Secure" in page.headers["set-cookie"]
            # Whoever writes these headers oneself is not believed: nginx writes them anew.
            forged = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "http"}
            assert client.get("/login", headers=forged).status_code == 200
            begun = time.monotonic()
            with client.stream("GET", "/live", headers=given) as stream:
                assert stream.status_code == 200
                assert time.monotonic() - begun < 5
        past = httpx.get(f"http://127.0.0.1:{dashboard}/login", trust_env=False)
        assert past.status_code == 403
    assert "203.0.113.7" not in (tmp_path / "log").read_text()


def _wait_for(client: httpx.Client) -> None:
    for _ in range(100):
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("nginx and dashboard have not come up")
