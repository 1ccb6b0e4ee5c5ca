"""No text can break the page or run in it: looked at in a real browser, where there is one."""

import shutil
import subprocess

import pytest
from plumbline_analyzer import observations, report, results
from plumbline_contracts.analyzer import AnalysisSettings, Detector

HOSTILE = [
    "</div></details></section><script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "]]><svg onload=\"document.title='ran'\"></svg>",
    "<style>main{display:none}</style>",
    "<iframe srcdoc=\"<script>parent.document.title='ran'</script>\"></iframe>",
    "<math><mtext><table><mglyph><style><!--</style><img src=x onerror=document.title='ran'>",
    "\u202eright to left",
    "&lt;script&gt; &#x3C;script> {{ 7*7 }} {% raw %}",
    "--><!-- <!doctype html></body></html>",
]


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium here: apt-get install chromium")
    return found


def test_hostile_texts_stay_texts(browser, observe, request_of, tmp_path) -> None:
    given = [
        observe(
            i, arm=arm, response=text * 3, instruction=text, scores={"depth": 3 if i % 2 else text},
            found=[Detector.WRONG_LANGUAGE],
        )
        for arm in ("base", "<b onclick=x>dpo")
        for i, text in enumerate(HOSTILE)
    ]  # fmt: skip
    request = request_of(given, arms=["base", "<b onclick=x>dpo"], title=HOSTILE[0], notes=HOSTILE)
    request = request.model_copy(update={"settings": AnalysisSettings(resamples=100)})
    table = observations.read(request, None)
    numbers = results.numbers(table)
    page = tmp_path / "report.html"
    page.write_text(report.render(table, report.Contents(numbers, [], []), report.figures(table, numbers)))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    shown = subprocess.run([browser, *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    dom = shown.stdout
    assert "<title>ran" not in dom
    for element in ("<script", "<img", "<iframe", "<math", "<b onclick"):
        assert element not in dom, element
    assert dom.count("<style") == 1
    assert dom.count("<main>") == dom.count("</main>") == dom.count("<footer>") == 1
    assert "&lt;script&gt;document.title='ran'&lt;/script&gt;" in dom
