"""The wire format: whole round trips through serialised messages, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto

from privacy.query import NoiseKind, TrustModel
from privacy.release import Answer, ClippedSum, Refusal, Release
from privacy.signed_head import SignedHead
from strategies.cluster_map import ClusterMap
from strategies.item_space import ItemSpace
from strategies.messages import (
    MessageError,
    answer_to_records,
    pack_arrays,
    records_to_answer,
    records_to_request,
    request_to_records,
    unpack_arrays,
)
from strategies.questions import (
    QUESTION_TYPES,
    CellSums,
    GroupingGains,
    ItemPopularity,
    ItemWeights,
    ListFeedback,
    ListVotes,
    MapQuality,
    Question,
    Request,
    SecondMoments,
    TasteMoments,
    TasteProjection,
    flatten,
    unflatten,
)
from strategies.taste import Taste
from tests.strategies.examples import a_head, distance_histogram, signed

ORIGIN = np.arange(4, dtype=np.float32)
CLUSTER_MAP = ClusterMap(
    run="run",
    catalogue="c",
    encoder="e",
    centroids=np.eye(2, 4, dtype=np.float32),
    noisy_sizes=np.array([3.5, -1.0], np.float32),
    labels=["Bread, Rolls", "Obst & Gemüse"],
    item_weights=np.ones((2, 3), np.float32),
    popularity=np.ones(3, np.float32),
)
OPTIONS = np.array([[8, 0.3, 0.3, 0, 1], [1e9, 0.3, 0, 0, 0]], np.float32)
QUESTIONS: list[Question] = [
    CellSums(
        origin=ORIGIN,
        basis=np.zeros((4, 0), np.float32),
        centres=np.ones((2, 4), np.float32),
        radius=0.5,
        count_weight=0.3,
    ),
    distance_histogram(np.ones((1, 4), np.float32), bins=32),
    SecondMoments(origin=ORIGIN, basis=np.eye(4, 2, dtype=np.float32), radius=0.2),
    ItemWeights(
        centroids=np.ones((2, 4), np.float32),
        n_items=3,
        recent_days=60.0,
        saturation=10.0,
        cluster_weight=0.6,
    ),
    MapQuality(cluster_map=CLUSTER_MAP, largest_distance=2.0),
    ItemPopularity(n_items=3, latest=10),
    TasteMoments(weights=np.array([0.5, 0, 1], np.float32)),
    ListFeedback(experiment="lists", arms=["plain", "varied"], window_days=30.0, dwell_cap=60.0),
    ListVotes(cluster_map=CLUSTER_MAP, options=OPTIONS),
    TasteProjection(
        weights=np.array([0.5, 0, 1], np.float32),
        directions=np.array([[0.6], [0.8]], np.float32),
        length=0.4,
    ),
    GroupingGains(
        items=np.array([1, 0, 1], np.float32),
        logs=np.zeros(2, np.float32),
        lifts=np.ones((2, 1, 2), np.float32),
        largest=0.1,
    ),
    SecondMoments(
        origin=ORIGIN,
        basis=np.eye(4, 2, dtype=np.float32),
        radius=0.2,
        space=ItemSpace(
            share=0.25,
            taste=Taste(
                weights=np.array([0.5, 0, 1], np.float32),
                directions=np.eye(2, 1, dtype=np.float32),
                strengths=np.ones(1, np.float32),
            ),
        ),
    ),
]
OF_KIND = {question.kind: question for question in QUESTIONS}
SUMS = {"sums": np.array([[1.5, -2.0]], np.float32), "counts": np.array([[7.0]], np.float32)}
STEPS = {"sums": np.array([[3, -(2**40)]], np.int64), "counts": np.array([[7]], np.int64)}
COMMON: dict[str, Any] = {
    "region": "north",
    "run": "run",
    "round_number": 2,
    "purpose": "mean",
    "code": "c" * 64,
}
SUMMED: dict[str, Any] = COMMON | {
    "window": "2026-01-01/2026-04-01",
    "sensitivity": 1.1,
    "sigma": 7.0,
    "entry": 4,
}
ANSWERS: list[Answer] = [
    signed(Release(**SUMMED, sums=SUMS, noise=NoiseKind.DISCRETE)),
    signed(ClippedSum(**SUMMED, sums=STEPS)),
    signed(Refusal(**COMMON, reason="no", sentence="No.")),
]


def over_the_wire(records: RecordDict) -> RecordDict:
    proto = recorddict_to_proto(records)
    return recorddict_from_proto(type(proto).FromString(proto.SerializeToString()))


def request(question: Question) -> Request:
    return Request(
        run="run",
        round_number=3,
        purpose="phase",
        trust_model=TrustModel.LOCAL,
        sigma=2.5,
        encoder="e",
        catalogue="c",
        question=question,
    )


def plain(value: Any) -> Any:
    """Arrays as lists, so that ``==`` compares whole values."""
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tolist())
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return value


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.kind)
def test_request_survives_the_wire(question: Question) -> None:
    sent = request(question)
    received = records_to_request(over_the_wire(request_to_records(sent)))
    assert plain(flatten(received.question)) == plain(flatten(question))
    assert received.query() == sent.query()


def test_every_kind_of_question_is_tried_here() -> None:
    assert {question.kind for question in QUESTIONS} == set(QUESTION_TYPES)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_answer_survives_the_wire(answer: Answer) -> None:
    received = records_to_answer(over_the_wire(answer_to_records(answer)))
    assert type(received) is type(answer)
    for name in type(answer).__dataclass_fields__:
        assert plain(getattr(received, name)) == plain(getattr(answer, name))


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_answer_is_still_genuine_after_the_wire(answer: Answer) -> None:
    received = records_to_answer(over_the_wire(answer_to_records(answer)))
    assert received.is_genuine
    assert (received.head, received.signature) == (answer.head, answer.signature)


def test_a_refusal_without_a_head_survives_the_wire_as_one() -> None:
    bare = Refusal(**COMMON, reason="ledger-unusable", sentence="No.")
    received = records_to_answer(over_the_wire(answer_to_records(bare)))
    assert (received.head, received.signature) == (None, "")


def another(value: Any) -> Any:
    """Return another value of the same type, as little different as can be."""
    match value:
        case float():
            return np.nextafter(value, np.inf).item()
        case int():
            return value + 1
        case str():
            return ("1" if value[:1] == "0" else "0") + value[1:]
    raise TypeError(f"A message has no {type(value).__name__}.")


def flip_a_bit(values: Any) -> Any:
    values = values.copy()
    values.view(np.uint8)[0, 0] ^= 1
    return values


def with_sums(answer: Answer, sums: dict[str, Any]) -> RecordDict:
    """Return the answer's message, with other sums."""
    records = answer_to_records(answer)
    records.array_records["sums"] = pack_arrays(sums)
    return records


