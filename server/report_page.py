"""``report.html``: the report for people, in one file that needs no network."""

from __future__ import annotations

from jinja2 import Environment

from server.report import Report

PAGE = """<!doctype html><title>{{ report.run.name }}</title><pre>{{ report.run.id }}</pre>"""


def render(report: Report) -> str:
    """Return the page."""
    return Environment(autoescape=True).from_string(PAGE).render(report=report)
