"""What reports warn of is told in the page's language, where it is this program that warned."""

from __future__ import annotations

import re
import string
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from server.dashboard.language import Speech, texts
from server.run_store.opening import open_store
from strategies.cautions import cautions
from strategies.clustering import Clustering
from strategies.fallback import fall_back
from strategies.item_space import Space
from strategies.k_curve import KCurve
from strategies.phases.lloyd import merge_small
from tests.server.dashboard.site import ATTACK
from tests.server.dashboard.stores import at
from tests.server.dashboard.test_clusters_page import a_line, add_map, ask
from tests.server.run_store.examples import a_catalogue

STRANGE = "A sentence of a later version, with 7 of 9 things."


def a_clustering(*, k: int = 2, users: float = 1e6, public: bool = True) -> Clustering:
    catalogue = a_catalogue()
    if not public:
        vectors = np.zeros((0, 4), dtype=np.float32)
        catalogue = replace(catalogue, item_ids=[], texts=[], categories=[], vectors=vectors)
    known = Clustering(run="r", k=k, seed=1, effective_mu=1.0, catalogue=catalogue, users=users)
    known.centroids, known.sizes = np.eye(k, 4), np.full(k, 1000.0)
    known.size_noise, known.users_noise = 3.0, 4.0
    return known


def too_short(known: Clustering) -> None:
    known.radius = 1e-4


def weak(known: Clustering) -> None:
    known.sizes[0] = -2.0


def curve(ks: list[int], known: Clustering) -> None:
    known.choosing_k = True
    known.k_curve = KCurve(
        ks=ks,
        silhouettes=[0.1] * len(ks),
        inertias=[1.0] * len(ks),
        peak=ks[-1],
        elbow=ks[-1],
        chosen=9,
        is_sharp=False,
        is_open=True,
        n_cells=12,
    )


def merged(known: Clustering) -> None:
    known.least_size, known.sizes = 500.0, np.array([1000.0, 5.0])
    merge_small(known)


def choosing(known: Clustering) -> None:
    known.choosing_k = True
    fall_back(known)


CASES: dict[str, tuple[Callable[[], Clustering], Callable[[Clustering], object]]] = {
    "caution.without-taste": (a_clustering, lambda known: known.enter(Space.TASTE)),
    "caution.from-public": (lambda: a_clustering(users=-2.0), fall_back),
    "caution.fewer-tried": (lambda: a_clustering(k=4, users=170.0, public=False), choosing),
    "caution.fewer-found": (lambda: a_clustering(k=4, users=170.0, public=False), fall_back),
    "caution.merged": (a_clustering, merged),
    "caution.too-short": (a_clustering, too_short),
    "caution.weak": (a_clustering, weak),
    "caution.still-climbing": (a_clustering, lambda known: curve([1, 2, 3], known)),
    "caution.few-cells": (a_clustering, lambda known: curve([1], known)),
    "caution.public-left-out": (lambda: a_clustering(k=4), lambda known: None),
    "caution.wrongly-declared": (a_clustering, lambda known: None),
    "caution.large-delta": (a_clustering, lambda known: None),
}
"""A clustering, and what befalls it, for each sentence that is known."""


def said(case: str) -> list[str]:
    """Return what a report would warn of."""
    make, befalls = CASES[case]
    known = make()
    befalls(known)
    declared = 1_500_000 if case.endswith("declared") else None
    delta = 1e-3 if case.endswith("delta") else 1e-9
    own = [known.warning] if known.warning else []
    return [*own, *cautions(known, delta=delta, n_declared=declared)]


def test_every_known_sentence_has_a_case() -> None:
    assert {key for key in texts("en") if key.startswith("caution.")} == CASES.keys()


@pytest.mark.parametrize("case", list(CASES))
def test_what_a_clustering_warns_of_is_known_with_its_numbers(case: str) -> None:
    (sentence,) = said(case)
    for around in ("{}", f"{STRANGE} {{}}", f"{{}} {STRANGE}"):
        told = Speech("zh").cautions(around.format(sentence))
        assert [part.words for part in told if not part.is_known] == [STRANGE] * (around != "{}")
        (known,) = [part.words for part in told if part.is_known]
        words = [text for text, *_ in string.Formatter().parse(texts("zh")[case])]
        assert re.fullmatch(".+".join(map(re.escape, words)), known)
        figures = re.findall(r"\d[\d,.e-]*\d|\d", sentence)
        assert sorted(re.findall(r"\d[\d,.e-]*\d|\d", known)) == sorted(figures)
    assert [part.words for part in Speech("en").cautions(sentence)] == [sentence]


def test_sentences_stay_in_their_order() -> None:
    text = f"{said('caution.weak')[0]} {STRANGE} {said('caution.merged')[0]}"
    told = Speech("zh").cautions(text)
    assert [part.is_known for part in told] == [True, False, True]
    assert told[0].words.startswith("2 个聚类中有 1 个")
    assert told[2].words.startswith("2 个聚类变成了 1 个")


@pytest.mark.parametrize(
    "text",
    [ATTACK, "{0.__class__}", "{n} of {k} clusters", "3 of 6 clusters", " ", "1" * 200_000],
    ids=["markup", "braces", "placeholders", "half", "blank", "long"],
)
def test_what_is_not_known_stays_as_it_is(text: str) -> None:
    begun = time.perf_counter()
    told = Speech("zh").cautions(text)
    assert time.perf_counter() - begun < 2
    assert [(part.words, part.is_known) for part in told] == [(text, False)] * bool(text.strip())


def test_pages_tell_it_in_their_language(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "runs.sqlite"))
    weak, lines = said("caution.weak")[0], [a_line(0, 50.0), a_line(1, 60.0)]
    add_map(store, "old", lines)
    add_map(store, "new", lines, days=1, warning=f"{weak} {ATTACK}")
    store.close()
    client = at(store.place, tmp_path / "people")
    for path in ("/overview", "/clusters", "/clusters/compare"):
        english, chinese = (ask(client, path, language).text for language in ("en", "zh"))
        assert weak in english
        assert "do not rise above the noise (fewer" not in chinese
        assert "2 个聚类中有 1 个未超出噪声" in chinese
        assert "6 位用户" in chinese
        assert '<span lang="en">&lt;script&gt;' in chinese
        assert "<script>alert" not in english + chinese
