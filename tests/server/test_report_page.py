"""The page for people: complete, harmless whatever the data says, and on its own."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from server.feedback_report import feedback_part
from server.report import (
    ClusteringPart,
    ClusterPart,
    CostPart,
    EncoderPart,
    GoesWithPart,
    PlannedRelease,
    PrivacyPart,
    PrivateEvaluationPart,
    RankingPart,
    ReceiptPart,
    RecommendationPart,
    RefusalPart,
    RepeatBaseline,
    RepeatPart,
    Report,
    RunPart,
    TastePart,
    WeightsPart,
)
from server.report_page import render
from strategies.aggregation import NoisySum
from strategies.arm_comparison import outcome
from strategies.questions import ListFeedback

VOID = {"meta"}
SENTENCES = ("Over the limit of 4.", "Over the limit of 2.")


@pytest.fixture
def minimal() -> Report:
    return Report(
        run=RunPart(
            id="run-17",
            name="spring",
            version="0.1.0",
            seed=1,
            started="2026-01-02T03:04:05+00:00",
            seconds=4.0,
            trust_model="central",
            n_clients=3,
            n_users=1200,
            n_rounds=2,
            simulated=False,
        ),
        encoder=EncoderPart(name="encoder", dim=4, device="cpu", fingerprint="0123456789abcdef"),
        clustering=ClusteringPart(
            k=3,
            k_was_chosen=False,
            noisy_users=1187.5,
            users_noise=12.0,
            clusters=[
                ClusterPart(id=0, label="Bread", terms=["rye"], items=["RYE"], noisy_size=10.0),
                ClusterPart(
                    id=1, label="Tea & <script>", terms=["<b>"], items=["<B>"], noisy_size=40.0
                ),
                ClusterPart(id=2, label="Nobody", terms=[], items=[], noisy_size=-2.5),
            ],
            size_noise=9.0,
            silhouette=None,
            silhouette_noise=None,
            inter_cluster_distance=0.5,
            intra_cluster_distance=None,
            smallest_cluster=-2.5,
        ),
        privacy=PrivacyPart(
            statement="Nobody can tell.",
            not_protected=["Several regions."],
            epsilon=4.0,
            delta=1e-6,
            unit="user",
            adjacency="add-or-remove-one",
            window="2017",
            lifetime_epsilon=4.0,
            accountant="gaussian-dp",
            epsilon_by_accountant={"gaussian-dp": 3.9, "new": 3.95},
            noise="discrete",
            plan=[PlannedRelease(phase="unheard-of", sensitivity=1.0, sigma=2.0, share=1.0)],
            releases=3,
            refusals=[],
        ),
        cost=CostPart(
            bytes_up_per_client_round=1500.0,
            bytes_down_per_client_round=2500.0,
            seconds_per_round=0.25,
        ),
    )


@pytest.fixture
def full(minimal: Report) -> Report:
    ranking = RankingPart(**dict.fromkeys(RankingPart.model_fields, 0.25))
    report = minimal.model_copy(deep=True)
    report.run.simulated = True
    report.privacy.refusals = [
        RefusalPart(client=f"region-{i}", round=2, reason="budget-exhausted", sentence=sentence)
        for i, sentence in enumerate([SENTENCES[0], SENTENCES[0], SENTENCES[1]])
    ]
    report.clustering.normalized_cost, report.clustering.trivial_cost = 1.1, 1.4
    report.clustering.silhouette, report.clustering.silhouette_noise = 0.066, 0.01
    report.recommendation = RecommendationPart(
        **ranking.model_dump(),
        k=10,
        hit_rate_standard_error=0.011,
        difference_to_popularity=-0.01,
        difference_standard_error=0.02,
        n_evaluated=900,
        baselines={"popularity": ranking},
    )
    report.repeat = RepeatPart(
        k=10,
        recall=0.278,
        recall_standard_error=0.005,
        n_evaluated=901,
        baselines={"popularity": RepeatBaseline(recall=0.145)},
    )
    question = ListFeedback(
        experiment="lists",
        arms=["plain", "varied", "few"],
        window_days=30.0,
        dwell_cap=60.0,
    )
    sums = np.array([[500.0, 300.0, 400.0, 50.0], [500.0, 150.0, 400.0, 5.0], [1.0, 0, 0, 0]])
    report.feedback = feedback_part(outcome(question, NoisySum({"arms": sums}, 7.5)))
    report.private_evaluation = PrivateEvaluationPart(
        k=10,
        noisy_users=812.4,
        hit_rate=0.131,
        hit_rate_noise=0.012,
        popularity=0.087,
        popularity_noise=0.011,
        difference_noise=0.016,
        chosen=WeightsPart(half_life=1e9, text=0.3, popularity=0.3, lift=0.0, cluster=1.0),
        gain=0.0034,
        gain_noise=0.0005,
    )
    report.receipts = [
        ReceiptPart(
            region="region-0",
            releases=9,
            spent_epsilon=3.9,
            limit_epsilon=4.0,
            lifetime_epsilon=7.5,
            lifetime_limit=16.0,
            refused=1,
        )
    ]
    return report


class Outline(HTMLParser):
    """Checks that elements close in order, and collects what a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_no_network_and_no_script(full: Report) -> None:
    page = render(full)
    outline = Outline(page)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert not re.search(r"https?:|//|url\(|@import", page)
    assert not {"script", "link", "img", "iframe"} & set(outline.tags)
    assert [value for name, value in outline.attributes if name in {"src", "href"}] == [
        "report.json"
    ]


