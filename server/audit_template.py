"""The template of the audit's page; constants in a module, as in :mod:`server.report_template`."""

STYLE = """
.verdict { border: 2px solid var(--accent); border-radius: .75rem; padding: 1rem 1.25rem;
  margin: 1rem 0; font-size: 1.15rem; background: var(--sheet); }
.verdict strong { font-size: 1.5rem; display: block; color: var(--accent); }
.verdict.bad { border-color: #b3261e; } .verdict.bad strong { color: #b3261e; }
.nowrap { white-space: nowrap; }
.mono { font-family: ui-monospace, monospace; font-size: .78rem; overflow-wrap: anywhere; }
.pass { color: var(--accent); font-weight: 650; } .fail { color: #b3261e; font-weight: 650; }
svg { display: block; width: 100%; height: auto; margin: .5rem 0; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
svg .line { fill: none; stroke: var(--accent); stroke-width: 2; }
svg .limit { stroke: #b3261e; stroke-dasharray: 5 4; }
svg .axis { stroke: var(--line); } svg .dot { fill: var(--accent); }
.layer { border-left: .5rem solid var(--stage, var(--accent)); }
td.n + td:not(.n), th.n + th:not(.n) { padding-left: 1rem; }
.signing { display: grid; grid-template-columns: 1fr 1fr; gap: 2.5rem 2rem; margin-top: 2.5rem; }
.signing div { border-top: 1px solid var(--ink); padding-top: .3rem; font-size: .85rem;
  color: var(--soft); }
table.small { font-size: .76rem; }
table.small td, table.small th { padding: .25rem .4rem .25rem 0; }
@media print { thead { display: table-header-group; } table { break-inside: auto; }
  .signing, .verdict { break-inside: avoid; } .appendix { break-before: page; }
  tbody tr:first-child { break-before: avoid; }
  section.layer { border-left: .4rem solid var(--stage); padding-left: .8rem; } }
"""

