"""What counts as solved, what is kept, what goes on."""

import json
import math
import re
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from gatewise.errors import OptionError, RunError
from gatewise.experiments import (
    MODELS,
    Network,
    Plan,
    Settings,
    experiment_page,
    learn,
    learning,
    problem,
    read_results,
    runner,
)
from gatewise.experiments import results as results_module
from gatewise.experiments.drawing import curves, gradients, success
from gatewise.experiments.gradients import Reach
from gatewise.experiments.learning import Finished
from gatewise.experiments.picture import PANELS, draw_picture
from gatewise.experiments.problems import Judged
from gatewise.experiments.results import Results, summarize, wilson
from gatewise.experiments.runner import prepare, run

ADDING = problem("adding")
TINY = Settings(hidden_size=4, batch_size=4, steps=3)


def same(one, other):
    """Equal but for time."""
    return replace(one, seconds=0, cpu_seconds=0) == replace(other, seconds=0, cpu_seconds=0)


def finished(model="lstm", length=50, seed=0, end="solved", steps=30, **values):
    """A network as if it had learnt."""
    measured = Reach([0, 1, 2], [1.0, 0.5, 1e-30], [1.0, 0.1, 0.0])
    plain = {
        "sequences": 10 * steps, "right": 0.995, "error": 0.01, "loss": 0.001, "seconds": 1.5, "cpu_seconds": 1.0,
        "parameters": 7, "curve_step": [10, 20], "curve_loss": [0.2, 0.1], "curve_right": [0.1, 0.6],
        "start": measured, "after": measured,
    }  # fmt: skip
    return Finished(model=model, length=length, seed=seed, end=end, steps=steps, **{**plain, **values})


@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_and_a_seed_says_it_all(model):
    first, second = (learn(ADDING, model, 20, 3, TINY) for _ in range(2))
    assert same(first, second)
    assert not same(first, learn(ADDING, model, 20, 4, TINY))
    assert (first.end, first.steps, first.sequences) == ("steps", 3, 12)
    assert first.parameters == sum(p.numel() for p in Network(model, ADDING, length=20, hidden_size=4).parameters())
    assert first.curve_step == [1, 2, 3]
    assert first.after is not None
    assert first.after != first.start


def test_the_randomness_of_others_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    learn(ADDING, "lstm", 20, 0, TINY)
    assert torch.equal(torch.rand(3), expected)


def test_models_of_a_seed_see_the_same_sequences(monkeypatch):
    seen = []

    def draw(*arguments):
        sample = ADDING.draw(*arguments)
        seen.append(sample.inputs.sum().item())
        return sample

    watched = replace(ADDING, draw=draw)
    learn(watched, "rnn", 20, 0, TINY)
    first, seen[:] = list(seen), []
    learn(watched, "lstm", 20, 0, TINY)
    assert first == seen


def test_an_easy_problem_is_solved():
    one = problem("noise", "3a")
    found = learn(one, "lstm-chrono", 5, 0, Settings(hidden_size=8, steps=1000, lr=0.03))
    assert found.end == "solved"
    assert found.right >= learning.RIGHT
    assert found.steps < 1000
    assert found.steps * 32 >= learning.RECENT


def judging(rights):
    """A problem whose sequences are right as told, one share a step."""
    told = iter(rights)

    def judge(scores, targets):
        right = torch.zeros(len(scores), dtype=torch.bool)
        right[: round(next(told) * len(scores))] = True
        return Judged(scores.square().mean(), (~right).float(), right)

    return replace(ADDING, judge=judge)


def test_solved_takes_the_recent_and_the_test(monkeypatch):
    """With 2,000 recent sequences in 2 steps of 1,000: a test that fails lets it learn on."""
    monkeypatch.setattr(learning, "reach", lambda *_: Reach([0], [1.0], [1.0]))
    monkeypatch.setattr(learning, "RECENT", 200)
    monkeypatch.setattr(learning, "TEST", 256)
    settings = replace(TINY, batch_size=100, steps=9)
    told = [1.0, 0.5, 1.0, 1.0, 0.98, 1.0, 1.0, 0.99609375]
    #       step 1, 2,   3,   4,   test, 5,   6,   test
    found = learn(judging(told), "lstm", 20, 0, settings)
    assert (found.end, found.steps, found.right) == ("solved", 6, 0.99609375)


