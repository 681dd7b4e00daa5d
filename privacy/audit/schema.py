"""The shape of ``audit.json``: a published JSON Schema, made from these types.

:mod:`privacy.audit.document` fills it in.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

Word = Literal["PASS", "FAIL", "UNUSABLE"]


class SpanPart(TypedDict):
    """What was charged to a window, or to the lifetime; epsilons by four accountants."""

    name: str
    opened: str
    by: str
    releases: int
    delta: float
    adjacency: str
    mu: float
    epsilon: float
    pld: float | None
    pld_by_release: bool
    rdp: float | None
    zcdp: float | None
    accountants_agree: bool
    limit: float | None
    left: float | None


class CircumstancesPart(TypedDict):
    """What releases of one run share."""

    run: str
    window: str
    server_key: str
    trust_model: str
    noise: str
    participants: int
    encoder: str
    code: str
    policy: str


class ReleasePart(TypedDict):
    """One release; ``circumstances`` is a place in the ledger's list of them."""

    entry: int
    time: str
    round_number: int
    purpose: str
    kind: str
    state: str
    clipping_norm: float
    sensitivity: float
    sigma: float
    step: float
    circumstances: int
    window_mu_after: float
    request: str
    reply: str | None


class RefusedPart(TypedDict):
    """One request that was refused."""

    time: str
    run: str
    round_number: int
    purpose: str
    kind: str
    fingerprint: str
    server_key: str
    reason: str
    sentence: str


class LedgerPartBase(TypedDict):
    """One ledger; what could not be read is empty."""

    path: str
    region: str
    public_key: str
    head: str
    records: int
    simulated: bool
    verdict: Word
    faults: list[str]
    incidents: list[str]
    unchecked: list[str]
    promise: dict[str, float | str]
    spans: list[SpanPart]
    releases: int
    refusals: dict[str, int]
    rests_on_server: int
    noises: dict[str, int]
    programs: dict[str, int]
    encoders: dict[str, int]
    runs: dict[str, int]
    acts: list[dict[str, str]]


class LedgerPart(LedgerPartBase, total=False):
    """The same with its details, which a damaged ledger has none of."""

    circumstances: list[CircumstancesPart]
    released: list[ReleasePart]
    refused: list[RefusedPart]
    rules: dict[str, dict[str, object]]


class RoundPart(TypedDict):
    """One round by a server's count."""

    round_number: int
    purpose: str
    asked: int
    answered: int
    refused: int
    unusable: int
    dropped_out: int


class ServerRecordPart(TypedDict):
    """What a server kept of a run."""

    file: str
    run: str
    regions: int
    rounds: list[RoundPart]


class CheckPart(TypedDict):
    """One check of the mechanism."""

    name: str
    question: str
    passed: bool
    kind: str
    measured: float | None
    bound: float | None
    confidence: float
    detail: str


class MadePart(TypedDict):
    """When, and by which program."""

    time: str
    program: str
    code: str


class WorstPart(TypedDict):
    """The ledger that has spent most."""

    region: str
    epsilon: float


class NearPart(TypedDict):
    """A window or lifetime that is nearly used up."""

    region: str
    span: str
    part: float


class FiguresPart(TypedDict):
    """What is looked at first where there are hundreds of ledgers."""

    ledgers: int
    regions: int
    by_verdict: dict[str, int]
    releases: int
    refusals: dict[str, int]
    worst: WorstPart | None
    median_epsilon: float
    near_limit: list[NearPart]
    near_means: float
    disagreeing_with_server: list[str]
    programs: dict[str, int]


class PublishedPart(TypedDict):
    """What else was published, and why it costs nothing."""

    what: str
    why_free: str


class EvidencePart(TypedDict):
    """A file beside the ledgers that the audit rests on."""

    file: str
    sha256: str


class AuditPart(TypedDict):
    """What is signed: ``audit`` in the file."""

    schema_version: Literal[1]
    made: MadePart
    verdict: Word
    simulated: bool
    claim: str
    summary: FiguresPart
    ledgers: list[LedgerPart]
    servers: list[LedgerPart]
    contradictions: list[str]
    unchecked: list[str]
    server_records: list[ServerRecordPart]
    evidence: list[EvidencePart]
    published: list[PublishedPart]
    assumptions: list[str]
    examination: list[CheckPart]
    pipeline: dict[str, object] | None


def audit_schema() -> str:
    """Return the JSON Schema of ``audit`` in ``audit.json``."""
    return json.dumps(TypeAdapter(AuditPart).json_schema(), indent=2) + "\n"
