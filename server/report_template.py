"""The template and the style sheet of ``report.html``.

Constants in a module, because Flower's app bundle carries only ``.py``,
``.toml``, ``.md``, ``.yaml`` and ``.json`` files.
"""

STYLE = """
:root { color-scheme: light dark; --ink: #1b2330; --soft: #56606f; --paper: #f6f5f1;
  --sheet: #fff; --line: #dcdad2; --track: #e9e7e0; --accent: #0f766e; --warn: #8a4b08;
  --tint: #fdf1dc; --calibrate: #5b7db1; --summarise: #0f766e; --refine: #c98a1b;
  --describe: #93599f; --other: #77808d; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e7e9ee; --soft: #a3acba;
  --paper: #12161d; --sheet: #1a2029; --line: #313946; --track: #2a323e; --accent: #4cc3b5;
  --warn: #f3c277; --tint: #33270f; --calibrate: #86a6d8; --summarise: #4cc3b5;
  --refine: #e0ab4d; --describe: #c193cd; --other: #98a2b0; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
header, main, footer { max-width: 54rem; margin: 0 auto; padding: 2rem 1rem 0; }
main { padding-top: 0; }
footer { padding-bottom: 3rem; }
h1 { font-size: 1.9rem; line-height: 1.2; }
h2 { font-size: 1.3rem; margin-bottom: .75rem; }
h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
h2, h3, h2 + p, figure { break-after: avoid; }
p, ul { max-width: 44rem; }
p + p { margin-top: .5rem; }
a { color: var(--accent); }
section { background: var(--sheet); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1.5rem; margin-top: 1.25rem; overflow-x: auto; }
.result { font-size: 1.15rem; margin: .75rem 0 1rem; }
.soft, .facts dt, figcaption, caption { color: var(--soft); font-size: .875rem; }
.badge, .tag { display: inline-block; white-space: nowrap; border: 1px solid var(--line);
  border-radius: 1rem; padding: .1rem .7rem; font-size: .8rem; font-weight: 600; }
.badge { background: var(--sheet); margin: 0 .4rem .4rem 0; }
.badge.warn { color: var(--warn); background: var(--tint); border-color: currentColor; }
.tag { padding: 0 .5rem; font-size: .72rem; font-weight: 500; color: var(--soft); }
.tag.released { border: 1px dashed; color: var(--accent); }
.tag.oracle { background: var(--tint); border-color: transparent; color: var(--warn); }
.note { border-left: 4px solid var(--accent); padding: .25rem 0 .25rem 1rem; }
.note.warn { border-color: var(--warn); }
.note.warn strong { color: var(--warn); }
.facts, .cards { --least: 29%; display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(max(8.5rem, var(--least)), 1fr)); }
.cards { --least: 22%; }
.facts { margin-top: 1rem; }
dd, th { overflow-wrap: anywhere; }
.cards div { border: 1px solid var(--line); border-radius: .6rem; padding: .8rem; display: flex;
  flex-direction: column; }
.cards dt { font-size: .875rem; font-weight: 600; }
.cards .big { font-size: 1.7rem; font-weight: 650; line-height: 1.3; }
.big small { font-size: .9rem; font-weight: 400; color: var(--soft); white-space: nowrap; }
.cards .soft { font-size: .8rem; line-height: 1.4; flex: 1; margin-bottom: .5rem; }
.clusters { list-style: none; padding: 0; margin-top: 1rem; }
.clusters li { display: grid; grid-template-columns: 1fr auto; gap: .25rem 1rem; padding: .8rem 0;
  border-top: 1px solid var(--line); }
.clusters .bar, .clusters .soft { grid-column: 1 / -1; }
.bar { display: flex; height: .6rem; border-radius: .3rem; background: var(--track);
  overflow: hidden; }
.bar i, .swatch { background: var(--stage, var(--accent)); }
.plan { height: 1.75rem; margin-bottom: .5rem; }
.plan i { border-right: 2px solid var(--sheet); }
.swatch { display: inline-block; width: .75rem; height: .75rem; border-radius: .2rem;
  margin-right: .4rem; }
figcaption span { display: inline-block; margin-right: 1.25rem; }
table { border-collapse: collapse; width: 100%; margin-top: .5rem; font-size: .9rem; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { padding: .45rem .6rem .45rem 0; text-align: left; vertical-align: top;
  border-top: 1px solid var(--line); }
thead th { border: 0; color: var(--soft); font-size: .8rem; vertical-align: bottom; }
tbody th { min-width: 4.2rem; }
th small, td small { display: block; font-weight: 400; color: var(--soft); }
th.n, td.n { text-align: right; padding: .45rem 0 .45rem .4rem; overflow-wrap: normal; }
.wide { width: 40%; }
.legend { display: grid; grid-template-columns: auto 1fr; gap: .5rem 1rem; margin-bottom: 1rem; }
@media (max-width: 30rem) { section { padding: 1rem; } table { font-size: .82rem; }
  thead th { font-size: .72rem; } .wide { width: auto; } }
@media print { @page { size: A4; margin: 15mm; } html { font-size: 80%; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } body { background: none; }
  header, main, footer { max-width: none; padding: 0; } footer { margin-top: 2rem; }
  section { border: 0; padding: 0; margin-top: 2rem; overflow: visible; }
  table, tr, li, figure, .cards div, .note, .facts { break-inside: avoid; } }
"""