def changed_on_the_way(answer: Answer) -> Iterator[tuple[str, RecordDict]]:
    """Return the messages in which one value is another than was sent, and its name."""
    for key in answer_to_records(answer).config_records["answer"]:
        records = answer_to_records(answer)
        records.config_records["answer"][key] = another(records.config_records["answer"][key])
        yield key, records
    for name in getattr(answer, "sums", {}):
        sums = dict(answer.sums)  # type: ignore[union-attr]
        yield name, with_sums(answer, sums | {name: flip_a_bit(sums[name])})


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_an_answer_that_was_changed_on_the_way_is_not_genuine(answer: Answer) -> None:
    tried = set()
    for name, records in changed_on_the_way(answer):
        tried.add(name)
        try:
            received = records_to_answer(over_the_wire(records))
        except MessageError:
            continue  # no answer at all
        assert not received.is_genuine, name
    assert tried >= {"region", "run", "round-number", "purpose", "code", "signature"}
    assert "head.sequence" in tried
    assert tried >= {"sums", "counts", "entry", "window"} or isinstance(answer, Refusal)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
@pytest.mark.parametrize("told", ["c" * 63, "C" * 64, "c" * 64 + "\n", "<b>", 7, None])
def test_a_program_that_is_no_hash_is_an_error(answer: Answer, told: object) -> None:
    records = answer_to_records(answer)
    if told is None:
        del records.config_records["answer"]["code"]
    else:
        records.config_records["answer"]["code"] = told  # type: ignore[assignment]
    with pytest.raises(MessageError, match="code"):
        records_to_answer(records)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
@pytest.mark.parametrize(
    "head", [a_head("south"), a_head("north", 5), a_head("north", 4, state="branch")]
)
def test_an_answer_with_another_genuine_head_is_not_genuine(
    answer: Answer, head: SignedHead
) -> None:
    received = records_to_answer(
        over_the_wire(answer_to_records(dataclasses.replace(answer, head=head)))
    )
    assert head.is_genuine
    assert not received.is_genuine


@pytest.mark.parametrize("answer", ANSWERS[:2], ids=lambda answer: type(answer).__name__)
@pytest.mark.parametrize("change", ["missing", "added"])
def test_an_answer_with_an_array_more_or_less_is_not_genuine(answer: Answer, change: str) -> None:
    sums = dict(answer.sums)  # type: ignore[union-attr]
    if change == "missing":
        del sums["counts"]
    else:
        sums["more"] = sums["counts"]
    assert not records_to_answer(over_the_wire(with_sums(answer, sums))).is_genuine


