"""Labels of clusters: readable, distinct, from public knowledge and releases only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from strategies.labels import ClusterWords, belonging, describe_levels, directions
from strategies.public_catalogue import PublicCatalogue
from tests.strategies.conftest import DIM, GROUPS, unit

CENTROIDS = np.eye(len(GROUPS), DIM) * 0.9
Array = npt.NDArray[np.float64]


def described(
    centroids: Array, catalogue: PublicCatalogue | None, **released: Array
) -> list[ClusterWords]:
    """Describe the clusters themselves, without levels above them."""
    return describe_levels(centroids, catalogue, [np.arange(len(centroids))], **released)[0]


def label_clusters(
    centroids: Array, catalogue: PublicCatalogue | None, **released: Array
) -> list[str]:
    return [words.label for words in described(centroids, catalogue, **released)]


def typical_items(
    centroids: Array, catalogue: PublicCatalogue, count: int, **released: Array
) -> list[list[str]]:
    return [words.items[:count] for words in described(centroids, catalogue, **released)]


def a_catalogue(groups: Sequence[tuple[str, Sequence[str]]]) -> PublicCatalogue:
    """Items of each group around a direction of their own: pairs of category and texts."""
    rng = np.random.default_rng(3)
    texts = [text for _, texts in groups for text in texts]
    sizes = [len(texts) for _, texts in groups]
    vectors = np.repeat(np.eye(len(groups), DIM), sizes, axis=0)
    return PublicCatalogue(
        fingerprint="catalogue-2",
        encoder="encoder-1",
        encoder_name="fake",
        device="cpu",
        item_ids=[f"sku-{number}" for number in range(len(texts))],
        texts=texts,
        categories=[name for name, texts in groups for _ in texts],
        vectors=unit(vectors + 0.05 * rng.standard_normal(vectors.shape)),
    )


@pytest.fixture
def shop() -> PublicCatalogue:
    return a_catalogue(
        [
            ("GROCERY > BREAD - ALL OTHER", ["rye bread", "wheat bread", "rye rolls"]),
            ("GROCERY > TEA", ["green tea", "black tea", "green leaf tea"]),
            ("HOME > SOAP", ["bar soap", "liquid soap", "soap bar"]),
            ("HOME > DVD", ["dvd player", "dvd discs", "player cable"]),
        ]
    )


def words_in(label: str) -> list[str]:
    return label.lower().replace(",", " ").split()


def test_labels_name_what_sets_clusters_apart(catalogue: PublicCatalogue) -> None:
    assert label_clusters(CENTROIDS, catalogue) == ["Bread", "Fruit", "Soap"]


def test_departments_spread_over_many_clusters_name_none(shop: PublicCatalogue) -> None:
    labels = label_clusters(np.eye(4, DIM), shop)
    assert labels == ["Bread", "Tea", "Soap", "DVD"]


def test_no_two_clusters_are_labelled_alike(catalogue: PublicCatalogue) -> None:
    rng = np.random.default_rng(0)
    centroids = np.repeat(CENTROIDS, 5, axis=0) + 0.01 * rng.standard_normal((15, DIM))
    labels = label_clusters(centroids, catalogue)
    assert len(set(labels)) == 15
    assert all(labels)


def test_no_label_repeats_a_word() -> None:
    catalogue = a_catalogue(
        [
            ("SOFT DRINKS", ["cola", "lemonade"]),
            ("FRUIT DRINKS", ["apple drink", "pear drink"]),
            ("BREAD", ["rye", "wheat"]),
        ]
    )
    both = np.zeros((2, DIM))
    both[0, :2] = both[1, 2] = 1.0
    first, second = label_clusters(both, catalogue)
    assert sorted(words_in(first)) == sorted(set(words_in(first)))
    assert "drinks" in first
    assert second == "Bread"


def test_a_further_part_names_other_items_than_the_first() -> None:
    bread, tea = ("SHOP > BAKERY > BREAD", ["rye"] * 3), ("SHOP > TEA", ["green"] * 3)
    catalogue = a_catalogue([bread, tea, ("SHOP > SOAP", ["bar"] * 3)])
    mixed = np.zeros((2, DIM))
    mixed[0, :2] = mixed[1, 2] = 1.0
    first, second = label_clusters(mixed, catalogue)
    assert set(words_in(first)) in ({"bakery", "tea"}, {"bread", "tea"})
    assert second == "Soap"


def test_a_further_part_is_not_merely_a_wider_name() -> None:
    rest = ["lime", "melon", "fig", "kiwi", "date", "quince", "medlar", "sloe"]
    fruit = [("ORCHARD > STONE FRUIT", ["plum"] * 5), ("ORCHARD", rest)]
    fruit.append(("ORCHARD > BERRIES", ["berry"] * 2))
    others = [(name, [name.lower()] * 9) for name in ("BREAD", "SOAP", "TEA")]
    centroids = np.zeros((5, DIM))
    centroids[0, :2] = 1.0  # no berries
    centroids[1:, 2:6] = np.eye(4)
    labels = label_clusters(centroids, a_catalogue([*fruit, *others]))
    assert labels == ["Stone fruit", "Berries", "Bread", "Soap", "Tea"]


def test_without_categories_terms_make_the_labels(shop: PublicCatalogue) -> None:
    bare = replace(shop, categories=[""] * len(shop.texts))
    labels = label_clusters(np.eye(4, DIM), bare)
    assert "soap" in labels[2].lower()
    assert "tea" in labels[1].lower()


def test_chinese_catalogues_give_chinese_labels_and_terms() -> None:
    coffee, phones = ["速溶咖啡", "咖啡豆", "冷萃咖啡"], ["手机壳", "手机充电器", "智能手机"]
    catalogue = a_catalogue([("食品 > 饮料", coffee), ("", phones)])
    first, second = describe_levels(np.eye(2, DIM), catalogue, [np.arange(2)])[0]
    assert first.label in ("食品", "饮料", "食品, 饮料")
    assert "咖啡" in first.terms
    assert second.label == "手机"


def test_released_weights_move_terms_towards_what_a_cluster_takes_up(
    shop: PublicCatalogue,
) -> None:
    shop = replace(shop, categories=[path.split(" > ")[1] for path in shop.categories])
    both = np.zeros((2, DIM))
    both[0, :2] = both[1, 2:4] = 1.0
    popularity = np.full(12, 10.0)
    weights = np.tile(popularity, (2, 1))
    weights[0, 3:6] *= 2.0  # tea
    weights[1, 6:9] *= 2.0  # soap
    labels = label_clusters(both, shop, item_weights=weights, popularity=popularity)
    assert [label.split(",")[0] for label in labels] == ["Tea", "Soap"]
    nearest = typical_items(both, shop, 3, item_weights=weights, popularity=popularity)
    assert set(nearest[0]) == {"sku-3", "sku-4", "sku-5"}


@pytest.mark.parametrize("item", [0, 1, 2])
def test_popular_items_stand_before_others_as_near(shop: PublicCatalogue, item: int) -> None:
    popularity = np.ones(12)
    popularity[item] = 50.0
    nearest = typical_items(np.eye(4, DIM), shop, 1, popularity=popularity)
    assert nearest[0] == [f"sku-{item}"]


def test_typical_items_lie_in_the_clusters_own_direction(catalogue: PublicCatalogue) -> None:
    for group, items in zip(GROUPS, typical_items(CENTROIDS, catalogue, 8), strict=True):
        assert len(items) == 8
        assert all(item.startswith(group) for item in items)


def test_without_a_catalogue_clusters_are_numbered(catalogue: PublicCatalogue) -> None:
    empty = replace(
        catalogue, item_ids=[], texts=[], categories=[], vectors=np.zeros((0, DIM), np.float32)
    )
    for nothing in (None, empty):
        leaves, coarse = np.arange(3), np.array([0, 1, 1])
        words = describe_levels(CENTROIDS, nothing, [coarse, leaves])
        assert [[cluster.label for cluster in level] for level in words] == [
            ["Cluster 1", "Cluster 2"],
            ["Cluster 1.1", "Cluster 2.1", "Cluster 2.2"],
        ]
        assert words[1][0].terms == words[1][0].items == []
        assert label_clusters(CENTROIDS, nothing) == ["Cluster 1", "Cluster 2", "Cluster 3"]


def test_children_are_not_labelled_like_their_parents(shop: PublicCatalogue) -> None:
    levels = [np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), np.arange(4)]
    coarse, middle, leaves = describe_levels(np.eye(4, DIM), shop, levels)
    assert [cluster.label for cluster in coarse] == ["Grocery", "Home"]
    for level in (coarse, middle, leaves):
        assert len({cluster.label for cluster in level}) == len(level)
    for child, parent in ((0, 0), (1, 1), (2, 1)):
        assert middle[child].label != coarse[parent].label
    for child, parent in ((0, 0), (1, 0), (2, 1), (3, 2)):
        assert leaves[child].label != middle[parent].label
    assert not any(character.isdigit() for cluster in middle for character in cluster.label)


def test_an_only_child_is_not_labelled_like_its_parent_in_several_parts() -> None:
    names = ("BREAD", "TEA", "SOAP")
    catalogue = a_catalogue([(name, [f"{name.lower()} {word}" for word in "xy"]) for name in names])
    same = [np.array([0, 0, 1]), np.array([0, 0, 1])]
    parents, children = describe_levels(np.eye(3, DIM), catalogue, same)
    assert set(words_in(parents[0].label)) == {"bread", "tea"}
    assert all(child.label != parent.label for child, parent in zip(children, parents, strict=True))


def test_a_cluster_near_no_item_is_numbered_not_guessed(shop: PublicCatalogue) -> None:
    same = np.ones((3, DIM))
    assert label_clusters(same, shop) == ["Cluster 1", "Cluster 2", "Cluster 3"]
    assert typical_items(same, shop, 3) == [[], [], []]


def test_a_single_cluster_is_named_after_the_items_it_is_near(catalogue: PublicCatalogue) -> None:
    words = describe_levels(CENTROIDS[:1], catalogue, [np.zeros(1, np.int64)])[0][0]
    assert words.label == "Bread"
    assert all(item.startswith("bread") for item in words.items)


def test_directions_are_of_unit_norm_and_see_no_common_offset() -> None:
    rng = np.random.default_rng(0)
    centroids = rng.standard_normal((5, DIM))
    np.testing.assert_allclose(np.linalg.norm(directions(centroids), axis=1), 1.0)
    np.testing.assert_allclose(directions(centroids + 3.0), directions(centroids))


def test_an_items_shares_add_up_to_its_own_weight_and_never_below_zero(
    shop: PublicCatalogue,
) -> None:
    belongs = belonging(np.eye(4, DIM), shop)
    assert belongs.min() >= 0
    assert (belongs.argmax(axis=0) == np.repeat(np.arange(4), 3)).all()
    assert (belongs.sum(axis=0) <= 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"centroids": np.full((3, DIM), np.nan)}, "36 numbers that are not finite"),
        ({"centroids": np.ones((3, DIM + 1))}, rf"\(3, {DIM + 1}\).*\(3, {DIM}\)"),
        ({"item_weights": np.ones((2, 30))}, r"item_weights has shape \(2, 30\)"),
        ({"popularity": np.full(30, np.inf)}, "popularity"),
        ({"item_weights": np.ones((3, 30)), "popularity": np.ones(29)}, r"popularity.*\(29,\)"),
        ({"levels": [np.array([0, 1])]}, "Level 0"),
        ({"levels": [np.array([0, 2, 2])]}, "counted from 0"),
        ({"levels": [np.array([0, 0, 1]), np.array([0, 1, 1])]}, "levels that nest"),
    ],
)
def test_unusable_input_is_refused_with_what_was_wrong(
    catalogue: PublicCatalogue, changes: dict[str, object], told: str
) -> None:
    given = {"centroids": CENTROIDS, "catalogue": catalogue, "levels": [np.arange(3)], **changes}
    with pytest.raises(ValueError, match=told):
        describe_levels(**given)  # type: ignore[arg-type]


def test_labels_do_not_change_from_call_to_call(shop: PublicCatalogue) -> None:
    first, second = (describe_levels(np.eye(4, DIM), shop, [np.arange(4)]) for _ in range(2))
    assert first == second