PAGE = """\
{%- macro tag(kind) -%}
<span class="tag {{ kind }}">{{ "released, noisy" if kind == "released" else kind }}</span>
{%- endmacro -%}
{%- macro card(name, kind, figure, hint, noise="") -%}
<div><dt>{{ name }}</dt><dd class="big">{{ figure }}
  {%- if noise %} <small>&plusmn;&nbsp;{{ noise }}</small>{% endif %}</dd>
  <dd class="soft">{{ hint }}</dd><dd>{{ tag(kind) }}</dd></div>
{%- endmacro -%}
{%- macro fact(name, text) -%}
<div><dt>{{ name }}</dt><dd>{{ text }}</dd></div>
{%- endmacro -%}
{%- macro versus(part, measure) -%}
at {{ part.k }}{% for name, baseline in part.baselines.items() %}; {{ name }}:
{{ baseline[measure] | percent }}{% endfor %}
{%- endmacro -%}
{%- macro ranking(title, part, names) -%}
<h3>{{ title }}</h3>
<table><caption>Lists of {{ part.k }}, {{ part.n_evaluated | number }} users evaluated.</caption>
<thead><tr><th scope="col">Measure</th><th scope="col" class="n">this run</th>
{% for name in part.baselines %}<th scope="col" class="n">{{ name }}</th>{% endfor %}
</tr></thead><tbody>
{% for name in names %}
<tr><th scope="row">{{ name | replace("_", " ") }}<small>{{ measures[name] }}</small></th>
<td class="n">{{ part[name] | number(3) }}
{% set error = part[name ~ "_standard_error"] %}
{% if error is defined %}<small>&plusmn;&nbsp;{{ error | number(3) }}</small>{% endif %}</td>
{% for baseline in part.baselines.values() %}
<td class="n">{{ baseline[name] | number(3) }}</td>
{% endfor %}</tr>
{% endfor %}</tbody></table>
{%- endmacro -%}
{%- set run, clustering, privacy = report.run, report.clustering, report.privacy -%}
{%- set new, usual, cost = report.recommendation, report.repeat, report.cost -%}
{%- set told = report.private_evaluation -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ run.name }} &ndash; report</title>
<style>{% include "style.css" %}</style>
</head>
<body>
<header>
<h1>{{ run.name }}</h1>
<p class="result">{{ run.n_clients | number }} region{{ "" if run.n_clients == 1 else "s" }} grouped
{% if run.n_users is none %}
about {{ clustering.noisy_users | number }} users
{% else %}
{{ run.n_users | number }} declared users
{% endif %}
into {{ clustering.k }} interest clusters, planned for a privacy loss of at most
&epsilon;&nbsp;=&nbsp;{{ privacy.epsilon | epsilon }} per user
{%- if clustering.normalized_cost is known and clustering.trivial_cost is known %}; their K-means
cost is {{ clustering.normalized_cost | number(2) }} times that of the best found without privacy
(one mean for everybody: {{ clustering.trivial_cost | number(2) }} times){% endif %}.</p>
<p><span class="badge">{{ run.trust_model }} trust: {{
  "each region" if run.trust_model == "local" else "the server" }} adds the noise</span>
{% if run.simulated %}<span class="badge warn">SIMULATED</span>{% endif %}</p>
{% if run.simulated %}
<p class="note warn"><strong>Simulated:</strong> these regions do not exist. {% if
privacy.noise == "seeded" %}The noise was seeded, and who knows the seed can take it off. {% endif
%}This run shows what a real one would find; it protects nobody.</p>
{% endif %}
<dl class="facts">{{ fact("Started", run.started[:16] | replace("T", " ") ~ " UTC") }}
{{ fact("Took", run.seconds | number(1) ~ " seconds, " ~ run.n_rounds ~ " rounds") }}
{%- if run.resumed %}{{ fact("Interrupted", run.resumed ~
  (" time" if run.resumed == 1 else " times") ~ "; went on from what was kept") }}{% endif %}
{%- if run.late_answers %}{{ fact("Not in time", run.late_answers ~
  (" answer" if run.late_answers == 1 else " answers") ~ ", not used") }}{% endif %}
{{ fact("Version", run.version) }}{{ fact("Seed", run.seed) }}{{ fact("Run", run.id) }}</dl>
</header>
<main>
<section><h2>Key figures</h2>
<dl class="cards">
{{ card("Privacy loss", "public", "ε ≤ " ~ (privacy.epsilon | epsilon), "per " ~ privacy.unit ~
  ", at δ = %g" % privacy.delta) }}
{{ card("Regions", "public", run.n_clients | number, "%d releases in all" % privacy.releases) }}
{% if run.n_users is none %}
{{ card("Users", "released", clustering.noisy_users | number, "counted with noise",
  clustering.users_noise | number) }}
{% else %}
{{ card("Users", "public", run.n_users | number, "declared, never counted from data") }}
{% endif %}
{% if clustering.k_was_chosen %}
{{ card("Clusters (K)", "released", clustering.k, "chosen by the private summary") }}
{% else %}
{{ card("Clusters (K)", "public", clustering.k, "chosen before the run") }}
{% endif %}
{% if clustering.normalized_cost is known %}
{{ card("Normalized cost", "oracle", clustering.normalized_cost | number(3),
  "1 is the best without privacy" ~ ("; one mean: " ~ clustering.trivial_cost | number(3)
  if clustering.trivial_cost is known else "")) }}
{% endif %}
{% if clustering.silhouette is known %}
{{ card("Silhouette", "released", clustering.silhouette | number(3), clustering.silhouette_kind ~
  "; 1 is best, 0 means overlap", clustering.silhouette_noise | number(3)
  if clustering.silhouette_noise is known) }}
{% endif %}
{% if new %}
{{ card("New-item hit rate", "oracle", new.hit_rate | percent, versus(new, "hit_rate"),
  new.hit_rate_standard_error | percent) }}
{% endif %}
{% if told %}
{{ card("Hit rate, as users say", "released", told.hit_rate | percent, "at " ~ told.k ~
  "; popularity: " ~ (told.popularity | percent), told.hit_rate_noise | percent) }}
{% endif %}
{% if usual %}
{{ card("Usuals recall", "oracle", usual.recall | percent, versus(usual, "recall"),
  usual.recall_standard_error | percent) }}
{% endif %}
</dl></section>

<section><h2>Interest clusters</h2>
<p>Largest first. {{ tag("released") }} sizes carry noise, so they may be fractions or fall below
zero; together they come to {{ clusters | sum("noisy_size") | number }}.
Below each label, what sets its {{ tag("public") }} items apart in words, and the items themselves.
</p>
{% if clustering.space != "text" or clustering.space_quality %}<p>Made of {{ {
  "text": "items' texts", "taste": "what goes with what",
  "both": "items' texts and of what goes with what"
  }[clustering.space] }}{% if clustering.space_quality %}, chosen {{ tag("released") }}:
  over texts, {% for space, gain in clustering.space_quality.items() %}{{ space }} {{
  gain | number(4) }}{{ ", " if not loop.last }}{% endfor %} (± {{
  clustering.space_quality_noise | number(4) }}){% endif %}.</p>{% endif %}
{% if clustering.warning %}<p><strong>{{ clustering.warning }}</strong></p>{% endif %}
<ol class="clusters">{% for cluster in clusters %}
<li><strong>{{ cluster.label }}</strong><span>{{ cluster.noisy_size | number }} ± {{
    clustering.size_noise | number }} users</span>
  <div class="bar" aria-hidden="true"><i style="width: {{
    cluster.noisy_size | width(clusters[0].noisy_size) }}"></i></div>
  <span class="soft">{% if cluster.terms %}{{ cluster.terms | join(", ") }}:
  {{ cluster["items"] | join(", ") }}{% endif %}
  {%- if groups[cluster.parent] is defined %} ({{ groups[cluster.parent] }}){% endif %}</span></li>
{%- endfor %}</ol>
{% if groups | length > 1 and groups | length < clusters | length %}
<h3>In fewer, coarser interests</h3>
<ul>{% for group in clustering.groups %}<li>{{ group.label }}: {{
  group.noisy_size | number }} users (noisy)</li>{% endfor %}</ul>
{% endif %}
{% if clustering.k_curve %}
<h3>Other numbers of clusters</h3>
<p>{{ tag("released") }} Tried on the private summary, at no cost. {% if
clustering.k_curve.is_sharp %}People fall into a definite number of clusters: {{
clustering.k_curve.peak }}, by the silhouette.{% elif clustering.k_curve.is_open %}The silhouette
still climbs at the most clusters that the cells can tell.{% else %}No number stands out.{% endif
%}</p>
<table><caption>Simplified silhouette of the summary's cells; that of people is lower.</caption>
<thead><tr><th scope="col" class="n">K</th><th scope="col" class="n">silhouette</th></tr></thead>
<tbody>{% for k in clustering.k_curve.k %}<tr><td class="n">{{ k }}</td><td class="n">{{
  clustering.k_curve.silhouette[loop.index0] | number(3) }}</td></tr>{% endfor %}</tbody></table>
{% endif %}
<dl class="facts">
{{ fact("Smallest cluster (noisy)", clustering.smallest_cluster | number(1)) }}
{{ fact("Between centroids (mean)", clustering.inter_cluster_distance | number(3)) }}
{%- if clustering.intra_cluster_distance is known %}
{{ fact("User to centroid (noisy)", clustering.intra_cluster_distance | number(3) ~ (
  " ± " ~ (clustering.intra_noise | number(3)) if clustering.intra_noise is known else "")) }}
{%- endif %}
{%- if clustering.adjusted_rand_index is known %}
{{ fact("Adjusted Rand index (oracle)", clustering.adjusted_rand_index | number(3)) }}{% endif %}
</dl></section>

<section><h2>Privacy</h2>
<p class="note">{{ privacy.statement }}</p>
<dl class="facts">{{ fact("Unit", privacy.unit) }}{{ fact("Adjacency", privacy.adjacency) }}
{{ fact("Window", privacy.window) }}{{ fact("Noise", privacy.noise) }}
{% if privacy.lifetime_epsilon is not none or privacy.epsilon is none %}
{{ fact("Charged to the lifetime", privacy.lifetime_epsilon | epsilon) }}{% endif %}</dl>
<h3>What is not protected</h3>
<ul>{% for item in privacy.not_protected %}<li>{{ item }}</li>{% endfor %}</ul>
<h3>What the plan costs, by accountant</h3>
<table><caption>Epsilon at &delta; = {{ "%g" % privacy.delta }}, against a limit of
{{ privacy.epsilon | epsilon }}. Only the claim counts against the limit.</caption>
<thead><tr><th scope="col">Accountant</th><th scope="col" class="n">&epsilon;</th>
</tr></thead><tbody>
{%- for name, epsilon in privacy.epsilon_by_accountant.items() %}
<tr><th scope="row">{{ name }}{% if name == privacy.accountant %} &ndash; the claim{% endif %}
<small>{{ accountants.get(name, "") }}</small></th>
<td class="n">{{ epsilon | epsilon(4) }}</td></tr>
{%- endfor %}</tbody></table>
<h3>The plan</h3>
{% if privacy.recommendation_plan %}
<p class="note">{{ privacy.recommendation_plan }}</p>{% endif %}

<figure><div class="bar plan" role="img" aria-label="Shares of the budget in the order of asking:
{%- for step in plan %} {{ step.phase }} {{ step.share | percent }}
{{- "" if loop.last else "," }}{% endfor %}">{% for step in plan %}<i style="width: {{
  step.share | width(1) }}; --stage: var(--{{ (step.phase | stage)[0] }})"></i>{% endfor %}</div>
<figcaption>{% for stage, share in stages.items() %}<span><i class="swatch"
  style="--stage: var(--{{ stage }})"></i>{{ stage }} {{ share | percent }}</span>
{%- endfor %}</figcaption></figure>
<table><caption>What each region is asked, in this order. Shares are of the run's &mu;&sup2;
and add up to {{ plan | sum("share") | percent }}.</caption>
<thead><tr><th scope="col">Phase</th><th scope="col" class="n">share</th>
<th scope="col" class="n">sensitivity</th><th scope="col" class="n">&sigma;</th></tr></thead><tbody>
{% for step in plan %}{% set stage, asks = step.phase | stage %}
<tr><th scope="row"><i class="swatch" style="--stage: var(--{{ stage }})"></i>{{ step.phase }}
<small>{{ asks }}</small></th><td class="n">{{ step.share | percent }}</td>
<td class="n">{{ step.sensitivity | number(3) }}</td>
<td class="n">{{ step.sigma | number(3) }}</td></tr>
{% endfor %}</tbody></table>
<h3>Refusals</h3>
{% for (round, reason), sentences in refusals.items() -%}
<div class="note warn"><p><strong>Round {{ round }}: {{ reason }}</strong>
{%- if round > plan | length %} (after the plan's {{ plan | length }} questions){% endif %}</p>
{%- for sentence, regions in sentences.items() %}
<p>{{ sentence }}</p>
<p class="soft">{{ regions | length }} of {{ run.n_clients }} regions:
{{ regions | join(", ") }}</p>{% endfor %}</div>
{%- else %}<p>No region refused anything.</p>{% endfor %}
{% if report.receipts %}<h3>Budget receipts</h3>
<table><caption>What each region's own ledger says; only the region itself can read it.
{{ tag("oracle") }}</caption>
<thead><tr><th scope="col">Region</th><th scope="col" class="wide">&epsilon; spent of limit</th>
<th scope="col" class="n">left</th><th scope="col" class="n">releases</th>
<th scope="col" class="n">refused</th></tr></thead><tbody>
{%- for receipt in report.receipts %}
<tr><th scope="row">{{ receipt.region }}</th>
<td>{{ receipt.spent_epsilon | number(4) }} of {{ "%g" % receipt.limit_epsilon }}
<div class="bar" aria-hidden="true"><i style="width: {{
  receipt.spent_epsilon | width(receipt.limit_epsilon) }}"></i></div></td>
<td class="n">{{ (receipt.limit_epsilon - receipt.spent_epsilon) | number(4) }}</td>
<td class="n">{{ receipt.releases }}</td><td class="n">{{ receipt.refused }}</td></tr>
{%- endfor %}</tbody></table>{% endif %}</section>

{% if new or usual or told %}<section><h2>Recommendation quality</h2>
{% if told %}
<table><caption>{{ tag("released") }} Judged by {{ told.noisy_users | number }} users (noisy) at
home: how much of the latest tenth of their items is among the first {{ told.k }} of lists that are
made without it, by the usual weights. &plusmn; is one standard deviation of the noise. The same
items went into the released sums that rank them: for the next item this may be too high.</caption>
<thead><tr><th scope="col">Lists</th><th scope="col" class="n">hit rate</th></tr></thead><tbody>
<tr><th scope="row">this run</th><td class="n">{{ told.hit_rate | number(3) }}
<small>&plusmn;&nbsp;{{ told.hit_rate_noise | number(3) }}</small></td></tr>
<tr><th scope="row">popularity<small>as it was released</small></th>
<td class="n">{{ told.popularity | number(3) }}
<small>&plusmn;&nbsp;{{ told.popularity_noise | number(3) }}</small></td></tr></tbody></table>
<dl class="facts">
{{ fact("Voted for", "half-life of a history: " ~ ("none" if told.chosen.half_life >= 1e6 else
  "%g items" % told.chosen.half_life) ~ ", text: %.2g, cluster: %g" % (told.chosen.text,
  told.chosen.cluster)) }}
{% if told.gain %}
{{ fact("Better than the usual weights by", told.gain | number(4) ~ " ± " ~
  (told.gain_noise | number(4)) ~ " (discounted gain, bounded votes)") }}
{%- endif %}</dl>
{% endif %}
{% if new or usual %}
<p>{{ tag("oracle") }} Judged by what users did afterwards. &plusmn; is one standard error. The
baselines use exact counts, which no server sees.</p>
{% endif %}
{% if new %}{{ ranking("Items that are new for the user", new, measures) }}{% endif %}
{% if usual %}{{ ranking("Items that the user bought before", usual, ["recall"]) }}{% endif %}
</section>{% endif %}

{% if report.taste %}
<section><h2>What goes with what</h2>
<p>{{ tag("released") }} {{ report.taste.items | number }} items were asked about;
{{ report.taste.directions }} directions of taste rose above the noise.</p>
{% if report.taste.examples %}
<table><caption>Popular items, and what goes with each best.</caption>
<thead><tr><th scope="col">Item</th><th scope="col">goes with</th></tr></thead><tbody>
{% for one in report.taste.examples %}
<tr><th scope="row">{{ one.item }}</th><td>{{ one.goes_with | join(", ") }}</td></tr>
{% endfor %}</tbody></table>{% endif %}</section>{% endif %}

{% if report.feedback %}{% set tried = report.feedback %}
<section><h2>Feedback: {{ tried.experiment }}</h2>
<p>{{ tag("released") }} What came of the lists that users were shown in the last
{{ "%g" % tried.window_days }} days, means over each arm's users. &plusmn; is one standard deviation
of the noise alone.</p>
<table><caption>A longer dwell than {{ "%g" % tried.dwell_cap_seconds }} s counts as it.</caption>
<thead><tr><th scope="col">Arm</th><th scope="col" class="n">users</th>
<th scope="col" class="n">accepted</th><th scope="col" class="n">skipped</th>
<th scope="col" class="n">dwell, s per item</th></tr></thead><tbody>
{% for arm in tried.arms %}
<tr><th scope="row">{{ arm.name }}</th><td class="n">{{ arm.noisy_users | number }}
<small>&plusmn;&nbsp;{{ arm.users_noise | number }}</small></td>
{% for mean in [arm.acceptance, arm.skips] %}
<td class="n">{% if mean %}{{ mean.value | percent }}
<small>&plusmn;&nbsp;{{ mean.noise | percent }}</small>{% else %}too few users{% endif %}</td>
{% endfor %}
<td class="n">{% if arm.dwell_seconds %}{{ arm.dwell_seconds.value | number(1) }}
<small>&plusmn;&nbsp;{{ arm.dwell_seconds.noise | number(1) }}</small>{% else %}too few users
{%- endif %}</td></tr>
{% endfor %}</tbody></table>
{% for one in tried.differences %}<p>{{ one.sentence }}</p>{% endfor %}
<p class="soft">In brackets: an interval that holds with 99% confidence for all differences
together, for the noise and for other samples of people.</p></section>{% endif %}

<section><h2>Cost and encoder</h2>
<dl class="facts">
{{ fact("Up, per region and round", (cost.bytes_up_per_client_round / 1000) | number(1) ~ " KB") }}
{{ fact("Down, per region and round",
  (cost.bytes_down_per_client_round / 1000) | number(1) ~ " KB") }}
{{ fact("Time per round", cost.seconds_per_round | number(2) ~ " s") }}
{%- if cost.median_seconds_per_round is known %}
{{ fact("Time per round, median", cost.median_seconds_per_round | number(2) ~ " s") }}{% endif %}
{%- if cost.peak_rss_mb is known %}
{{ fact("Peak memory, whole simulation", cost.peak_rss_mb | number ~ " MB") }}{% endif %}
{{ fact("Encoder", report.encoder.name) }}
{{ fact("Dimensions", report.encoder.dim) }}{{ fact("Device", report.encoder.device) }}
{{ fact("Fingerprint (first 12)", report.encoder.fingerprint[:12]) }}</dl></section>
</main>
<footer>
<h2>How to read this page</h2>
<dl class="legend">
<dt>{{ tag("public") }}</dt><dd>Known before anybody's data was touched: settings, catalogue.</dd>
<dt>{{ tag("released") }}</dt><dd>Computed from people's data and noised; the privacy statement
covers it.</dd>
<dt>{{ tag("oracle") }}</dt><dd>Computed in a simulation from exact data or from the regions' own
ledgers. No server ever sees it, and the privacy statement does not cover it.</dd></dl>
<p class="soft">All figures in full precision: <a href="report.json">report.json</a>, beside this
page.</p>
</footer>
</body>
</html>
"""
