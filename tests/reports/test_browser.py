"""The page in a real browser: every figure is drawn, and nothing in it runs that should not."""

import shutil
import subprocess
from dataclasses import replace

import pytest

from gatewise.reports.report import render
from reports import invented_texts

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_every_figure_is_drawn(hostile, kind, tmp_path):
    report = hostile if kind == "numbers" else replace(invented_texts.hostile()["pairs"], title=hostile.title)
    content = render(report)
    page = tmp_path / "report.html"
    page.write_text(content, encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", "--dump-dom"]
    shown = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    assert shown.count('class="chart js-plotly-plot"') == content.count('class="chart"')
    assert "<title>run &lt;script&gt;" in shown
    assert '<img src="http' not in shown