PAGE = """\
{%- macro fact(name, text) -%}<div><dt>{{ name }}</dt><dd>{{ text }}</dd></div>{%- endmacro -%}
{%- macro told(items) -%}<ul>{% for item in items %}<li>{{ item }}</li>{% endfor %}</ul>
{%- endmacro -%}
{%- macro verdict(one) -%}{% if one.verdict == "UNUSABLE" %}UNUSABLE{% else %}{{
  mark(one.verdict == "PASS") }}{% endif %}{%- endmacro -%}
{%- macro mark(holds) -%}<span class="{{ 'pass' if holds else 'fail' }}">{{
  "PASS" if holds else "FAIL" }}</span>{%- endmacro -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Privacy audit: {{ doc.verdict }}</title>
<style>{% include "style.css" %}</style>
</head>
<body>
<header>
<h1>Privacy audit</h1>
{% if doc.simulated %}<p><span class="badge warn">SIMULATED</span></p>
<p class="note warn"><strong>Simulated:</strong> these clients do not exist, or their noise can be
repeated. The figures show what a real deployment would find; they protect nobody.</p>{% endif %}
<div class="verdict {{ '' if doc.verdict == 'PASS' else 'bad' }}">
<strong>{{ doc.verdict }}</strong>{{ claim }}</div>
<dl class="facts">{{ fact("Audited", doc.made.time[:16] | replace("T", " ") ~ " UTC") }}
{{ fact("Ledgers", doc.summary.ledgers | number) }}
{{ fact("Releases", doc.summary.releases | number) }}
{{ fact("Refused requests", doc.summary.refusals.values() | sum | number) }}
{{ fact("Program that audits", doc.made.program ~ ", " ~ doc.made.code[:12]) }}</dl>
</header>
<main>
{% if faults %}<section><h2>What does not hold</h2>
{{ told(faults) }}</section>{% endif %}

{% if ledgers %}
<section class="layer" style="--stage: var(--calibrate)"><h2>1. The guarantee</h2>
<p>How much an observer of everything that was released can learn about one person. Epsilon bounds
it, but for a probability of delta; both are computed anew here from sensitivity and noise of every
release.</p>
<table><thead><tr><th scope="col">Region</th><th scope="col">Span</th>
<th scope="col" class="n">releases</th><th scope="col" class="wide">&epsilon; spent of limit</th>
<th scope="col" class="n">left</th><th scope="col" class="n">&delta;</th><th scope="col"></th>
</tr></thead><tbody>
{% for one in shown + servers %}{% for span in one.spans %}
<tr><th scope="row">{{ one.region if loop.first else "" }}{{
  " (adds the noise)" if loop.first and one in servers }}</th>
<td>{{ span.name | replace("/", " to ") }}</td>
<td class="n">{{ span.releases }}</td><td>{{ span.epsilon | epsilon(4) }}
{%- if span.limit is not none %} of {{ "%g" % span.limit }}
<div class="bar" aria-hidden="true"><i style="width: {{ span.epsilon | width(span.limit) }}"></i>
</div>{% endif %}</td>
<td class="n">{{ span.left | number(4) if span.left is not none else "-" }}</td>
<td class="n nowrap">{{ "%g" % span.delta }}</td>
<td>{{ verdict(one) if loop.first }}</td>
</tr>{% else %}
<tr><th scope="row">{{ one.region or one.path | file }}</th><td colspan="5">{{
  "was read, but cannot be judged by its rules" if one.records else "could not be read" }}</td>
<td>{{ verdict(one) }}</td></tr>{% endfor %}{% endfor %}</tbody></table>
{% if shown | length < ledgers | length %}<p class="soft">The {{ shown | length }} ledgers that
deserve most attention, of {{ ledgers | length }}; all of them are in the JSON
report.</p>{% endif %}
{% if ledgers | length > 1 %}<h3>Across clients</h3>
{{ picture_of_all }}
<dl class="facts">{% if doc.summary.worst %}
{{ fact("Most spent", doc.summary.worst.epsilon | epsilon(4) ~ " (" ~ doc.summary.worst.region ~
  ")") }}{% endif %}
{{ fact("Median", doc.summary.median_epsilon | epsilon(4)) }}
{{ fact("At %d%% of a limit or more" % (100 * doc.summary.near_means),
  doc.summary.near_limit | map(attribute="region") | unique | list | length) }}
{{ fact("In disagreement with the server", doc.summary.disagreeing_with_server | join(", ")
  or "none") }}</dl>{% endif %}
<p class="note">
{% if adjacencies %}Unit of privacy: one {{ units | join(" or ") }}, with everything that it did.
Neighbouring data: {{ adjacencies | join(", or at some regions ") }}. {% endif %}Each region's
users, each window and the ledger's whole life are counted apart; a user at several regions loses
the sum.</p></section>

<section class="layer" style="--stage: var(--summarise)"><h2>2. Algorithms and correctness</h2>
<h3>Epsilon by independent accountants</h3>
<table><thead><tr><th scope="col">Region</th><th scope="col">Span</th>
<th scope="col" class="n">exact (claim)</th><th scope="col" class="n">loss distributions</th>
<th scope="col" class="n">R&eacute;nyi</th><th scope="col" class="n">zCDP</th>
<th scope="col">agree</th></tr></thead><tbody>
{% for one in shown %}{% for span in one.spans %}<tr><th scope="row">{{ one.region }}</th>
<td>{{ span.name | replace("/", " to ") }}</td><td class="n">{{ span.epsilon | epsilon(5) }}</td>
<td class="n">{{ span.pld | epsilon(5) if span.pld is not none else "-" }}
{%- if not span.pld_by_release %}*{% endif %}</td>
<td class="n">{{ span.rdp | epsilon(4) if span.rdp is not none else "-" }}</td>
<td class="n">{{ span.zcdp | epsilon(4) if span.zcdp is not none else "-" }}</td>
<td>{{ "-" if span.accountants_agree and span.pld is none and span.rdp is none else
  mark(span.accountants_agree) }}</td></tr>{% endfor %}{% endfor %}</tbody></table>
<p class="soft">The claim is exact Gaussian-DP. Privacy loss distributions (dp-accounting) must not
exceed it by more than a thousandth; R&eacute;nyi (Opacus) and zCDP (OpenDP) are upper bounds and
may not lie below it. -: not counted, since epsilon is so large, or delta so small, that those
promise nothing. * checked on the sum of all releases, as are the less costly spans of many
ledgers.</p>
<h3>Mechanisms</h3>
<p>Every release is a sum of clipped contributions plus Gaussian noise, by kind:
{% for noise, count in noises.items() %}{{
  "added by the server" if noise == "server" else noise }} ({{ count | number }}){{
  ", " if not loop.last }}{% endfor %}. Each was checked against the region's own
rules that were in force: kind of question, trust model, noise multiplier, clipping norm,
participants, server, encoder, program, releases of its run, window, and the budget at that
moment.</p>
{% for region, picture in pictures.items() %}<h3>{{ region }}: spending over its releases</h3>
{{ picture }}{% endfor %}
{% endif %}
{% if doc.examination %}<h3>The mechanism, examined by trying</h3>
<p>This program's own door was asked on made-up data. A pass is evidence, never proof.</p>
<table><thead><tr><th scope="col">Check</th><th scope="col">Found</th><th scope="col"></th></tr>
</thead><tbody>{% for check in doc.examination %}<tr><th scope="row">{{ check.name }}
<small>{{ check.question }}</small></th><td>{{ check.detail }}
<small>{{ check.kind }}{% if check.kind == "statistical" %}, confidence {{
  "%.4f" % check.confidence }}{% endif %}</small></td><td>{{ mark(check.passed) }}</td></tr>
{% endfor %}</tbody></table>{% endif %}
{% if doc.pipeline %}<h3>A whole run, attacked</h3>
<p>{{ doc.pipeline.sentence }}</p>{% endif %}
{% if ledgers %}
<h3>What else was published, and why it is free</h3>
<table><tbody>{% for item in doc.published %}<tr><th scope="row">{{ item.what }}</th>
<td>{{ item.why_free }}</td></tr>{% endfor %}</tbody></table></section>

<section class="layer" style="--stage: var(--refine)"><h2>3. Security</h2>
<p>Chains, signatures, kept answers and numbering were checked record by record;
{% if doc.server_records %}heads that servers kept were compared with the ledgers{% else %}no heads
of servers were given{% endif %}.</p>
{% for record in doc.server_records %}{% if record.rounds %}
<table><caption>Run {{ record.run }}, by its server's count ({{ record.regions }}
regions).</caption>
<thead><tr><th scope="col" class="n">round</th><th scope="col">purpose</th>
<th scope="col" class="n">asked</th><th scope="col" class="n">answered</th>
<th scope="col" class="n">refused</th><th scope="col" class="n">unusable</th>
<th scope="col" class="n">dropped out</th></tr></thead><tbody>
{% for count in record.rounds %}<tr><td class="n">{{ count.round_number }}</td>
<td>{{ count.purpose }}</td><td class="n">{{ count.asked }}</td><td class="n">{{ count.answered }}
</td><td class="n">{{ count.refused }}</td><td class="n">{{ count.unusable }}</td>
<td class="n">{{ count.dropped_out }}</td></tr>{% endfor %}</tbody></table>{% endif %}{% endfor %}
<h3>Programs and encoders that answered</h3>
<table><tbody>{% for code, count in programs.items() %}<tr><th scope="row">program</th>
<td class="mono">{{ code }}</td><td class="n">{{ count | number }}</td></tr>{% endfor %}
{% for encoder, count in encoders.items() %}<tr><th scope="row">encoder</th>
<td class="mono">{{ encoder }}</td><td class="n">{{ count | number }}</td></tr>{% endfor %}
</tbody></table>
<h3>Incidents, renewals and refusals</h3>
{% if incidents %}{{ told(incidents) }}{% else %}<p>None.</p>{% endif %}
</section>

<section class="layer" style="--stage: var(--describe)"><h2>4. Data collection</h2>
<p>Behaviour stays at the region that recorded it. Ledgers hold no user identifiers and nothing
exact: requests, mechanisms, refusals and released values. What the regions collect, how long they
keep it and on what legal ground is outside this audit. Rules in force:</p>
{% for rule, regions in rules.items() %}
<h3>Rules of {{ regions | join(", ") }}</h3><p class="mono">{{ rule }}</p>{% endfor %}
</section>

<section class="layer" style="--stage: var(--other)"><h2>5. Not checked, and assumed</h2>
{% if unchecked %}<h3>Could not be checked with what was given</h3>{{ told(unchecked) }}{% endif %}
<h3>Assumed</h3>{{ told(doc.assumptions) }}</section>
{% endif %}
<section><h2>Signature</h2>
{% if public_key %}<p>The JSON report beside this page is signed by the Ed25519 key below; <code
class="mono">fedinterest audit --check audit.json</code> tells whether it was changed since.</p>
<p class="mono">{{ public_key }}</p>{% else %}<p>The JSON report is not signed: no key was
given.</p>{% endif %}
{% if digest %}<p>This page shows the audit whose JSON has the SHA-256 below; <code
class="mono">--check</code> prints it, too.</p>
<p class="mono">{{ digest }}</p>{% endif %}
<div class="signing"><div>Name and function</div><div>Place and date</div>
<div>Signature</div><div>Remarks</div></div></section>

{% for one in detailed %}
<section class="appendix"><h2>{{ one.region }}: {{
  "every release" if one.released else "refusals" }}</h2>
<p class="mono">key {{ one.public_key }}<br>head {{ one.head }} (record {{ one.records }})</p>
{% for around in one.circumstances %}{% set index = loop.index0 %}
<table class="small"><caption>Run {{ around.run }}; window {{ around.window }}; {{
  around.trust_model }} trust, {{ around.noise }} noise; for {{ around.participants }} clients;
server {{ around.server_key[:16] or "unsigned" }}; program {{ around.code[:12] }}; encoder {{
  around.encoder[:12] }}; rules {{ around.policy[:12] }}.</caption>
<thead><tr><th scope="col" class="n">#</th><th scope="col">time</th><th scope="col">purpose</th>
<th scope="col">question</th><th scope="col" class="n">norm</th>
<th scope="col" class="n">sensitivity</th><th scope="col" class="n">&sigma;</th>
<th scope="col" class="n">&epsilon; after</th><th scope="col">request, reply</th>
<th scope="col"></th></tr></thead><tbody>
{% for release in one.released if release.circumstances == index %}
<tr><td class="n">{{ release.entry }}</td><td>{{ release.time[:19] | replace("T", " ") }}</td>
<td>{{ release.purpose }}</td><td>{{ release.kind }}</td>
<td class="n">{{ "%.4g" % release.clipping_norm }}</td>
<td class="n">{{ "%.5g" % release.sensitivity }}</td><td class="n">{{ "%.5g" % release.sigma }}</td>
<td class="n">{{ release.window_mu_after | spent(one.promise.delta) }}</td>
<td class="mono">{{ release.request[:8] }} {{ (release.reply or "-")[:8] }}</td>
<td>{{ "" if release.state == "committed" else release.state }}</td></tr>
{% endfor %}</tbody></table>{% endfor %}
{% if one.refused %}<h3>Refused</h3><table class="small"><tbody>
{% for refusal in one.refused[:most_refused] %}
<tr><td>{{ refusal.time[:19] | replace("T", " ") }}</td><td>{{ refusal.purpose }}, round {{
  refusal.round_number }} of {{ refusal.run }}</td><td>{{ refusal.reason }}</td>
<td>{{ refusal.sentence }}</td></tr>{% endfor %}</tbody></table>{%
  if one.refused | length > most_refused %}<p class="soft">... and {{
  one.refused | length - most_refused }} more, in the JSON report.</p>{% endif %}{% endif %}
</section>{% endfor %}
</main>
<footer><p class="soft">Layers as in NIST SP 800-226: the guarantee rests on correct algorithms,
these on security, and all on what is collected. Everything in full precision: audit.json, beside
this page. Releases of {{ detailed | length }} of {{ ledgers | length }} ledgers are listed
here.</p></footer>
</body>
</html>
"""