@pytest.mark.parametrize("change", ["head.sequence", "head.colour"])
def test_a_head_with_a_field_more_or_less_is_no_head(change: str) -> None:
    records = answer_to_records(ANSWERS[0])
    config = records.config_records["answer"]
    if change in config:
        del config[change]
    else:
        config[change] = "red"
    with pytest.raises(MessageError, match="A signed head has"):
        records_to_answer(over_the_wire(records))


@pytest.mark.parametrize(
    ("index", "number"), [(0, np.float64), (0, np.int64), (1, np.float32), (1, np.int32)]
)
def test_sums_of_another_number_type_are_an_error(index: int, number: type[np.generic]) -> None:
    sums = {
        name: values.astype(number)
        for name, values in ANSWERS[index].sums.items()  # type: ignore[union-attr]
    }
    with pytest.raises(MessageError, match=f"the arrays are {np.dtype(number)}, not"):
        records_to_answer(over_the_wire(with_sums(ANSWERS[index], sums)))


def test_sums_of_several_number_types_are_not_packed() -> None:
    with pytest.raises(TypeError, match=r"\['float32', 'int64'\]"):
        pack_arrays({"sums": np.ones(2, np.float32), "counts": np.ones(2, np.int64)})


SHAPES = {"sums": (2, 3), "counts": (2,), "users": (), "none": (0, 4)}


def test_arrays_of_all_shapes_come_as_they_were_sent() -> None:
    sent = {name: np.full(shape, 1.5, np.float32) for name, shape in SHAPES.items()}
    record = pack_arrays(sent)
    assert len(record) == 1
    came = unpack_arrays(record)
    assert {name: values.shape for name, values in came.items()} == SHAPES
    assert list(came) == list(SHAPES)
    assert unpack_arrays(pack_arrays({})) == {}


