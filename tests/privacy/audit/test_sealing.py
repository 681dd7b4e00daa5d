"""A signed report has one spelling: whatever could be read in two ways was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from privacy.audit.ledger_audit import canonical
from privacy.audit.sealing import ReportError, officers_key, read_sealed, sealed
from privacy.signing import SigningKey

AUDIT = {"claim": "PASS: e^1", "verdict": "PASS", "near": 0.9, "ledgers": [{"region": "Süd"}]}


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.create(tmp_path / "officer.key")


def written(path: Path, key: SigningKey, old: str = "", new: str = "") -> Path:
    text = "".join(sealed([canonical(AUDIT)], key))
    assert old in text
    path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
    return path


def test_report_is_signed_by_its_officer_and_nobody_else(tmp_path: Path, key: SigningKey) -> None:
    report = read_sealed(written(tmp_path / "audit.json", key))
    assert report.is_signed_by(key.public)
    assert report.is_signed_by(None)
    assert not report.is_signed_by(SigningKey.create(tmp_path / "stranger.key").public)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"verdict":"PASS"', '"verdict":"FAIL","verdict":"PASS"'),
        ('{"region":', '{"region":"Nord","region":'),
        ('{"audit":', '{"audit":{"claim":"e^0"},"audit":'),
        ('{"audit":', '{"approved_by":"The Officer","audit":'),
        ('"algorithm":"ed25519"', '"algorithm":"none"'),
        ('"algorithm":"ed25519",', ""),
        ('"algorithm":"ed25519"', '"algorithm":"ed25519","signed_by":"Dr. X"'),
        ('"signature":{', '"signature":null,"signature":{'),
        ('"near":0.9', '"near":NaN'),
        ('"near":0.9', '"near":1e999'),
        ('"near":0.9', '"near":0.91'),
    ],
)
def test_report_in_another_spelling_was_changed(
    tmp_path: Path, key: SigningKey, old: str, new: str
) -> None:
    assert not read_sealed(written(tmp_path / "audit.json", key, old, new)).is_genuine


def test_officers_key_is_named_or_in_a_file(tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "officer.pub").write_text(f"{key.public}\n", encoding="utf-8")
    for told in (key.public, str(tmp_path / "officer.pub"), str(tmp_path / "officer.key")):
        assert officers_key(told) == key.public
    for told in ("", "abc", "a" * 5_000, str(tmp_path), str(tmp_path / "nowhere")):
        with pytest.raises(ReportError, match="is no public key"):
            officers_key(told)


@pytest.mark.parametrize("content", ["{}", '{"verdict":"PASS"}', "[]", '"PASS"'])
def test_signed_content_that_is_no_audit_is_refused(
    tmp_path: Path, key: SigningKey, content: str
) -> None:
    path = tmp_path / "audit.json"
    path.write_text("".join(sealed([content], key)), encoding="utf-8")
    with pytest.raises(ReportError):
        read_sealed(path)
