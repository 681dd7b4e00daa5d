from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployment.enrolment.enrolling import sign_request
from deployment.enrolment.errors import EnrolmentError
from deployment.enrolment.request import (
    MalformedRequestError,
    SignedRequest,
    check_region,
    make_request,
)
from deployment.enrolment.token import Token
from tests.deployment.enrolment.examples import NOON, an_agent, written

TOKEN = Token.create()
SIGNED = sign_request(an_agent(), TOKEN, NOON)
BODY = SIGNED.write()


def test_a_request_is_read_back_and_all_proofs_hold() -> None:
    read = SignedRequest.parse(BODY)
    assert read == SIGNED
    assert read.broken_proof() is None


@pytest.mark.parametrize("region", ["华东", "São Paulo", "north", "łódź-2", "a b"])
def test_names_in_any_script_are_written_in_one_way(region: str) -> None:
    signed = sign_request(an_agent(region), TOKEN, NOON)
    body = signed.write()
    assert body.isascii()
    assert SignedRequest.parse(body).request.region == region


@pytest.mark.parametrize(
    "region",
    [
        "",
        " ",
        "north ",
        "\u200bnorth",
        "no\nrth",
        "\x1b[31m",
        "a\u202eb",
        "{x}",
        "Sa\u0303o",
        "x" * 129,
    ],
)
def test_names_that_mislead_are_refused_at_both_sides(region: str) -> None:
    with pytest.raises(ValueError, match="a region's name"):
        check_region(region)
    with pytest.raises(EnrolmentError, match="Nothing was sent"):
        sign_request(an_agent(region), TOKEN, NOON)
    content = json.loads(BODY)
    content["request"]["region"] = region
    with pytest.raises(MalformedRequestError):
        SignedRequest.parse(written(content))


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
@settings(max_examples=400, deadline=None)
def test_no_byte_can_be_changed(at: int, by: int) -> None:
    body = BODY[:at] + bytes([BODY[at] ^ by]) + BODY[at + 1 :]
    try:
        read = SignedRequest.parse(body)
    except MalformedRequestError:
        return
    assert read.broken_proof() is not None


@pytest.mark.parametrize("field", sorted(json.loads(BODY)["request"]))
def test_no_field_can_be_exchanged_for_that_of_another_valid_request(field: str) -> None:
    other = json.loads(sign_request(an_agent("south"), Token.create(), NOON.replace(day=3)).write())
    content = json.loads(BODY)
    if content["request"][field] == other["request"][field]:  # versions and the like
        other["request"][field] = 2 if field == "format" else "9" * 64
    content["request"][field] = other["request"][field]
    try:
        read = SignedRequest.parse(written(content))
    except MalformedRequestError:
        return
    assert read.broken_proof() is not None


@pytest.mark.parametrize("name", ["token", "node", "ledger"])
def test_each_proof_is_needed(name: str) -> None:
    other = json.loads(sign_request(an_agent(), Token.create(), NOON).write())
    content = json.loads(BODY)
    content["proofs"][name] = other["proofs"][name]
    assert SignedRequest.parse(written(content)).broken_proof() == name
    del content["proofs"][name]
    with pytest.raises(MalformedRequestError):
        SignedRequest.parse(written(content))


def test_swapped_keys_and_proofs_are_refused() -> None:
    content = json.loads(BODY)
    request, proofs = content["request"], content["proofs"]
    request["token"], request["ledger-key"] = request["ledger-key"], request["token"]
    proofs["token"], proofs["ledger"] = proofs["ledger"], proofs["token"]
    assert SignedRequest.parse(written(content)).broken_proof() == "token"


def test_an_ecdsa_signature_in_its_other_form_is_still_the_same_request() -> None:
    """ECDSA signatures can be turned into others; the nonce, not the bytes, tells a replay."""
    from cryptography.hazmat.primitives.asymmetric.utils import (
        decode_dss_signature,
        encode_dss_signature,
    )

    order = int(
        "ffffffffffffffffffffffffffffffffffffffffffffffff"
        "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        16,
    )
    content = json.loads(BODY)
    r, s = decode_dss_signature(bytes.fromhex(content["proofs"]["node"]))
    content["proofs"]["node"] = encode_dss_signature(r, order - s).hex()
    read = SignedRequest.parse(written(content))
    assert read.broken_proof() is None
    assert read.request.nonce == SIGNED.request.nonce


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"NaN",
        b"\xff",
        b'{"proofs":{},"request":{}}',
        b"[" * 10_000,
        b'{"a":' * 3_000,
        BODY + b"\n",
        b" " + BODY,
        BODY.replace(b'"format":1', b'"format":1.0'),
        BODY.replace(b'"format":1', b'"format":true'),
        BODY.replace(b'"format":1', b'"format":NaN'),
        BODY.replace(b'"format":1', b'"format":Infinity'),
        BODY.replace(b'"format":1', b'"format":' + b"1" * 5000),
        BODY.replace(b'"format":1', b'"format":1,"format":1'),
        BODY.replace(b'"region":"north"', b'"region":"south","region":"north"'),
        BODY.replace(b'"region":"north"', b'"region":"\\u006eorth"'),
        BODY.replace(b'"region":"north"', b'"region":["north"]'),
        BODY.replace(b'"region":"north"', b'"region":"north","extra":""'),
        BODY.replace(b'"format":1', b'"format": 1'),
        BODY.replace(b"2026-11-26T12", b"2026-02-31T12"),
    ],
)
def test_other_spellings_are_no_requests(body: bytes) -> None:
    assert body != BODY
    with pytest.raises(MalformedRequestError):
        SignedRequest.parse(body)


def test_what_is_wrong_is_told_without_what_was_sent() -> None:
    content = json.loads(BODY)
    content["request"]["secret-stuff"] = "hunter2"
    content["request"]["python"] = "hunter2 !"
    with pytest.raises(MalformedRequestError) as error:
        SignedRequest.parse(written(content))
    assert str(error.value) == "wrong: request.python"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        SignedRequest.parse(body)


def test_two_requests_are_never_the_same() -> None:
    agent = an_agent()
    nonces = {
        make_request(
            region="north",
            token=TOKEN,
            node_key=agent.node_key,
            ledger_key=agent.ledger_key,
            moment=NOON,
        ).nonce
        for _ in range(50)
    }
    assert len(nonces) == 50
