"""What goes wrong is told in one line: what, where, what to do. Nothing is lost."""

import shutil

import numpy as np
import pytest

from tables import QUICK, write_long, write_wide


@pytest.fixture
def train(mistake, tmp_path):
    """A training that must be refused, and must leave no directory."""

    def run(data, *words, out=None):
        message = mistake("train", "classification", "--data", data, "--out", out or tmp_path / "run", *QUICK, *words)
        assert out or not (tmp_path / "run").exists()
        return message

    return run


def test_missing_file(train, tmp_path):
    assert "no.csv: expected a file" in train(tmp_path / "no.csv", "--target", "label")


def test_empty_file(train, tmp_path):
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv" in train(tmp_path / "empty.csv", "--target", "label")


def test_header_only(train, tmp_path):
    (tmp_path / "header.csv").write_text("t0,t1,label\n")
    message = train(tmp_path / "header.csv", "--target", "label")
    assert "header.csv" in message
    assert "header" in message.split("header.csv")[1] or "row" in message


def test_no_such_column(train, tmp_path):
    message = train(write_wide(tmp_path / "a.csv"), "--target", "lable")
    assert "lable" in message
    assert 'Did you mean "label"?' in message


def test_text_where_a_number_belongs(train, tmp_path):
    path = write_wide(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[3], "n.b.")
    path.write_text("\n".join(lines))
    message = train(path, "--target", "label")
    assert "a.csv, row 6, column t3" in message
    assert "n.b." in message


def test_channel_without_a_value(train, tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 5, 2))
    x[:, :, 1] = np.nan
    np.savez(tmp_path / "a.npz", x=x, y=np.array(["a", "b"] * 6))
    message = train(tmp_path / "a.npz")
    assert "column c1" in message
    assert "missing" in message


def test_one_class_only(train, tmp_path):
    assert 'only "up"' in train(write_wide(tmp_path / "a.csv", labels=("up",)), "--target", "label")


def test_class_with_one_example_is_told_and_kept_in_training(gatewise, tmp_path):
    path = write_wide(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1].replace("up", "sideways")]) + "\n")
    answer = gatewise("train", "classification", "--data", path, "--target", "label", "--out", tmp_path / "run", *QUICK)
    assert answer.code == 0
    assert 'class "sideways" has one example; it stays in training' in answer.err


def test_two_examples_cannot_be_split_by_group(train, tmp_path):
    message = train(
        write_long(tmp_path / "a.csv", people=1), "--id", "recording", "--target", "label", "--group", "person"
    )
    assert "at least 2 groups, got 1" in message


def test_unknown_format(train, tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    message = train(tmp_path / "a.xlsx")
    assert "a.xlsx" in message
    assert ".parquet" in message


def test_wrong_number_of_channels_at_predict(mistake, trained, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 8, 2)))
    message = mistake("predict", trained / "run", "--data", tmp_path / "a.npz")
    assert "a.npz" in message
    assert "1 channel" in message
    assert "2" in message


def test_unknown_label_at_evaluate(mistake, trained, tmp_path):
    path = write_wide(tmp_path / "a.csv", labels=("down", "upp"))
    message = mistake("evaluate", trained / "run", "--data", path)
    assert 'got "upp"' in message
    assert "a.csv, row 3" in message
    assert 'Did you mean "up"?' in message


