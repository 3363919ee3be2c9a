"""What the pages say is run: Python blocks, shell commands, links, generated tables."""

import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gatewise.cli import main as cli
from gatewise.tasks import TASKS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TASK_PAGES = [page for page in PAGES if page.parent.name == "tasks"]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_RUN = 6  # README's installation; commands that take long, or are on files that a reader has and we have not
THEIRS = (
    r"recordings\.csv|machines\.parquet|ecg\.csv|articles\.jsonl|corpus\.en|shakespeare\.txt\.xz|runs/en-de"
    r"|load\.csv|runs/load|recordings/metadata|runs/speech"
)


def blocks(page, language):
    """Line number, whether it is run, and text of each block."""
    text = page.read_text()
    for found in FENCE.finditer(text):
        if found[1] == language:
            yield text[: found.start(3)].count("\n"), "notest" not in found[2], found[3]


def execute(page, line, code, namespace):
    # Leading newlines: a traceback then names the page's own line.
    exec(compile("\n" * line + code, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in TASK_PAGES], ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for line, run, code in blocks(page, "python"):
        if run:
            execute(page, line, code, namespace)


@pytest.fixture
def type_line(monkeypatch, capfd):
    """Runs a line as a shell does, but gatewise in this process: it is then imported once, not once a command."""

    def run(line):
        piped, _, command = line.rpartition(" | ")
        if not command.startswith("gatewise "):
            subprocess.run(["bash", "-o", "errexit", "-c", line], timeout=60, check=True)
            return
        given = subprocess.run(["bash", "-c", piped], capture_output=True, timeout=60, check=True).stdout
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
        monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0, f"{line}\n{capfd.readouterr().err}"

    return run


@pytest.mark.parametrize("page", TASK_PAGES, ids=lambda page: page.name)
def test_pages_of_tasks_run_from_top_to_bottom(page, tmp_path, monkeypatch, type_line):
    """Commands and Python in the order of the page, in one folder. A block that names a file is that file."""
    monkeypatch.chdir(tmp_path)
    text, namespace = page.read_text(), {}
    for found in FENCE.finditer(text):
        language, words, content = found[1], found[2].split(), found[3]
        if language == "python":
            execute(page, text[: found.start(3)].count("\n"), content, namespace)
        elif language == "sh" and "notest" not in words:
            for line in content.splitlines():
                type_line(line)
        elif language != "sh":
            (name,) = words
            Path(name).write_text(content, encoding="utf-8")


def test_every_task_has_a_page():
    assert {page.stem for page in TASK_PAGES} == set(TASKS)


def test_commands_of_the_readme_run_as_typed(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    for _, run, text in blocks(ROOT / "README.md", "sh"):
        for line in text.splitlines() if run else []:
            command = shlex.split(line, comments=True)
            if command:
                done = subprocess.run(
                    command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
                )
                assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "runs" / "vowels" / "report.html").exists()
    assert (tmp_path / "predictions.csv").read_text().count("\n") == 371


def test_commands_that_are_not_run_are_few_and_parse(tmp_path, monkeypatch):
    skipped = [text for page in PAGES for _, run, text in blocks(page, "sh") if not run]
    assert len(skipped) == NOT_RUN
    monkeypatch.chdir(tmp_path)  # where none of the files is
    for line in "".join(skipped).splitlines():
        words = shlex.split(line.partition(" < ")[0], comments=True)
        if words[0] == "make":
            continue
        with pytest.raises(Exception, match=THEIRS):
            cli.app(words[1:], standalone_mode=False)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith(("http", "mailto")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_settings_page_is_current():
    spec = importlib.util.spec_from_file_location("settings_page", ROOT / "scripts" / "settings_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "settings.md").read_text() == module.page(), "run scripts/settings_page.py docs/settings.md"


def test_examples_are_typed_in_their_first_line():
    for path in (ROOT / "examples").glob("*.toml"):
        assert path.read_text().startswith("# gatewise train")


def test_published_parameter_counts():
    import gatewise

    model = gatewise.recipes.bilstm(input_size=1, num_classes=2)
    count = f"{sum(p.numel() for p in model.parameters()):,}"
    assert count in (ROOT / "README.md").read_text()
    assert count in gatewise.recipes.bilstm.__doc__
