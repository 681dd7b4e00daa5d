from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from deployment.errors import CertificateError, SecretFileError
from deployment.server.certificates import (
    check_certificates,
    make_certificates,
    read_certificate,
    renew_certificate,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOSTS = ["fed.example.org", "192.0.2.7"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "certificates"
    folder.mkdir()
    make_certificates(folder, HOSTS, NOW)
    return folder


def test_a_certificate_that_is_over_is_refused_with_the_remedy(folder: Path) -> None:
    with pytest.raises(CertificateError, match=r"ended 10.0 days ago.*--renew-certificate"):
        check_certificates(folder, HOSTS, NOW + timedelta(days=100))


def test_a_certificate_for_other_names_is_refused(folder: Path) -> None:
    with pytest.raises(CertificateError, match=r"settings say fed\.example\.org, new"):
        check_certificates(folder, ["fed.example.org", "new.example.org"], NOW)


@pytest.mark.parametrize("kind", ["server", "superlink"])
def test_a_certificate_of_another_authority_is_refused(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    make_certificates(other, HOSTS, NOW)
    for ending in ("crt", "key"):
        shutil.copy(other / f"{kind}.{ending}", folder)
    with pytest.raises(CertificateError, match=f"{kind}.crt is not from the authority"):
        check_certificates(folder, HOSTS, NOW)


def test_a_key_of_another_certificate_is_refused(folder: Path) -> None:
    shutil.copy(folder / "superlink.key", folder / "server.key")
    with pytest.raises(CertificateError, match=r"server.key is not that of server.crt"):
        check_certificates(folder, HOSTS, NOW)


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    (folder / "server.key").chmod(0o644)
    with pytest.raises(SecretFileError, match="open to others"):
        check_certificates(folder, HOSTS, NOW)


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\x00\xff"])
def test_nonsense_is_no_certificate(folder: Path, content: bytes) -> None:
    (folder / "server.crt").write_bytes(content)
    with pytest.raises(CertificateError, match="does not hold a certificate"):
        check_certificates(folder, HOSTS, NOW)


def test_an_authority_about_to_end_renews_nothing(folder: Path) -> None:
    before = (folder / "server.crt").read_bytes()
    with pytest.raises(CertificateError, match="was not renewed"):
        renew_certificate(folder, HOSTS, NOW + timedelta(days=3600))
    assert (folder / "server.crt").read_bytes() == before


def test_nothing_is_written_over(folder: Path) -> None:
    before = (folder / "ca.key").read_bytes()
    with pytest.raises(SecretFileError, match="exists already"):
        make_certificates(folder, HOSTS, NOW)
    assert (folder / "ca.key").read_bytes() == before


def test_a_renewal_keeps_the_authority_and_takes_the_new_names(folder: Path) -> None:
    authority = (folder / "ca.crt").read_bytes()
    later = NOW + timedelta(days=80)
    renewed = renew_certificate(folder, ["new.example.org"], later)
    assert renewed.hosts == ("new.example.org",)
    assert renewed.days_left == pytest.approx(90)
    assert (folder / "ca.crt").read_bytes() == authority
    assert check_certificates(folder, ["new.example.org"], later) == renewed


def test_a_renewal_never_meets_the_internal_certificate(folder: Path) -> None:
    internal = read_certificate(folder / "superlink.crt", NOW)
    assert internal.hosts == ("127.0.0.1", "localhost")
    assert internal.days_left == pytest.approx(3650)


def test_only_the_authority_may_sign_and_it_signs_no_authority(folder: Path) -> None:
    for name, is_authority in (("ca", True), ("server", False), ("superlink", False)):
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert constraints.critical
        assert constraints.value.ca is is_authority
        assert constraints.value.path_length == (0 if is_authority else None)
        assert usage.key_cert_sign is is_authority
