"""Replies of one round, sorted: what can be used, what is a refusal, what is neither.

replies  ->  form, question, key, signature and ledger's head, shapes and sizes  ->  Received

Nothing that a reply says of itself is believed before that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from flwr.app import Message
from flwr.common.constant import ErrorCode

from privacy.query import SumQuery, TrustModel
from privacy.release import Answer, ClippedSum, Refusal, Release
from privacy.window import is_window_name
from strategies.heads import HeadBook
from strategies.messages import MessageError, records_to_answer
from strategies.reply_faults import UNREADABLE_ANSWER, ReplyFault, fault_of

log = logging.getLogger("flwr")

TOO_LATE = frozenset({ErrorCode.MESSAGE_UNAVAILABLE, ErrorCode.REPLY_MESSAGE_UNAVAILABLE})
"""What Flower says in place of an answer that did not come while the question was good."""
MOST_USERS = 1e9
"""No region has more; larger sums are no sums."""


@dataclass(slots=True, kw_only=True)
class Received:
    """What came back of one question.

    Attributes
    ----------
    usable : list of Release or ClippedSum
        In the order of their regions' names.
    refusals : list of Refusal
        In the same order.
    malformed : int
        Replies that were no answer to the question, or errors; without those that tell that
        none came in time.
    n_bytes : int
        Of all replies' contents.
    faults : list of (int, ReplyFault)
        Of which nodes no answer could be read, and why.
    """

    usable: list[Release | ClippedSum] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    malformed: int = 0
    n_bytes: int = 0
    faults: list[tuple[int, ReplyFault]] = field(default_factory=list)


def sort_replies(
    replies: Iterable[Message],
    query: SumQuery | None,
    trust_model: TrustModel,
    heads: HeadBook,
    keys: Mapping[str, str] | None = None,
) -> Received:
    """Sort the replies to a question; each region counts once.

    Parameters
    ----------
    replies : iterable of Message
    query : SumQuery, optional
        What was asked; without it nothing can be an answer.
    trust_model : TrustModel
    heads : HeadBook
        The regions' heads until now; those of genuine answers are noted in it.
    keys : mapping of str to str, optional
        Public keys of the regions that may answer, by name; without it any may.
    """
    received = Received()
    answers: dict[str, Answer] = {}
    for reply in replies:
        received.n_bytes += size_of(reply)
        found = _read(reply)
        if isinstance(found, ReplyFault):
            received.faults.append((reply.metadata.src_node_id, found))
            if reply.has_error() and reply.error.code in TOO_LATE:
                continue
        answer = _usable(found, query, trust_model, heads, keys)
        if answer and answer.head and _is_unsigned(answers.get(answer.region)):
            del answers[answer.region]  # anybody could have sent it in the region's name
            received.malformed += 1
        if answer is None or answer.region in answers:
            received.malformed += 1
            if answer is not None:
                log.warning("\t     Two answers came from %r; one is left out", answer.region)
        else:
            answers[answer.region] = answer
    for region in sorted(answers):
        answer = answers[region]
        if isinstance(answer, Refusal):
            received.refusals.append(answer)
        else:
            received.usable.append(answer)
    return received


def _read(reply: Message) -> Answer | ReplyFault:
    if reply.has_error():
        return fault_of(reply.error)
    try:
        return records_to_answer(reply.content)
    except MessageError:
        return UNREADABLE_ANSWER


def _usable(
    answer: Answer | ReplyFault,
    query: SumQuery | None,
    trust_model: TrustModel,
    heads: HeadBook,
    keys: Mapping[str, str] | None,
) -> Answer | None:
    """Return the answer, or None where it is none to what was asked."""
    if isinstance(answer, ReplyFault) or query is None:
        return None
    told = (answer.run, answer.round_number, answer.purpose)
    if told != (query.run, query.round_number, query.purpose):
        return None
    # Who is not known leaves no head behind: a stranger's would stand in a region's way.
    if objection := _not_known(answer, keys) or heads.objection(answer):
        log.warning("\t     An answer of %r is left out: %s", answer.region, objection)
        return None
    return answer if isinstance(answer, Refusal) or _fits(answer, query, trust_model) else None


def _not_known(answer: Answer, keys: Mapping[str, str] | None) -> str | None:
    """Return why ``answer`` is no known region's, or None."""
    if keys is None:
        return None
    if answer.region not in keys:
        return "no region of this name is enrolled"
    if answer.head is not None and answer.head.public_key != keys[answer.region]:
        return "it is signed with another key than the region enrolled with"
    return None


def _fits(answer: Release | ClippedSum, query: SumQuery, trust_model: TrustModel) -> bool:
    """Tell whether an answer is a possible one to ``query``."""
    if not is_window_name(answer.window):
        return False
    if (answer.sensitivity, answer.sigma) != (query.sensitivity, query.sigma):
        return False
    expected = ClippedSum if trust_model is TrustModel.CENTRAL else Release
    shapes = {block.name: block.shape for block in query.blocks}
    unit = query.step if expected is ClippedSum else 1.0
    bound = (MOST_USERS * query.sensitivity + 10 * query.sigma) / unit
    return (
        isinstance(answer, expected)
        and {name: array.shape for name, array in answer.sums.items()} == shapes
        and all((abs(np.float64(array)) <= bound).all() for array in answer.sums.values())
    )


def _is_unsigned(answer: Answer | None) -> bool:
    return answer is not None and answer.head is None


def size_of(message: Message) -> int:
    """Return the bytes of a message's content on the wire."""
    from flwr.common.serde import recorddict_to_proto

    if message.has_error():
        return 0
    return int(recorddict_to_proto(message.content).ByteSize())