LAYOUTS = {
    "empty": "",
    "no shape": "sums",
    "no last size": "sums:2x",
    "no first size": "sums:x2",
    "negative": "sums:-1",
    "too many": "sums:2x4",
    "one more": "sums:7",
    "twice": "sums:6 sums:6",
    "nothing after it": "sums:6 ",
    "no name": ":6",
    "a line more": "sums:6\n",
    "two shapes": "sums:3:3",
    "endless": "sums:6x" + "9" * 5000,
    "deep": "sums:" + "1x" * 100 + "6",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_layout_that_does_not_fit_is_an_error(layout: str) -> None:
    with pytest.raises(ValueError, match=r"array|values|int|dim"):
        unpack_arrays(ArrayRecord({layout: Array(np.ones(6, np.float32))}))


def test_two_packs_at_once_are_an_error() -> None:
    one = Array(np.ones(6, np.float32))
    with pytest.raises(ValueError, match="unpack"):
        unpack_arrays(ArrayRecord({"sums:6": one, "counts:6": one}))


@pytest.mark.parametrize("value", ["text", 3, {"sums": SUMS["sums"]}, None, SUMS["sums"]])
def test_nothing_but_the_three_answers_can_be_packed(value: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        answer_to_records(value)


def test_a_subclass_of_release_cannot_be_packed() -> None:
    class WithExactNorms(Release):
        pass

    smuggled = WithExactNorms(**SUMMED, sums=SUMS, noise=NoiseKind.FLOAT)
    with pytest.raises(TypeError, match="Release, ClippedSum or Refusal"):
        answer_to_records(smuggled)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "everybody's vectors"),
        ("trust-model", "blind"),
        ("question.radius", "wide"),
        ("question.radius", -0.5),
        ("question.radius", float("nan")),
        ("question.count-weight", 0.5),
        ("question.count_weight", 0.0),
        ("question.extra", 1),
        ("sigma", "none"),
    ],
)
def test_impossible_request_is_an_error(key: str, value: Any) -> None:
    records = request_to_records(request(QUESTIONS[0]))
    records.config_records["request"][key] = value
    with pytest.raises((MessageError, ValueError, TypeError)):
        records_to_request(records).query()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("cell-sums", {"origin": np.array([np.nan, 0, 0, 0], np.float32)}),
        ("cell-sums", {"centres": np.ones((2, 3), np.float32)}),
        ("cell-sums", {"centres": np.ones((0, 4), np.float32)}),
        ("distance-histogram", {"centres": np.full((1, 4), np.inf, np.float32)}),
        ("distance-histogram", {"bins": 10**9}),
        ("distance-histogram", {"bins": 0}),
        ("distance-histogram", {"largest": 0.0}),
        ("second-moments", {"radius": 0.0}),
        ("second-moments", {"radius": True}),
        ("second-moments", {"basis": np.zeros((3, 2), np.float32)}),
        ("second-moments", {"origin": np.full(4, np.inf, np.float32)}),
        ("item-weights", {"cluster_weight": 1.0}),
        ("item-weights", {"saturation": 0.0}),
        ("item-weights", {"recent_days": float("nan")}),
        ("item-weights", {"n_items": 10**9}),
        ("map-quality", {"largest_distance": float("inf")}),
        ("list-votes", {"options": np.zeros((2, 4), np.float32)}),
        ("list-votes", {"options": OPTIONS[:, :3]}),
        ("list-votes", {"options": OPTIONS[0]}),
        ("list-votes", {"options": OPTIONS[:1]}),
        ("list-votes", {"options": np.tile(OPTIONS, (9, 1))}),
        ("list-votes", {"options": -OPTIONS}),
        ("list-votes", {"options": np.full((2, 4), np.nan, np.float32)}),
        ("list-votes", {"options": np.full((2, 4), np.inf, np.float32)}),
        ("grouping-gains", {"lifts": np.ones((2, 65, 2), np.float32)}),
        ("grouping-gains", {"lifts": np.ones((9, 1, 2), np.float32)}),
        ("grouping-gains", {"lifts": np.full((2, 1, 2), np.nan, np.float32)}),
        ("grouping-gains", {"items": np.array([1, 0.5, 1], np.float32)}),
        ("grouping-gains", {"logs": np.zeros(3, np.float32)}),
        ("grouping-gains", {"largest": 0.0}),
        ("taste-projection", {"weights": np.array([0.5, np.nan, 1], np.float32)}),
        ("taste-projection", {"weights": np.array([0.5, -1, 1], np.float32)}),
        ("taste-projection", {"weights": np.array([0.5, 1, 1], np.float32)}),
        ("taste-projection", {"weights": np.ones(4096, np.float32)}),
        ("taste-projection", {"directions": np.array([[np.nan], [0.8]], np.float32)}),
        ("taste-projection", {"directions": np.array([[3e38], [3e38]], np.float32)}),
        ("taste-projection", {"directions": np.array([[0.9], [0.8]], np.float32)}),
        ("taste-projection", {"directions": np.ones((2, 0), np.float32)}),
        ("taste-projection", {"directions": np.array([0.6, 0.8], np.float32)}),
        ("taste-projection", {"directions": np.array([[1, 0, 0], [0, 1, 0]], np.float32)}),
        ("taste-projection", {"length": 0.0}),
        ("taste-projection", {"length": 1.5}),
        ("taste-projection", {"length": float("nan")}),
    ],
)
def test_question_that_no_user_could_answer_is_an_error(kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|entries|must be at least|clipping norm"):
        request(dataclasses.replace(OF_KIND[kind], **changes)).query()


def test_arrays_of_another_number_type_are_an_error() -> None:
    records = request_to_records(request(QUESTIONS[0]))
    records["arrays"] = ArrayRecord({"origin": Array(np.zeros(4, np.longdouble))})
    with pytest.raises(MessageError, match="float"):
        records_to_request(records)


@pytest.mark.parametrize("found", [2, 4, "3", None])
def test_request_of_another_format_is_called_so(found: object) -> None:
    records = request_to_records(request(QUESTIONS[0]))
    told = records.config_records["request"]
    if found is None:
        del told["format"]
    else:
        told["format"] = found  # type: ignore[assignment]
    with pytest.raises(MessageError, match="format"):
        records_to_request(records)


def test_message_without_a_request_is_an_error() -> None:
    with pytest.raises(MessageError, match="cannot be read"):
        records_to_request(RecordDict({"other": ConfigRecord({"a": 1})}))
    with pytest.raises(MessageError, match="cannot be read"):
        records_to_answer(RecordDict())


def test_questions_that_differ_in_one_number_have_other_fingerprints() -> None:
    wide = CellSums(
        origin=ORIGIN,
        basis=np.zeros((4, 0), np.float32),
        centres=np.ones((2, 4), np.float32) * np.float32(1.0000001),
        radius=0.5,
        count_weight=0.3,
    )
    assert request(wide).query().fingerprint() != request(QUESTIONS[0]).query().fingerprint()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("space.share", np.ones((1, 1, 1), np.float32)),
        ("space.weights", 1.0),
        ("space.directions", np.eye(3, 65, dtype=np.float32)),
    ],
)
def test_a_space_of_another_shape_is_no_question(name: str, value: Any) -> None:
    in_a_space = next(one for one in QUESTIONS if getattr(one, "space", None) is not None)
    flat = flatten(in_a_space)
    assert name in flat
    with pytest.raises(ValueError, match=r"needs|has other fields"):
        unflatten(in_a_space.kind, flat | {name: value})