def test_time_runs_out():
    found = learn(ADDING, "lstm", 20, 0, replace(TINY, minutes=1e-9, steps=50))
    assert (found.end, found.steps) == ("time", 1)


def test_hours_by_the_clock_cost_a_network_nothing(monkeypatch):
    """A machine that others use takes the clock's time, not the processor's: the budget is of the latter."""
    hours = iter(range(0, 10**9, 3600))
    monkeypatch.setattr(
        learning, "time", SimpleNamespace(perf_counter=lambda: next(hours), process_time=time.process_time)
    )
    found = learn(ADDING, "lstm", 20, 0, TINY)
    assert (found.end, found.steps) == ("steps", 3)
    assert found.seconds >= 3600


def test_a_network_that_time_ended_is_neither_solved_nor_failed(tmp_path):
    late = finished(seed=2, end="time", steps=7, right=0.2, seconds=999, curve_step=[10, 20, 30], curve_right=[0, 0, 0])
    cell = summarize([finished(), late, finished(seed=1, end="steps", right=0.5)])
    without = summarize([finished(), finished(seed=1, end="steps", right=0.5)])
    assert cell == without._replace(unfinished=1)
    assert (cell.seeds, cell.solved) == (2, 1)
    results = Results(ADDING, TINY, (finished(), late, finished(model="rnn", end="time")))
    assert [line.model for line in curves(results, 50)] == ["lstm"]
    assert curves(results, 50)[0].x == [10, 20]
    assert [(line.model, line.y) for line in success(results)] == [("lstm", [1.0])]
    assert [line.model for line in gradients(results, 50, "inputs, after")] == ["lstm"]
    assert {line.model for line in gradients(results, 50, "state, start")} == {"lstm", "rnn"}
    html = experiment_page(results)
    assert "1 of 1, 1 not finished" in html
    assert "Not finished: 2." in html
    assert "NaN" not in html[html.index("<main>") : html.index("</main>")]
    alone = summarize([late])
    assert (alone.seeds, alone.unfinished, math.isnan(alone.wrong)) == (0, 1, True)
    pytest.importorskip("matplotlib", reason="the extra figures is not installed")
    draw_picture(results, tmp_path / "success.svg", "success")


def test_what_time_ended_is_learnt_again_only_with_more_of_it(tmp_path):
    short = Plan("adding", models=("lstm",), lengths=(20,), settings=replace(TINY, minutes=1e-9))
    first = run(short, prepare(short, tmp_path), folder=tmp_path)
    assert run(short, prepare(short, tmp_path), folder=tmp_path).finished == first.finished
    longer = replace(short, settings=TINY)
    again = run(longer, prepare(longer, tmp_path), folder=tmp_path)
    assert [(each.end, each.steps) for each in again.finished] == [("steps", 3)]
    assert read_results(tmp_path).finished == again.finished


def test_a_finished_network_of_another_process_replaces_an_unfinished_one():
    late, ended = finished(end="time"), finished(end="steps")
    for one, other in ((late, ended), (ended, late)):
        assert Results(ADDING, TINY, (one,)).joined(Results(ADDING, TINY, (other,))).finished == (ended,)


def test_a_loss_that_is_no_number_ends_it(monkeypatch):
    one = replace(ADDING, judge=lambda s, t: ADDING.judge(s * math.inf, t))
    monkeypatch.setattr(learning, "reach", lambda *_: Reach([0], [1.0], [1.0]))
    found = learn(one, "lstm", 20, 0, TINY)
    assert found.end == "diverged"
    assert found.steps == 1


