// Draws each figure.chart from the JSON beside it; the same rows stand in its table.
// Nothing inline: tooltips are drawn on the canvas, since the page allows no style attributes.
"use strict";
(() => {
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();

  function colours() {
    const styles = getComputedStyle(document.documentElement);
    const named = (name) => styles.getPropertyValue(`--${name}`).trim();
    return {
      ink: named("ink"), soft: named("soft"), line: named("line"), sheet: named("sheet"),
      series: [1, 2, 3, 4, 5, 6].map((number) => named(`series-${number}`)),
      font: getComputedStyle(document.body).fontFamily,
    };
  }

  // Black or white, whichever can be read better on a colour: one of them has at least 4.5 to 1.
  function inkOn(colour) {
    const [red, green, blue] = echarts.color.parse(colour).map((part) => (
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    return 1.05 / (light + 0.05) > (light + 0.05) / 0.05 ? "#fff" : "#000";
  }

  const language = document.documentElement.lang;
  function told(value) {
    return typeof value === "number"
      ? value.toLocaleString(language, { maximumSignificantDigits: 4 }) : "–";
  }
  function withNoise(value, noise) {
    return noise === null ? told(value) : `${told(value)} ± ${told(noise)}`;
  }

  // A bar from value - noise to value + noise, with caps; along x or along y. On other colours it
  // has an edge of the page's.
  function errorBar(colour, along, edge) {
    return (params, api) => {
      const [across, low, high] = [api.value(0), api.value(1), api.value(2)];
      const place = (value) => api.coord(along === "y" ? [across, value] : [value, across]);
      const [start, end] = [place(low), place(high)];
      const cap = 4;
      const [dx, dy] = along === "y" ? [cap, 0] : [0, cap];
      const lines = [[start, end],
        ...[start, end].map((p) => [[p[0] - dx, p[1] - dy], [p[0] + dx, p[1] + dy]])];
      const drawnIn = (stroke, lineWidth) => lines.map(([a, b]) => ({
        type: "line", shape: { x1: a[0], y1: a[1], x2: b[0], y2: b[1] },
        style: { stroke, lineWidth, fill: null, lineCap: "square" },
      }));
      return { type: "group", children: [...(edge ? drawnIn(edge, 3.5) : []), ...drawnIn(colour, 1.5)] };
    };
  }
  function errorBars(data, colour, along, edge) {
    return {
      type: "custom", renderItem: errorBar(colour, along, edge), data, silent: true, z: 1,
      encode: along === "y" ? { x: 0, y: [1, 2] } : { x: [1, 2], y: 0 },
    };
  }

  function axis(theme, name, isValue) {
    return {
      type: isValue ? "value" : "category", name, nameLocation: "middle", nameGap: 30, scale: isValue,
      nameTextStyle: { color: theme.soft, fontFamily: theme.font },
      axisLabel: { color: theme.soft, fontFamily: theme.font, hideOverlap: true },
      axisLine: { lineStyle: { color: theme.line } }, axisTick: { show: false },
      splitLine: { show: isValue, lineStyle: { color: theme.line, opacity: 0.6 } },
    };
  }

  function scatter(chart, theme, width) {
    const most = Math.max(...chart.rows.map((row) => row[5] ?? 0), 0);
    const scale = Math.min(1, 8 / Math.sqrt(chart.rows.length || 1));  // many points: smaller ones
    const size = (row) => (8 + 28 * Math.sqrt(Math.max(row[5] ?? 0, 0) / (most || 1))) * scale;
    const bars = (value, noise, other, along) => errorBars(
      chart.rows.filter((row) => row[noise] !== null && row[value] !== null)
        .map((row) => [row[other], row[value] - row[noise], row[value] + row[noise]]),
      theme.soft, along);
    const margin = { boundaryGap: ["6%", "6%"] };  // points are large: none lies over an axis' numbers
    return {
      xAxis: { ...axis(theme, chart.x, true), ...margin },
      yAxis: { ...axis(theme, chart.y, true), nameGap: 44, ...margin },
      tooltip: { formatter: ({ data }) => data.told },
      series: [bars(1, 3, 2, "x"), bars(2, 4, 1, "y"), {
        type: "scatter", z: 2,
        data: chart.rows.map((row) => ({
          name: row[0], value: [row[1], row[2]], symbolSize: size(row),
          told: `${row[0]}\n${chart.columns[5]}: ${told(row[5])}`,
        })),
        itemStyle: { color: theme.series[0], opacity: 0.75, borderColor: theme.sheet, borderWidth: 1 },
        label: { show: true, position: "right", distance: 8, formatter: "{b}", color: theme.ink, fontSize: 12,
          fontFamily: theme.font, width: 150, overflow: "truncate" },
        labelLayout: ({ rect, labelRect }) => (
          // To the left of its point where the right is too narrow, as on a phone.
          labelRect.x + labelRect.width > width
            ? { hideOverlap: true, x: rect.x - 8, align: "right" } : { hideOverlap: true }),
      }],
    };
  }

  function treemap(chart, theme) {
    const groups = [...new Set(chart.rows.map((row) => row[1]))];
    const label = { fontFamily: theme.font, fontSize: 13, overflow: "truncate" };
    const leaf = (row, colour) => ({
      name: row[0], value: Math.max(row[2] ?? 0, 0),
      told: `${row[1]}\n${row[0]}\n${withNoise(row[2], row[3])}`,
      itemStyle: { color: colour }, label: { color: inkOn(colour) },
    });
    // A name of which only a few letters would be seen tells nothing: the tooltip has all of it.
    const hasRoom = ({ rect, text }) => {
      const whole = echarts.format.getTextRect(text, `${label.fontSize}px ${theme.font}`);
      return rect.height >= whole.height + 4 && rect.width >= Math.min(whole.width, 80) + 8;
    };
    return {
      tooltip: { formatter: ({ data }) => data?.told ?? data?.name ?? "" },
      series: [{
        type: "treemap", roam: false, nodeClick: false, breadcrumb: { show: false },
        left: 0, right: 0, top: 0, bottom: 0, label,
        labelLayout: (place) => (hasRoom(place) ? {} : { fontSize: 0 }),
        itemStyle: { borderColor: theme.sheet, borderWidth: 1, gapWidth: 2 },
        levels: [{ itemStyle: { borderColor: theme.sheet, borderWidth: 0, gapWidth: 4 } },
          { upperLabel: { show: true, height: 24, color: theme.ink, overflow: "truncate",
            fontFamily: theme.font, fontSize: 12, fontWeight: 600, textBorderWidth: 0 },
            itemStyle: { borderColor: theme.sheet, borderWidth: 0, gapWidth: 2 } }],
        data: groups.map((group, at) => {
          const colour = theme.series[at % theme.series.length];
          return {
            name: group, itemStyle: { color: colour },
            children: chart.rows.filter((row) => row[1] === group).map((row) => leaf(row, colour)),
          };
        }),
      }],
    };
  }

  function intervals(chart, theme, width) {
    const rows = [...chart.rows].reverse();  // the first one at the top
    const noisy = rows.map((row, at) => [at, row[1] - row[2], row[1] + row[2]])
      .filter((_, at) => rows[at][1] !== null && rows[at][2] !== null);
    return {
      // A bar's length counts from zero.
      xAxis: { ...axis(theme, chart.x, true), scale: false, splitNumber: width < 500 ? 2 : 5 },
      yAxis: { ...axis(theme, "", false), data: rows.map((row) => row[0]),
        axisLabel: { color: theme.ink, fontFamily: theme.font, width: 150, overflow: "truncate" } },
      tooltip: { formatter: ({ dataIndex }) => `${rows[dataIndex][0]}\n${withNoise(rows[dataIndex][1], rows[dataIndex][2])}` },
      series: [
        { type: "bar", barMaxWidth: 18, data: rows.map((row) => row[1]),
          itemStyle: { color: theme.series[0], borderRadius: [0, 4, 4, 0] } },
        { ...errorBars(noisy, theme.ink, "x", theme.sheet), z: 3 },
      ],
    };
  }

  function lines(chart, theme) {
    const names = [...new Set(chart.rows.map((row) => row[0]))];
    const series = names.flatMap((name, at) => {
      const rows = chart.rows.filter((row) => row[0] === name);
      const colour = theme.series[at % theme.series.length];
      const noisy = rows.filter((row) => row[2] !== null && row[3] !== null)
        .map((row) => [row[1], row[2] - row[3], row[2] + row[3]]);
      return [
        { type: "line", name, data: rows.map((row) => [row[1], row[2]]), color: colour, symbolSize: 6,
          symbol: ["circle", "rect", "triangle", "diamond"][at % 4],
          lineStyle: { width: 2, type: ["solid", "dashed", "dotted"][Math.floor(at / 2) % 3] } },
        errorBars(noisy, colour, "y"),
      ];
    });
    return {
      xAxis: axis(theme, chart.x, true), yAxis: { ...axis(theme, chart.y, true), nameGap: 44 }, series,
      legend: { data: names, top: 0, left: 0, icon: "circle",
        textStyle: { color: theme.ink, fontFamily: theme.font } },
      tooltip: { formatter: ({ seriesName, value }) => `${seriesName}\n${told(value[0])}: ${told(value[1])}` },
    };
  }

  const kinds = { scatter, treemap, intervals, lines };

  function draw(figure) {
    const place = figure.querySelector(".drawing");
    const chart = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
    const theme = colours();
    const options = kinds[chart.kind](chart, theme, place.clientWidth);
    const known = drawn.get(place) ?? echarts.init(place, null, { renderer: "canvas" });
    drawn.set(place, known);
    known.setOption({
      animation: !calm.matches,
      textStyle: { fontFamily: theme.font },
      grid: { left: 8, right: 24, top: chart.kind === "lines" ? 40 : 12, bottom: chart.x ? 34 : 8, outerBounds: { left: 0, right: 12, top: 0, bottom: 0 } },
      ...options,
      tooltip: { ...options.tooltip, renderMode: "richText", confine: true,
        backgroundColor: theme.sheet, borderColor: theme.line,
        textStyle: { color: theme.ink, fontFamily: theme.font, fontSize: 13 } },
    }, true);
  }

  function drawAll() {
    for (const [place, chart] of drawn) {
      if (!place.isConnected) {
        chart.dispose();
        drawn.delete(place);
      }
    }
    document.querySelectorAll("figure.chart[data-chart]").forEach(draw);
  }

  drawAll();
  document.addEventListener("htmx:afterSettle", drawAll);
  dark.addEventListener("change", drawAll);
  window.addEventListener("resize", () => drawn.forEach((chart) => chart.resize()));
})();
