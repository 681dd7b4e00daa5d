"""A certificate authority of the server's own, and what it vouches for.

Three certificates, all on elliptic curves (P-256 and, for the authority, P-384):
the authority, which regions get to trust; the public one, for nginx, 90 days; one for
the SuperLink on loopback, which lasts as long as the authority, so that a renewal
interrupts no run.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deployment.errors import CertificateError
from deployment.hosting.secret_files import read_secret, replace, write_once

AUTHORITY, PUBLIC, INTERNAL = "ca", "server", "superlink"
AUTHORITY_DAYS = 3650
PUBLIC_DAYS = 90
RENEW_DAYS = 30
"""With fewer days left, it is time to renew."""
INTERNAL_HOSTS = ("localhost", "127.0.0.1")
_READABLE = 0o644
# A region's clock may be a little behind.
_EARLIER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a certificate says.

    Attributes
    ----------
    hosts : tuple of str
        Names and addresses it is for, sorted.
    days_left : float
        Until it is over; negative afterwards.
    fingerprint : str
        SHA-256 of the certificate, hexadecimal.
    """

    hosts: tuple[str, ...]
    days_left: float
    fingerprint: str


def make_certificates(folder: Path, hosts: Sequence[str], moment: datetime) -> None:
    """Make the authority and both certificates with their keys in an empty ``folder``."""
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedinterest authority")])
    builder = (
        _builder(name, name, key.public_key(), moment, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    authority = builder.sign(key, hashes.SHA384())
    write_once(folder / f"{AUTHORITY}.key", _pem(key))
    write_once(folder / f"{AUTHORITY}.crt", _written(authority), _READABLE)
    for kind, names, days in (
        (PUBLIC, hosts, PUBLIC_DAYS),
        (INTERNAL, INTERNAL_HOSTS, AUTHORITY_DAYS),
    ):
        own = ec.generate_private_key(ec.SECP256R1())
        certificate = _issue(authority, key, own.public_key(), names, moment, days)
        write_once(folder / f"{kind}.key", _pem(own))
        write_once(folder / f"{kind}.crt", _written(certificate), _READABLE)


def renew_certificate(folder: Path, hosts: Sequence[str], moment: datetime) -> Certificate:
    """Replace the public certificate by one for ``hosts`` from now on.

    The authority stays, so that regions notice nothing, and so does the public key: key
    and certificate are two files, and nginx must never see two that do not match.

    Raises
    ------
    CertificateError, SecretFileError
        If a file is missing or unusable, or the authority is over; nothing was changed then.
    """
    authority = _load(folder / f"{AUTHORITY}.crt")
    if authority.not_valid_after_utc <= moment + timedelta(days=PUBLIC_DAYS):
        raise CertificateError(
            f"The authority {folder / 'ca.crt'} ends on {authority.not_valid_after_utc:%Y-%m-%d}. "
            "The certificate was not renewed. Make a new server folder and give its ca.crt to all "
            "regions."
        )
    key = _load_key(folder / f"{AUTHORITY}.key")
    own = _load_key(folder / f"{PUBLIC}.key")
    certificate = _issue(authority, key, own.public_key(), hosts, moment, PUBLIC_DAYS)
    replace(folder / f"{PUBLIC}.crt", _written(certificate), _READABLE)
    return read_certificate(folder / f"{PUBLIC}.crt", moment)


def read_certificate(path: Path, moment: datetime) -> Certificate:
    """Tell what a certificate says at ``moment``.

    Raises
    ------
    CertificateError
        If it is missing or no certificate.
    """
    certificate = _load(path)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = [
            *names.get_values_for_type(x509.DNSName),
            *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        ]
    except x509.ExtensionNotFound:
        hosts = []
    left = certificate.not_valid_after_utc - moment
    return Certificate(
        hosts=tuple(sorted(hosts)),
        days_left=left.total_seconds() / 86400,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def check_certificates(folder: Path, hosts: Sequence[str], moment: datetime) -> Certificate:
    """Check that the public certificate can be used, and return it.

    Raises
    ------
    CertificateError, SecretFileError
        If it is missing, over, or for other names, if it is not its key's or not the
        authority's, or if a key can be read by others.
    """
    public = read_certificate(folder / f"{PUBLIC}.crt", moment)
    remedy = "Nothing was started. Renew it: `fedinterest server init FOLDER --renew-certificate`."
    if public.days_left <= 0:
        raise CertificateError(
            f"The certificate {folder / 'server.crt'} ended {-public.days_left:.1f} days ago. "
            f"{remedy}"
        )
    if public.hosts != tuple(sorted(hosts)):
        raise CertificateError(
            f"The certificate {folder / 'server.crt'} is for {', '.join(public.hosts)}, the "
            f"settings say {', '.join(hosts)}. {remedy}"
        )
    authority = _load(folder / f"{AUTHORITY}.crt")
    for kind in (PUBLIC, INTERNAL):
        certificate = _load(folder / f"{kind}.crt")
        try:
            certificate.verify_directly_issued_by(authority)
        except Exception as error:  # a signature's, a name's or a type's: all say the same here
            raise CertificateError(
                f"The certificate {folder / f'{kind}.crt'} is not from the authority "
                f"{folder / 'ca.crt'}. Nothing was started. Put the right files back."
            ) from error
        if _load_key(folder / f"{kind}.key").public_key() != certificate.public_key():
            raise CertificateError(
                f"The key {folder / f'{kind}.key'} is not that of {kind}.crt. Nothing was "
                "started. Put the right files back."
            )
    return public


def _issue(
    authority: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    hosts: Sequence[str],
    moment: datetime,
    days: int,
) -> x509.Certificate:
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    # Clients look at the alternative names alone; a common name holds 64 characters at most.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedinterest server")])
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )
    builder = (
        _builder(subject, authority.subject, public_key, moment, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(issuer_id, critical=False)
    )
    return builder.sign(key, hashes.SHA384())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    moment: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _EARLIER)
        .not_valid_after(moment + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _written(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"Certificate {path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise CertificateError(f"{path} does not hold a certificate in PEM.") from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(read_secret(path), password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{path} does not hold a private key in PEM.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{path} holds another kind of key than an elliptic curve's.")
    return key


def now() -> datetime:
    """Return the moment at which certificates are looked at."""
    return datetime.now(UTC)