def test_no_steps_measure_gradients_alone():
    found = learn(ADDING, "lstm", 20, 0, replace(TINY, steps=0))
    assert (found.end, found.steps, found.after, found.curve_step) == ("steps", 0, None, [])
    assert math.isnan(found.right)
    assert len(found.start.state) == 20


@pytest.mark.parametrize(
    ("option", "value"), [("steps", -1), ("batch_size", 0), ("lr", 0.0), ("clip", math.inf), ("hidden_size", 2.5)]
)
def test_settings_out_of_range(option, value):
    with pytest.raises(OptionError, match=f"{option}.*{value}"):
        Settings(**{option: value})


def test_a_stopped_experiment_goes_on_and_ends_the_same(tmp_path, monkeypatch):
    plan = Plan("adding", models=("rnn", "lstm"), lengths=(20,), seeds=2, settings=TINY)
    whole = run(plan, prepare(plan, None))
    asked = []

    def stopping(*arguments, **options):
        asked.append(arguments[1:4])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return learn(*arguments, **options)

    monkeypatch.setattr(runner, "learn", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(plan, prepare(plan, tmp_path), folder=tmp_path)
    assert len(read_results(tmp_path).finished) == 2
    resumed = run(plan, prepare(plan, tmp_path), folder=tmp_path)
    assert len(asked) == 5  # the third once more, and the fourth
    assert all(same(one, other) for one, other in zip(whole.finished, resumed.finished, strict=True))
    again = run(plan, prepare(plan, tmp_path), folder=tmp_path)
    assert len(asked) == 5
    assert all(same(one, other) for one, other in zip(again.finished, whole.finished, strict=True))


def test_two_processes_share_a_folder(tmp_path):
    """What another has finished meanwhile stays."""
    plan = Plan("adding", models=("lstm",), lengths=(20,), seeds=2, settings=TINY)

    def other(finished):
        if finished.seed == 0:
            rnns = replace(plan, models=("rnn",), seeds=1)
            run(rnns, prepare(rnns, tmp_path), folder=tmp_path)

    run(plan, prepare(plan, tmp_path), folder=tmp_path, on_finished=other)
    assert read_results(tmp_path).networks() == {("lstm", 20, 0), ("lstm", 20, 1), ("rnn", 20, 0)}


def test_processes_that_finish_at_the_same_time_lose_nothing(tmp_path, monkeypatch):
    """Reading, joining and writing are one: each waits for the other, however long a write takes."""

    def slow(path, content, write=results_module.write_atomic):
        time.sleep(0.02)
        write(path, content)

    monkeypatch.setattr(results_module, "write_atomic", slow)
    monkeypatch.setattr(runner, "learn", lambda _, model, length, seed, *rest, **more: finished(model, length, seed))

    def go(model):
        plan = Plan("adding", models=(model,), lengths=(20,), seeds=5, settings=TINY)
        run(plan, prepare(plan, tmp_path), folder=tmp_path)

    threads = [threading.Thread(target=go, args=(model,)) for model in ("rnn", "gru", "lstm")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_results(tmp_path).networks()) == 15
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", ".results.lock"}


def test_beginning_anew_forgets_at_once(tmp_path):
    plan = Plan("adding", models=("lstm",), lengths=(20,), settings=TINY)
    run(plan, prepare(plan, tmp_path), folder=tmp_path)
    prepare(plan, tmp_path, overwrite=True)
    assert read_results(tmp_path).finished == ()


def test_more_can_be_added(tmp_path):
    plan = Plan("adding", models=("lstm",), lengths=(20,), settings=TINY)
    run(plan, prepare(plan, tmp_path), folder=tmp_path)
    more = replace(plan, lengths=(20, 30))
    found = run(more, prepare(more, tmp_path), folder=tmp_path)
    assert [each.length for each in found.finished] == [20, 30]
    assert read_results(tmp_path).finished == found.finished
    assert [each.length for each in found.only(plan.networks()).finished] == [20]


def test_what_is_written_is_read(tmp_path):
    results = Results(problem("order", "6b"), TINY, (finished(), finished(seed=1, end="diverged", loss=math.inf)))
    results.save(tmp_path)
    found = read_results(tmp_path)
    assert found.finished[0] == results.finished[0]
    assert (found.problem.variant, found.settings) == ("6b", TINY)
    assert math.isnan(found.finished[1].loss)


def test_folders_that_do_not_fit_are_refused(tmp_path):
    plan = Plan("adding", models=("lstm",), lengths=(20,), settings=TINY)
    Results(ADDING, TINY, (finished(),)).save(tmp_path)
    with pytest.raises(RunError, match=r"expected .* of this experiment, got adding"):
        prepare(replace(plan, name="copy"), tmp_path)
    with pytest.raises(RunError, match="steps 3"):
        prepare(replace(plan, settings=replace(TINY, steps=4)), tmp_path)
    assert prepare(replace(plan, name="copy"), tmp_path, overwrite=True).finished == ()
    (tmp_path / "results.json").write_text('{"version": 1, "experiment": "adding", "networks": [{}]}')
    with pytest.raises(RunError, match="damaged"):
        prepare(plan, tmp_path)
    (tmp_path / "results.json").write_text('{"version": 99, "experiment": "adding", "networks": []}')
    with pytest.raises(RunError, match="99"):
        prepare(plan, tmp_path)
    (tmp_path / "results.json").rename(tmp_path / "letters.txt")
    with pytest.raises(RunError, match="other files"):
        prepare(plan, tmp_path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"models": ("lstn",)}, "lstn.*Did you mean"),
        ({"lengths": (10,)}, "at least 20.*10"),
        ({"seeds": 0}, "seeds.*0"),
        ({"models": ()}, "none"),
    ],
)
def test_plans_that_cannot_be(options, match):
    with pytest.raises(OptionError, match=match):
        Plan("adding", **options)


