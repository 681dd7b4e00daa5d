"""What charts draw, in a real browser: names can be read, or are left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.run_store.opening import open_store
from tests.server.dashboard.served import served
from tests.server.dashboard.test_browser import (  # noqa: F401  (a fixture is found by its name)
    PHONE,
    Watched,
    chromium,
)
from tests.server.dashboard.test_clusters_page import a_line, add_map

SIZES = [900.0, 400.0, 300.0, 150.0, 90.0, 60.0, 30.0, 20.0, 9.0, 5.0]
AREAS = """
() => {
  const light = (colour) => {
    const [red, green, blue] = echarts.color.parse(colour).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const chart = echarts.getInstanceByDom(document.querySelector(".drawing.treemap"));
  const areas = chart.getZr().storage.getDisplayList(true)
    .filter((shape) => shape.getTextContent?.()?.style.text?.startsWith("Interest"));
  return areas.map((area) => {
    const words = area.getTextContent();
    const shades = [light(words.style.fill), light(area.style.fill)].sort((a, b) => a - b);
    const room = area.getBoundingRect();
    return {
      name: words.style.text, contrast: (shades[1] + 0.05) / (shades[0] + 0.05),
      isSeen: words.style.fontSize > 0, width: room.width, height: room.height,
    };
  });
}
"""
"""Each cluster's area: its name, how well that can be read, and the room for it."""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_names_in_areas_can_be_read_or_are_left_out(
    chromium: Any,  # noqa: F811
    tmp_path: Path,
    theme: str,
) -> None:
    store = open_store(str(tmp_path / "runs.sqlite"))
    lines = [a_line(number, SIZES[number // 2 % 10]) for number in range(40)]
    # Six groups, so that there is one of each colour.
    add_map(store, "one", [line | {"parent": at % 6} for at, line in enumerate(lines)], n_groups=6)
    store.close()
    with served(store.place, tmp_path / "people") as base:
        for viewport in ({"width": 1280, "height": 900}, PHONE):
            watched = Watched(
                chromium, base, color_scheme=theme, viewport=viewport, reduced_motion="reduce"
            )
            watched.page.goto("/clusters")
            watched.page.wait_for_selector("figure.chart .treemap canvas")
            watched.page.wait_for_timeout(300)
            areas = watched.page.evaluate(AREAS)
            watched.close()
            assert len(areas) >= 20
            assert min(area["contrast"] for area in areas) >= 4.5
            seen = [area for area in areas if area["isSeen"]]
            assert 3 <= len(seen) < len(areas)
            assert all(area["width"] >= 60 and area["height"] >= 17 for area in seen)
