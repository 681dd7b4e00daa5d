"""The benchmark says what was measured: figures, tables, verdicts, and goes on where it stopped."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from client.recommender import Recommender
from client.stated_interests import StatedInterests
from simulations.recommendation import benchmark
from simulations.recommendation.behaviour import Behaviour, _declared
from simulations.recommendation.benchmark import BEGIN, END, gathered, main, measure, sections
from simulations.recommendation.cold_start import (
    Newcomer,
    _hits,
    newcomers,
    rows,
)
from simulations.recommendation.cold_start import hits as cold_hits
from simulations.recommendation.figures import (
    Figure,
    Line,
    Paired,
    References,
    figure,
    p_value,
    paired,
)
from simulations.recommendation.groups import groupings
from simulations.recommendation.judging import Judge
from simulations.recommendation.labels import faults
from simulations.recommendation.learning import learn
from simulations.recommendation.measures import MEASURES, measures
from simulations.recommendation.populations import people_with_topics, session_population
from simulations.recommendation.rows import (
    NOT_WORSE,
    NOT_WORSE_THAN_RECENT,
    ROWS,
    Row,
    clusters_alone,
    joint,
)
from simulations.recommendation.saved import keep, kept
from simulations.recommendation.splits import global_time, leave_last_out, whole
from simulations.recommendation.tables import fill, is_met, table, verdicts
from simulations.recommendation_quality import ranking_measures
from tests.simulations.test_recommendation import catalogue

ASKED = Row(behaviour="tiny", asked={4: 0.2}, k=1)


@pytest.fixture(scope="module")
def people() -> Behaviour:
    return session_population(catalogue(), 600, seed=4)


@pytest.fixture(scope="module")
def folder(people: Behaviour, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("kept")
    measure([ASKED], {"tiny": lambda: people}, 2, found, resume=False)
    return found


def made_up(gain: float, error: float = 0.01) -> Line:
    def some(mean: float) -> dict[str, Figure]:
        names = (*MEASURES, "coverage")
        return {name: Figure(mean=mean, error=error, noise_error=0.0) for name in names}

    return Line(
        set="tiny",
        split="leave-last-out",
        released="taste",
        epsilon=4,
        draws=1,
        people=10,
        ours=some(0.1 + gain),
        popularity=some(0.1),
        rivals={},
        paired={"popularity": Paired(gain=gain, error=error, noise_error=0.0, p=0.5)},
        groups={},
        seconds=1,
    )


def test_measures_of_people_average_to_the_measures_of_all() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.random((200, 40)) < 0.1
    wanted[:, 0] |= ~wanted.any(axis=1)
    ranked = np.argsort(rng.random((200, 40)), axis=1)[:, :10]
    vectors = rng.standard_normal((40, 6))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    counts = rng.integers(1, 200, 40).astype(np.float64)
    found = measures(wanted, ranked, counts / 200, vectors)
    known = ranking_measures(wanted, ranked, counts, 200, vectors)
    for name in set(MEASURES) - {"f1"}:  # there F1 is of mean precision and mean recall
        assert found[name].mean() == pytest.approx(getattr(known, name), rel=1e-5)
    precision, recall = found["precision"], found["recall"]
    hit = precision > 0
    harmonic = 2 / (1 / precision[hit] + 1 / recall[hit])
    np.testing.assert_allclose(found["f1"][hit], harmonic)
    assert not found["f1"][~hit].any()


def test_p_value_is_that_of_all_sign_flips() -> None:
    differences = np.array([0.2, 0.5, -0.1, 0.4, 0.3, 0.6, 0.1, -0.2, 0.5])
    signs = np.array(list(product([1, -1], repeat=len(differences))))
    means = np.abs(signs @ differences)
    exact = float((means >= abs(differences.sum()) - 1e-12).mean())
    assert p_value(differences) == pytest.approx(exact, abs=0.01)
    assert p_value(np.zeros(5)) == 1.0
    many = np.random.default_rng(0).normal(0.03, 1, 5000)
    assert p_value(many) == pytest.approx(2 * 0.5 * math.erfc(_z(many) / math.sqrt(2)), rel=1e-6)


def _z(values: np.ndarray) -> float:
    return float(abs(values.mean()) / values.std(ddof=1) * np.sqrt(len(values)))


def test_people_and_noise_each_have_a_standard_error() -> None:
    draws = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    found = figure(draws)
    assert found.mean == 0.5
    assert found.error == pytest.approx(np.std([0.5, 0, 1, 0.5], ddof=1) / 2)
    assert found.noise_error == pytest.approx(np.std([0.75, 0.25], ddof=1) / np.sqrt(2))
    assert figure(draws[:1]).noise_error == 0.0
    same = paired(draws, draws)
    assert (same.gain, same.error, same.p) == (0.0, 0.0, 1.0)
    assert same.noise_error == pytest.approx(np.sqrt(2) * found.noise_error)


def test_groups_are_quartiles_of_history_and_of_how_popular_it_is(people: Behaviour) -> None:
    alone = tuple("c" if user else "rare" for user in range(people.n_users))
    declared = (*("ab"[user % 2] for user in range(people.n_users - 1)), "rare")
    judge = Judge(leave_last_out(replace(people, declared={"letter": declared, "alone": alone})))
    activity, mainstream, letter = groupings(judge)
    met = judge.split.met[judge.users]
    counts = np.diff(met.indptr)
    for grouping in (activity, mainstream):
        together = np.concatenate(list(grouping.members.values()))
        assert sorted(together.tolist()) == list(range(len(judge.users)))
    lengths = [counts[some] for some in activity.members.values()]
    assert all(low.max() <= high.min() for low, high in pairwise(lengths))
    shares = [
        np.mean([judge.shares[met[user].indices].mean() for user in some])
        for some in mainstream.members.values()
    ]
    assert shares == sorted(shares)
    assert set(letter.members) == {"a", "b"}  # of one person a hit rate says nothing
    assert {declared[judge.users[one]] for one in letter.members["a"]} == {"a"}


def test_movielens_people_have_gender_and_age(tmp_path: Path) -> None:
    path = tmp_path / "ml-100k.user"
    assert _declared(path, np.array([1, 2])) == {}
    path.write_text("user_id\tage\tgender\tjob\n2\t24\tF\tx\n1\t50\tM\ty\n3\t7\tM\tz\n")
    found = _declared(path, np.array([1, 2, 3]))
    assert found["gender"] == ("M", "F", "M")
    assert found["age"] == ("50 and over", "under 25", "under 25")


def test_every_line_of_the_benchmark_is_of_its_own() -> None:
    names = [benchmark._line_name(row, epsilon) for row in ROWS for epsilon in row.asked]
    assert len(set(names)) == len(names)
    lowest = {row.behaviour for row in ROWS if row.split is leave_last_out and 0.1 in row.asked}
    assert lowest == {row.behaviour for row in ROWS}
    later = {row.behaviour for row in ROWS if row.split is global_time}
    assert later == {row.behaviour for row in ROWS}


def test_a_line_has_every_rival_measure_and_group(folder: Path) -> None:
    line = kept(folder, benchmark._line_name(ASKED, 4), Line)
    assert line is not None
    assert set(line.rivals) == {"recent popularity", "random clusters", "text clusters"}
    assert set(line.paired) == {"popularity", *line.rivals}
    assert set(line.ours) == set(line.popularity) == {*MEASURES, "coverage"}
    assert set(line.groups) == {"activity", "mainstreamness"}
    difference = line.ours["hit_rate"].mean - line.popularity["hit_rate"].mean
    assert line.paired["popularity"].gain == pytest.approx(difference)
    assert line.ours["hit_rate"].noise_error > 0
    known = kept(folder, benchmark._references_name(ASKED), References)
    assert known is not None
    assert known.best[1].mean == max(one.mean for one in known.non_private.values())
    assert known.no_noise.mean > line.popularity["hit_rate"].mean


def test_a_killed_benchmark_goes_on_from_what_it_kept(folder: Path) -> None:
    def never() -> Behaviour:
        raise AssertionError("measured again")

    measure([ASKED], {"tiny": never}, 2, folder, resume=True)
    with pytest.raises(AssertionError, match="measured again"):
        measure([ASKED], {"tiny": never}, 3, folder, resume=True)
    with pytest.raises(AssertionError, match="measured again"):
        measure([ASKED], {"tiny": never}, 2, folder, resume=False)


def test_the_page_has_what_is_kept_and_the_rest_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, references = gathered([ASKED, Row(behaviour="other", asked={1: None})], folder)
    assert "Not measured: other leave_last_out taste 1" in capsys.readouterr().out
    assert [asked for _, asked in found] == [0.2]
    assert len(references) == 1
    text = sections(found, references)
    for part in ("text clusters", "novelty", "mainstreamness", "things asked", "EASE", "gap"):
        assert part in text


def test_the_page_is_made_without_measuring(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(benchmark, "PAGE", document)
    monkeypatch.setattr(benchmark, "ROWS", (ASKED,))
    assert main(["--page", "--kept", str(tmp_path / "nothing")]) == 1
    assert "old" in document.read_text(encoding="utf-8")
    assert main(["--page", "--kept", str(folder)]) == 0
    written = document.read_text(encoding="utf-8")
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "old" not in written
    with pytest.raises(SystemExit):
        main(["--only", "nobody"])


def test_what_was_kept_in_another_form_is_measured_again(tmp_path: Path) -> None:
    keep(tmp_path, "A line, 0.1", made_up(0.05))
    assert kept(tmp_path, "A line, 0.1", Line) == made_up(0.05)
    assert kept(tmp_path, "A line, 0.1", References) is None
    assert kept(tmp_path, "another", Line) is None


def test_met_is_what_the_figures_say() -> None:
    assert is_met(made_up(0.0201), 0.2)
    assert not is_met(made_up(0.0199), 0.2)
    assert is_met(made_up(-0.02), NOT_WORSE)
    assert not is_met(made_up(-0.0201), NOT_WORSE)
    said = verdicts([(made_up(0.0201), 0.2), (made_up(-0.03), NOT_WORSE), (made_up(0.0), None)])
    assert "Of 2 things asked 1 are met." in said
    assert "- met: tiny, leave-last-out, epsilon 4: asked +20%, found +20.1% ± 10.0%" in said
    assert "- **not met**: tiny, leave-last-out, epsilon 4: asked not worse, found -30.0%" in said
    assert "- **not met**, by less than a standard error:" in verdicts([(made_up(0.015), 0.2)])
    assert "- **not met**: tiny" in verdicts([(made_up(0.005), 0.2)])


def test_who_follows_what_is_popular_lately_is_compared_with_it() -> None:
    line = made_up(0.05)
    recent = Paired(gain=-0.021, error=0.01, noise_error=0.0, p=0.04)
    line.paired["recent popularity"] = recent
    line.rivals["recent popularity"] = Figure(mean=0.21, error=0.01, noise_error=0.0)
    assert not is_met(line, NOT_WORSE_THAN_RECENT)
    said = verdicts([(line, NOT_WORSE_THAN_RECENT)])
    assert "not met**: tiny, leave-last-out, epsilon 4: asked not worse than recent" in said
    assert "found -10.0% ± 4.8%" in said
    line.paired["recent popularity"] = recent.model_copy(update={"gain": -0.02})
    assert is_met(line, NOT_WORSE_THAN_RECENT)


def test_tables_are_markdown_and_go_between_their_marks(tmp_path: Path) -> None:
    text = table([{"set": "a", "eps": "1"}, {"set": "b"}])
    assert text.splitlines() == ["| set | eps |", "|---|---|", "| a | 1 |", "| b | - |"]
    path = tmp_path / "page.md"
    path.write_text("x<b>old<e>y", encoding="utf-8")
    fill(path, "<b>", "<e>", text)
    assert path.read_text(encoding="utf-8") == f"x<b>\n{text}\n<e>y"
    for wrong in ("<e> <b>", "<b>", "<b><e><e>"):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match="was not changed"):
            fill(path, "<b>", "<e>", text)
        assert path.read_text(encoding="utf-8") == wrong


def test_newcomers_are_no_part_of_the_run_that_serves_them() -> None:
    everybody, likes = people_with_topics(catalogue(), 1300, seed=6)
    shop = catalogue()
    topics = {
        name: shop.vectors[np.array(shop.categories) == name].mean(axis=0)
        for name in set(shop.categories)
    }
    stated = [
        StatedInterests(
            texts=own[:3],
            vectors=np.array(
                [topics[name] / np.linalg.norm(topics[name]) for name in own[:3]], np.float32
            ),
        )
        for own in likes[1000:]
    ]
    earlier, new = newcomers(everybody, 1000, stated)
    assert earlier.n_users == 1000
    assert len(new) == 300
    assert new[0].items[0] == everybody.items[everybody.users == 1000][0]
    split = whole(earlier)
    pushed = learn(split, joint, 8.0, k=4)
    assert pushed.taste is not None
    clusters = learn(split, clusters_alone, 8.0, k=4)
    assert clusters.taste is None
    found = cold_hits(pushed, clusters, split, new)
    recommender = Recommender(split.profiles, shop.vectors, pushed, pd.DataFrame())
    first = shop.item_ids[new[0].items[0]]
    listed = [one.item_id for one in recommender.new_for("nobody", interests=new[0].interests)]
    assert found["clusters and taste"]["the first item"][0] == (first in listed)
    popular = hits_of_popularity(pushed.popularity, new)
    assert found["popularity"]["the first item"].tolist() == popular
    said = rows([found, found])
    assert [one["list by"] for one in said] == 2 * ["clusters", "clusters and taste"]
    assert [one["asked"] for one in said] == ["-", "+15%", "-", "-"]
    assert not faults(pushed.labels)


def hits_of_popularity(popularity: np.ndarray, new: list[Newcomer]) -> list[float]:
    best = np.argsort(-popularity, kind="stable")[:10]
    return [float(one.items[0] in best) for one in new]


def test_hits_are_of_what_a_newcomer_took_up_first() -> None:
    nobody = StatedInterests(texts=(), vectors=np.zeros((0, 2), np.float32))
    new = [Newcomer(interests=nobody, items=np.array([4, 2, 9])) for _ in range(3)]
    found = _hits(np.array([[4, 1], [2, 1], [7, 8]]), new)
    assert found["the first item"].tolist() == [1.0, 0.0, 0.0]
    assert found["any of the first five"].tolist() == [1.0, 1.0, 0.0]


def test_labels_that_say_nothing_are_found() -> None:
    assert not faults(["Bread, tea", "Soap", "4-20 boys team sport"])
    found = faults(["Bread", "", "12", "Cluster 3", "bread", "2.1"])
    assert len(found) == 5
    assert found[-1] == "'bread' labels 2 clusters"