def test_evaluate_without_answers(mistake, trained, tmp_path):
    path = write_wide(tmp_path / "a.csv")
    lines = [line.rsplit(",", 1)[0] for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
    assert "label" in mistake("evaluate", trained / "run", "--data", path)


def test_out_that_exists_is_left_alone(train, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    message = train(trained / "train.csv", "--target", "label", out=run)
    assert "--resume" in message
    assert "--overwrite" in message
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_out_that_is_no_run_is_never_overwritten(train, trained, tmp_path):
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "holiday.jpg").write_bytes(b"precious")
    for option in ((), ("--overwrite",), ("--resume",)):
        assert "other files" in train(trained / "train.csv", "--target", "label", *option, out=mine)
    assert (mine / "holiday.jpg").read_bytes() == b"precious"
    assert [file.name for file in mine.iterdir()] == ["holiday.jpg"]


def test_a_mistake_with_overwrite_keeps_the_old_run(train, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    train(tmp_path / "no.csv", "--overwrite", out=run)
    train(trained / "train.csv", "--target", "label", "--overwrite", "--recipe", "none-such", out=run)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_cut_off_weights(mistake, trained, tmp_path, keep):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    weights = run / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    message = mistake("predict", run, "--data", trained / "test.csv")
    assert "weights.safetensors: expected a complete safetensors file" in message
    assert weights.stat().st_size == keep


@pytest.mark.parametrize("name", ["adapter.json", "config.toml"])
def test_damaged_text_files(mistake, trained, tmp_path, name):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    file = run / name
    file.write_bytes(file.read_bytes()[:40])
    assert name in mistake("predict", run, "--data", trained / "test.csv")


def test_weights_of_another_model(mistake, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    config = run / "config.toml"
    text = config.read_text()
    assert "hidden_sizes = [\n    4,\n]" in text
    config.write_text(text.replace("    4,\n", "    5,\n"))
    assert "weights of this run's model" in mistake("predict", run, "--data", trained / "test.csv")


def test_unknown_run_format(mistake, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    config = run / "config.toml"
    config.write_text(config.read_text().replace("format = 1", "format = 9"))
    assert "config.toml: expected a run of format 1, got 9" in mistake("predict", run, "--data", trained / "test.csv")


def test_no_run(mistake, tmp_path):
    for verb in ("evaluate", "predict", "report"):
        assert "expected a run directory" in mistake(verb, tmp_path, *(("--data", "x.csv") if verb != "report" else ()))


def test_config_with_three_mistakes(mistake, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('task = "classification"\n[train]\nepoch = 3\nlr = -1.0\n[model]\nrecipe = "lstmm"\n')
    message = mistake("train", "--config", config, "--data", write_wide(tmp_path / "a.csv"))
    for part in ("c.toml: 3 settings are wrong", 'Did you mean "epochs"?', "train.lr", "model.recipe"):
        assert part in message


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("train", "clasification", "--data", "x.csv"), 'Did you mean "classification"?'),
        (("train", "--data", "x.csv"), "task: expected one"),
        (("train", "classification"), "--data"),
        (("train", "classification", "--data", "x.csv", "--epochs", "many"), "'--epochs'"),
        (("train", "classification", "--data", "x.csv", "--set", "train.lr"), "name=value"),
        (("train", "classification", "--data", "x.csv", "--device", "tpu"), "tpu"),
        (("train", "classification", "--data", "x.csv", "--device", "cuda:7"), "cuda:7"),
        (("train", "classification", "--data", "x.csv", "--resume"), "--out"),
        (("train", "classification", "--dat", "x.csv"), "--dat"),
        (("train", "classification", "--data", "x.csv", "--threads", "99999"), "--threads"),
        (("predict",), "RUN"),
        (("fly",), "fly"),
        (("sample", "japanese-vowel"), 'Did you mean "japanese-vowels"?'),
    ],
)
def test_wrong_words(mistake, tmp_path, monkeypatch, words, part):
    monkeypatch.chdir(tmp_path)
    write_wide(tmp_path / "x.csv")
    assert part in mistake(*words, *(("--target", "label") if words[:1] == ("train",) and len(words) > 2 else ()))
    assert not (tmp_path / "runs").exists()


def test_predict_does_not_look_at_answers(gatewise, trained, tmp_path):
    path = write_wide(tmp_path / "a.csv", labels=("down", "never seen"))
    answer = gatewise("predict", trained / "run", "--data", path)
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("out", ["/dev/null/x", "/proc/x", "x" * 300])
def test_places_that_cannot_be(train, trained, out):
    assert "Choose another place" in train(trained / "train.csv", "--target", "label", out=out)


def test_state_of_another_kind(gatewise, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    shutil.copy(run / "weights.safetensors", run / "state.safetensors")
    answer = gatewise("train", "--resume", "--out", run)
    assert answer.code == 2
    assert "state.safetensors: expected" in answer.err.splitlines()[-1]
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("model.stem_strides=[0]", "at least 1"),
        ("model.stem_kernel_sizes=[-1]", "at least 1"),
        ("model.stem_kernel_sizes=[4]", "odd"),
        ("model.hidden_sizes=[0]", "hidden_sizes"),
        ("loss.label_smoothing=2", "label_smoothing"),
        ("train.lr=inf", "train.lr"),
        ("train.lr=2020-01-01", "date"),
        ("train.lr=1e300", "train.lr"),
        ("data.length=99999999999999999999", "data.length"),
        ("data=5", "data"),
        ("model.hidden_sizes=[1000000000]", "65536"),
        ("x=" + "[" * 3000, "no such setting"),
        ("train.device=cpu:1", "cpu:1"),
        ("train.device=cuda:x", "cuda:x"),
        ("train.precision='16'", "bf16"),
        ("model.kernel=fast", "fast"),
        ("threshold=0.3", "two classes"),
        ("data.valid_fraction=1", "valid_fraction"),
        ("model.pool=none", "pool"),
    ],
)
def test_settings_that_cannot_be(train, trained, tmp_path, setting, part):
    """Found before an old run is touched."""
    data = write_wide(tmp_path / "three.csv", labels=("a", "b", "c"))
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    message = train(data, "--target", "label", "--overwrite", "--set", setting, out=run)
    assert part in message
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_predictions_are_not_overwritten(mistake, trained, tmp_path):
    out = tmp_path / "p.csv"
    out.write_text("mine")
    assert "--overwrite" in mistake("predict", trained / "run", "--data", trained / "test.csv", "--out", out)
    assert out.read_text() == "mine"
    assert ".jsonl" in mistake("predict", trained / "run", "--data", trained / "test.csv", "--out", tmp_path / "p.xls")


def test_resume_with_other_settings(mistake, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    message = mistake(
        "train", "classification", "--data", trained / "train.csv", "--test", trained / "test.csv", "--target", "label",
        "--out", run, "--resume", "--epochs", "9", "--set", "model.hidden_sizes=[4]",
    )  # fmt: skip
    assert "train.epochs was 3, is 9" in message