def test_what_comes_from_data_is_text_only(full: Report) -> None:
    full.run.name = full.privacy.refusals[0].client = '"><script>alert(1)</script>'
    page = render(full)
    assert "script" not in Outline(page).tags
    assert "Tea &amp; &lt;script&gt;" in page
    assert "&lt;b&gt;" in page


def test_what_goes_with_what_is_shown_as_text(minimal: Report) -> None:
    assert "What goes with what</h2>" not in render(minimal)
    minimal.taste = TastePart(
        items=140,
        directions=5,
        examples=[GoesWithPart(item="<tea>", goes_with=["milk", "sugar & spice"])],
    )
    page = render(minimal)
    assert "What goes with what</h2>" in page
    assert "&lt;tea&gt;</th><td>milk, sugar &amp; spice</td>" in page


def test_interruptions_and_answers_that_came_too_late_are_shown(minimal: Report) -> None:
    assert "Interrupted" not in render(minimal)
    assert "Not in time" not in render(minimal)
    minimal.run.resumed, minimal.run.late_answers = 2, 1
    page = tidy(render(minimal))
    assert "2 times; went on from what was kept" in page
    assert "1 answer, not used" in page


def test_how_taste_was_asked_for_stands_beside_the_plan(minimal: Report) -> None:
    assert "<small>which items go with which" not in render(minimal)
    minimal.privacy.recommendation_plan = "Taste is <asked> for in 3 answers."
    minimal.privacy.plan.append(
        PlannedRelease(phase="taste-2", sensitivity=0.4, sigma=2.0, share=0.2)
    )
    page = render(minimal)
    assert "Taste is &lt;asked&gt; for in 3 answers." in page
    assert "<small>which items go with which" in page


def test_the_page_says_what_clusters_are_made_of_where_it_is_not_texts_alone(full: Report) -> None:
    assert "Made of" not in render(full)
    full.clustering.space = "both"
    assert "Made of items' texts and of what goes with what.</p>" in tidy(render(full))
    full.clustering.space = "taste"
    full.clustering.space_quality = {"taste": 0.0304, "both": 0.0291}
    full.clustering.space_quality_noise = 0.0012
    page = tidy(render(full))
    assert "Made of what goes with what, chosen" in page
    assert "over texts, taste 0.0304, both 0.0291 (± 0.0012)." in page


def tidy(page: str) -> str:
    """Return the page with single spaces and plain apostrophes."""
    return " ".join(page.replace("&#39;", "'").split())


def test_every_cluster_and_every_refusal_is_shown(full: Report) -> None:
    page = unescape(render(full))
    labels = [page.index(label) for label in ("Tea & <script>", "Bread", "Nobody")]
    assert labels == sorted(labels)
    assert all(refusal.client in page for refusal in full.privacy.refusals)
    assert [page.count(sentence) for sentence in SENTENCES] == [1, 1]


def test_a_negative_noisy_size_is_printed_but_its_bar_is_empty(minimal: Report) -> None:
    page = render(minimal)
    assert "-2 ± 9 users" in page
    assert re.findall(r'aria-hidden="true"><i style="width: (.*?)"', page) == [
        "100.00%",
        "25.00%",
        "0.00%",
    ]


def test_absent_parts_leave_no_trace(minimal: Report) -> None:
    page = render(minimal)
    body = page[page.index("<body>") :]
    assert "None" not in body
    for trace in (
        "SIMULATED",
        "Silhouette",
        "hit rate",
        "recall",
        "receipts",
        "Peak memory",
        "Feedback",
    ):
        assert trace not in body


def test_a_figure_that_is_no_number_is_absent_too(minimal: Report) -> None:
    minimal.clustering.silhouette = float("nan")
    assert "nan" not in render(minimal)


@pytest.mark.parametrize("kind", ["minimal", "full"])
def test_the_page_is_well_formed_with_headings_in_order(
    kind: str, request: pytest.FixtureRequest
) -> None:
    outline = Outline(render(request.getfixturevalue(kind)))
    levels = [int(tag[1]) for tag in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert outline.open == []
    assert ("lang", "en") in outline.attributes
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert outline.tags.count("caption") == outline.tags.count("table")


def test_what_users_said_about_lists_is_told_with_its_noise_and_its_flaw(full: Report) -> None:
    page = " ".join(unescape(render(full)).split())
    assert "Judged by 812 users (noisy)" in page
    assert "0.131 <small>± 0.012</small>" in page
    assert "0.087 <small>± 0.011</small>" in page
    assert "for the next item this may be too high" in page
    assert "half-life of a history: none, text: 0.3, cluster: 1" in page
    assert "0.0034 ± 0.0005" in page
    assert full.private_evaluation is not None
    full.private_evaluation.chosen.half_life, full.private_evaluation.gain = 8.0, 0.0
    page = render(full)
    assert "half-life of a history: 8 items" in page
    assert "Better than the usual weights" not in page


def test_private_figures_stand_without_an_oracles(full: Report) -> None:
    full.recommendation = full.repeat = None
    page = render(full)
    assert "Recommendation quality" in page
    assert "baselines use exact counts" not in page


def test_a_simulation_says_that_it_protects_nobody(full: Report) -> None:
    page = render(full)
    assert "SIMULATED" in page
    assert "it protects nobody" in page


def test_what_came_of_an_experiment_is_shown_with_its_noise(full: Report) -> None:
    assert full.feedback is not None
    page = " ".join(unescape(render(full)).split())
    assert "Feedback: lists" in page
    assert "varied is accepted less often than plain" in page
    assert "30.0% <small>± 0.9%" in page
    assert "6.0 <small>± 0.9" in page
    assert page.count("too few users") == 3
    assert len(full.feedback.differences) == 1