def test_wilson_against_the_formula_and_the_table():
    """Values of Newcombe 1998, table I, and the property that defines the interval: its ends are z errors away."""
    assert [round(x, 4) for x in wilson(81, 263)[1:]] == [0.2553, 0.3662]
    assert [round(x, 4) for x in wilson(0, 20)[1:]] == [0.0, 0.1611]
    assert [round(x, 4) for x in wilson(1, 29)[1:]] == [0.0061, 0.1718]
    share, low, high = wilson(3, 7)
    for end in (low, high):
        assert abs(share - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / 7))
    assert wilson(0, 0)[1:] == (0, 1)


def test_a_summary_speaks_of_the_seeds_that_solved_it():
    cell = summarize([finished(steps=10), finished(seed=1, steps=40), finished(seed=2, end="steps", steps=99, right=0)])
    assert (cell.solved, cell.seeds, cell.steps) == (2, 3, 25)
    assert cell.wrong == pytest.approx(0.005)
    assert math.isnan(summarize([finished(end="steps")]).steps)


def test_lines_are_medians_and_ranges():
    results = Results(
        ADDING, TINY, (finished(), finished(seed=1, curve_step=[10, 20, 30], curve_right=[0.3, 0.4, 0.9], end="steps"))
    )
    (line,) = curves(results, 50)
    assert line.x == [10, 20, 30]
    assert line.low == [0.1, 0.4, 0.6]  # the first one stays where it ended
    assert line.high == [0.3, 0.6, 0.9]
    assert line.y == pytest.approx([0.2, 0.5, 0.75])
    (line,) = gradients(results, 50, "state, start")
    assert line.y[:2] == [1.0, 0.1]
    assert math.isnan(line.y[2])  # zero: beneath what float64 holds, so the line ends
    (line,) = gradients(results, 50, "inputs, start")
    assert line.y == line.low == [1.0, 0.5, 1e-30]  # as measured, however small
    (line,) = success(results)
    assert (line.x, line.y) == ([50], [0.5])
    assert gradients(replace(results, finished=(finished(after=None),)), 50, "inputs, after") == []


