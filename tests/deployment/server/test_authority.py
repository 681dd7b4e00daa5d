"""An authority is changed in two steps, and what is interrupted can be said again."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from commands.server import app
from deployment.errors import CertificateError, HostError
from deployment.server import authority
from deployment.server.authority import prepare_authority, switch_authority
from deployment.server.certificates import check_certificates, now
from deployment.server.init import make_server
from deployment.server.settings import ServerSettings


@pytest.fixture
def server(tmp_path: Path) -> ServerSettings:
    return make_server(tmp_path / "server", ["localhost"]).settings


def believes(ca: str, certificate: Path) -> bool:
    """Tell whether whoever trusts the authorities in ``ca`` believes a certificate."""
    from cryptography import x509

    issued = x509.load_pem_x509_certificate(certificate.read_bytes())
    for one in x509.load_pem_x509_certificates(ca.encode()):
        try:
            issued.verify_directly_issued_by(one)
        except Exception:  # noqa: S112  (another one may)
            continue
        return True
    return False


def test_regions_that_trust_both_reach_the_server_before_and_after(
    server: ServerSettings,
) -> None:
    certificates = server.certificates
    old = server.ca_certificate.read_text()
    before = (certificates / "server.key").read_bytes()
    made = prepare_authority(server.folder)
    both = old + made.file.read_text()
    assert len(ssl.create_default_context(cadata=both).get_ca_certs()) >= 1
    assert believes(both, certificates / "server.crt")
    assert not believes(made.file.read_text(), certificates / "server.crt")
    switched, kept = switch_authority(server.folder)
    assert switched.certificate.fingerprint == made.certificate.fingerprint
    check_certificates(certificates, server.hosts, now())
    assert believes(both, certificates / "server.crt")
    assert not believes(old, certificates / "server.crt")
    assert (certificates / "server.key").read_bytes() != before
    assert (kept / "ca.crt").read_text() == old


def test_nothing_is_prepared_twice_or_switched_before(server: ServerSettings) -> None:
    with pytest.raises(HostError, match="Prepare an authority first"):
        switch_authority(server.folder)
    made = prepare_authority(server.folder)
    with pytest.raises(HostError, match="is there already"):
        prepare_authority(server.folder)
    assert made.file.exists()


def test_running_server_is_not_switched(
    server: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_authority(server.folder)
    before = server.ca_certificate.read_bytes()
    running = SimpleNamespace(states=lambda: ["superlink"])
    monkeypatch.setattr(authority, "server_supervisor", lambda settings: running)
    with pytest.raises(HostError, match="runs"):
        switch_authority(server.folder)
    assert server.ca_certificate.read_bytes() == before


def test_certificates_for_other_hosts_are_not_put_in_force(server: ServerSettings) -> None:
    prepare_authority(server.folder)
    settings = server.folder / "server.toml"
    settings.write_text(settings.read_text().replace('["localhost"]', '["fed.example.org"]'))
    before = server.ca_certificate.read_bytes()
    with pytest.raises(CertificateError, match="is for localhost"):
        switch_authority(server.folder)
    assert server.ca_certificate.read_bytes() == before


def test_switch_that_was_killed_between_its_steps_is_said_again(server: ServerSettings) -> None:
    made = prepare_authority(server.folder)
    server.certificates.rename(server.folder / "certificates.old")
    switched, _ = switch_authority(server.folder)
    assert switched.certificate.fingerprint == made.certificate.fingerprint


def test_command_tells_what_to_do_at_each_step(server: ServerSettings) -> None:
    told = CliRunner().invoke(app, ["new-authority", str(server.folder)])
    assert told.exit_code == 0, told.output
    assert "certificates.next/ca.crt" in told.output
    told = CliRunner().invoke(app, ["new-authority", str(server.folder), "--switch"])
    assert told.exit_code == 0, told.output
    assert "certificates.old-" in told.output