def full():
    """Results of every model at two lengths."""
    cells = [(model, length) for model in MODELS for length in (50, 100)]
    return Results(
        ADDING, Settings(), tuple(finished(m, n, s, "solved" if s else "steps") for m, n in cells for s in (0, 1))
    )


def test_the_page_says_what_was_found_and_loads_nothing():
    html = experiment_page(full(), command="gatewise experiment <adding>")
    for words in ("The adding problem", "1 of 2", "LSTM, chrono", "cell of 1997", "&lt;adding&gt;", "9% to 91%"):
        assert words in html
    body = html[html.index("<main>") : html.index("</main>")]
    assert "src=" not in body
    assert body.count('role="img"') == 1 + 2 * 2 + 2 * 3
    assert "NaN" not in body


@pytest.mark.parametrize("steps", [0, 2])
def test_the_page_of_a_small_experiment(steps):
    plan = Plan("adding", models=("lstm",), lengths=(20,), settings=replace(TINY, steps=steps))
    html = experiment_page(run(plan, prepare(plan, None)))
    assert ("0 of 1" in html) == ("Who solves it" in html) == (steps > 0)
    assert "Before learning: the state k steps ago" in html


@pytest.mark.parametrize("panel", [*PANELS, "all"])
def test_pictures_are_drawn_the_same_each_time(tmp_path, panel):
    pytest.importorskip("matplotlib", reason="the extra figures is not installed")
    for name in ("a.svg", "b.svg"):
        draw_picture(full(), tmp_path / name, panel)
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn == (tmp_path / "b.svg").read_text()
    assert "LSTM, chrono" in drawn
    assert len(drawn) < 200_000


def test_pictures_say_how_many_seeds_they_rest_on(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra figures is not installed")
    few = Results(ADDING, Settings(), (finished(), finished(seed=1), finished("rnn", 100)))
    draw_picture(few, tmp_path / "success.svg", "success")
    drawn = (tmp_path / "success.svg").read_text()
    assert seeds_drawn(drawn) == {("lstm", 50): "2", ("rnn", 50): "\u2013", ("lstm", 100): "\u2013", ("rnn", 100): "1"}
    draw_picture(few.only([("lstm", 50, 0), ("lstm", 50, 1)]), tmp_path / "learning.svg", "learning")
    assert "LSTM, forget bias 1, 2 seeds" in (tmp_path / "learning.svg").read_text()


def seeds_drawn(svg):
    """What a picture says of each model and length."""
    found = re.findall(r'<g id="seeds-([\w-]+)-(\d+)">.*?<text[^>]*>(.*?)</text>', svg, re.DOTALL)
    return {(model, int(length)): seeds for model, length, seeds in found}


def test_pictures_that_cannot_be_drawn(tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"\.svg.*x\.bmp"):
        draw_picture(full(), tmp_path / "x.bmp")
    with pytest.raises(OptionError, match="learning"):
        draw_picture(full(), tmp_path / "x.svg", "learnin")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(OptionError, match=r"pip install \"gatewise\[figures\]\""):
        draw_picture(full(), tmp_path / "x.svg")


def test_results_are_plain_json(tmp_path):
    full().save(tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["experiment"] == "adding"
    assert len(content["networks"]) == 28


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])
@pytest.mark.parametrize("content", ['{"best_epoch": 3, "validation": {}}', '{"precious": 1}', "[]"])
def test_a_folder_of_something_else_is_never_touched(content, overwrite, tmp_path):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(RunError, match="to be empty or an experiment's"):
        prepare(Plan("adding", models=("lstm",), lengths=(20,), settings=TINY), tmp_path, overwrite=overwrite)
    assert (tmp_path / "results.json").read_text() == content


def test_results_that_were_cut_off_begin_anew_when_told_to(tmp_path):
    (tmp_path / "results.json").write_text('{"version": 1, "netw')
    plan = Plan("adding", models=("lstm",), lengths=(20,), settings=TINY)
    with pytest.raises(RunError, match="damaged"):
        prepare(plan, tmp_path)
    assert prepare(plan, tmp_path, overwrite=True).finished == ()
