"""Every verb, as a user types it."""

import json
import shutil

import numpy as np
import polars
import pytest
from safetensors.numpy import load_file

from tables import QUICK, write_long, write_wide


def test_train_evaluate_predict(gatewise, tmp_path):
    data, test, run = write_wide(tmp_path / "a.csv"), write_wide(tmp_path / "b.csv", seed=1), tmp_path / "run"
    answer = gatewise(
        "train", "classification", "--data", data, "--test", test, "--target", "label", "--out", run, *QUICK
    )
    assert answer.code == 0, answer.err
    assert "epoch 2/2" in answer.err
    for part in ("accuracy", "validation", "test", "report.html", "gatewise predict"):
        assert part in answer.out
    files = {"config.toml", "adapter.json", "weights.safetensors", "state.safetensors", "metrics.jsonl"}
    assert {file.name for file in run.iterdir()} == files | {"results.json", "report.html"}

    answer = gatewise("evaluate", run, "--data", test, "--json")
    measured = json.loads(answer.out)
    assert measured["count"] == 24
    assert measured == pytest.approx(json.loads((run / "results.json").read_text())["test"])
    assert {"loss", "accuracy", "f1", "auroc"} < set(measured)
    assert json.loads(gatewise("evaluate", run, "--json").out) == measured  # its own test file
    assert "accuracy" in gatewise("evaluate", run).out

    answer = gatewise("predict", run, "--data", test)
    lines = answer.out.splitlines()
    assert lines[0] == "row,label,p_down,p_up"
    assert len(lines) == 25
    labels = [line.split(",")[1] for line in lines[1:]]
    actual = [line.rsplit(",", 1)[1] for line in test.read_text().splitlines()[1:]]
    assert np.mean(np.array(labels) == np.array(actual)) == pytest.approx(measured["accuracy"])


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_predictions_to_a_file(gatewise, trained, tmp_path, suffix):
    out = tmp_path / f"p.{suffix}"
    answer = gatewise("predict", trained / "run", "--data", trained / "test.csv", "--out", out)
    assert answer.code == 0
    assert answer.out == ""
    assert f"24 predictions in {out}" in answer.err
    read = {"csv": polars.read_csv, "parquet": polars.read_parquet, "jsonl": polars.read_ndjson}[suffix]
    frame = read(out)
    assert frame.columns == ["row", "label", "p_down", "p_up"]
    assert frame["row"].to_list() == list(range(24))
    np.testing.assert_allclose(frame["p_down"] + frame["p_up"], 1, rtol=1e-6)
    assert gatewise("predict", trained / "run", "--data", trained / "test.csv", "--out", out, "--overwrite").code == 0


def test_long_form_with_ids_and_groups(gatewise, tmp_path):
    data, run = write_long(tmp_path / "a.csv"), tmp_path / "run"
    words = ("--id", "recording", "--time", "t", "--features", "x,y", "--target", "label", "--group", "person")
    assert gatewise("train", "classification", "--data", data, "--out", run, *words, *QUICK).code == 0
    lines = gatewise("predict", run, "--data", data).out.splitlines()
    assert lines[0] == "row,id,label,p_down,p_up"
    assert [line.split(",")[1] for line in lines[1:4]] == ["r0", "r1", "r2"]


def test_extra_columns_in_new_data_do_no_harm(gatewise, tmp_path):
    data, run = write_long(tmp_path / "a.csv"), tmp_path / "run"
    drop = ("--id", "recording", "--features", "x,y", "--target", "label")
    assert gatewise("train", "classification", "--data", data, "--out", run, *drop, *QUICK).code == 0
    expected = gatewise("predict", run, "--data", data).out
    lines = data.read_text().splitlines()
    new = tmp_path / "new.csv"
    new.write_text("\n".join([f"noise,{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:]))]) + "\n")
    assert gatewise("predict", run, "--data", new).out == expected


def test_a_long_table_read_as_a_wide_one_is_told(gatewise, tmp_path):
    data = write_long(tmp_path / "a.csv")
    said = "wide table, one row a sequence with steps t to score; not used: recording, person"
    assert said in gatewise("data", data, "--target", "label").out
    answer = gatewise("train", "classification", "--data", data, "--target", "label", "--out", tmp_path / "run", *QUICK)
    assert said in answer.err


def test_new_recordings_need_no_group(gatewise, tmp_path):
    data, run = write_long(tmp_path / "a.csv"), tmp_path / "run"
    words = ("--id", "recording", "--time", "t", "--features", "x,y", "--target", "label", "--group", "person")
    assert gatewise("train", "classification", "--data", data, "--out", run, *words, *QUICK).code == 0
    new = tmp_path / "new.csv"
    polars.read_csv(data).drop("person", "label").write_csv(new)
    assert gatewise("predict", run, "--data", new).out == gatewise("predict", run, "--data", data).out


def test_other_formats_to_predict_on(gatewise, tmp_path):
    """A run of a table predicts on arrays of the same channels."""
    data, run = write_long(tmp_path / "a.csv"), tmp_path / "run"
    words = ("--id", "recording", "--time", "t", "--features", "x,y", "--target", "label")
    assert gatewise("train", "classification", "--data", data, "--out", run, *words, *QUICK).code == 0
    np.savez(tmp_path / "new.npz", x=np.zeros((3, 5, 2)))
    assert gatewise("predict", run, "--data", tmp_path / "new.npz").code == 0


def test_class_that_training_never_sees(gatewise, tmp_path):
    """The last recordings are of a class that only validation has."""
    lines = write_wide(tmp_path / "a.csv").read_text().splitlines()
    lines[-3:] = [line.rsplit(",", 1)[0] + ",sideways" for line in lines[-3:]]
    (tmp_path / "b.csv").write_text("\n".join(lines) + "\n")
    words = ("--data", tmp_path / "b.csv", "--target", "label", "--split", "time", "--out", tmp_path / "run")
    answer = gatewise("train", "classification", *words, *QUICK)
    assert answer.code == 0, answer.err
    assert 'class "sideways" has no example in training' in answer.err


def test_regression(gatewise, tmp_path):
    data, run = write_long(tmp_path / "a.csv"), tmp_path / "run"
    words = ("--id", "recording", "--features", "x,y", "--target", "score")
    answer = gatewise("train", "regression", "--data", data, "--out", run, *words, *QUICK)
    assert answer.code == 0, answer.err
    assert {"mse", "mae", "r2"} < set(json.loads(gatewise("evaluate", run, "--data", data, "--json").out))
    lines = gatewise("predict", run, "--data", data).out.splitlines()
    assert lines[0] == "row,id,score"
    assert len(lines) == 25


def test_regression_of_every_step(gatewise, tmp_path):
    rng = np.random.default_rng(0)
    lines = ["s,x,y"]
    for s in range(12):
        x = rng.normal(size=5 + s % 3)
        lines += [f"{s},{now:.4f},{so_far:.4f}" for now, so_far in zip(x, np.cumsum(x), strict=True)]
    data, run = tmp_path / "a.csv", tmp_path / "run"
    data.write_text("\n".join(lines) + "\n")
    answer = gatewise("train", "regression", "--data", data, "--id", "s", "--target", "y", "--out", run, *QUICK)
    assert answer.code == 0, answer.err
    out = gatewise("predict", run, "--data", data).out.splitlines()
    assert out[0] == "row,id,step,y"
    assert len(out) == len(lines)


def test_folds(gatewise, tmp_path):
    data, out = write_wide(tmp_path / "a.csv"), tmp_path / "cv"
    answer = gatewise(
        "train", "classification", "--data", data, "--target", "label", "--out", out, "--folds", "3", *QUICK
    )
    assert answer.code == 0, answer.err
    assert "mean" in answer.out
    summary = json.loads((out / "folds.json").read_text())
    each = [json.loads((out / f"fold-{k}" / "results.json").read_text())["validation"] for k in (1, 2, 3)]
    assert summary["mean"]["accuracy"] == pytest.approx(np.mean([fold["accuracy"] for fold in each]))
    assert sum(fold["count"] for fold in each) == 24


def test_fine_tuning(gatewise, trained, tmp_path):
    words = ("--target", "label", "--epochs", "1", "--set", "model.hidden_sizes=[4]", "--lr", "1e-9")
    base = load_file(trained / "run" / "weights.safetensors")
    data = write_wide(tmp_path / "a.csv")
    run = tmp_path / "run"
    answer = gatewise("train", "classification", "--data", data, "--out", run, "--init", trained / "run", *words)
    assert answer.code == 0
    tuned = load_file(run / "weights.safetensors")
    for name in base:
        if "running" not in name and "tracked" not in name:
            np.testing.assert_allclose(tuned[name], base[name], atol=1e-6, err_msg=name)

    three = write_wide(tmp_path / "three.csv", labels=("down", "up", "flat"))
    answer = gatewise(
        "train", "classification", "--data", three, "--out", tmp_path / "r3", "--init", trained / "run", *words
    )
    assert answer.code == 0
    assert "had no fitting weights for model.head" in answer.err

    other = write_wide(tmp_path / "other.csv", labels=("apple", "pear"))
    words = ("--data", other, "--out", tmp_path / "r2", "--init", trained / "run", *words)
    answer = gatewise("train", "classification", *words)
    assert answer.code == 0
    assert "had no fitting weights for model.head" in answer.err  # the sizes fit, the meaning does not


@pytest.mark.parametrize("tested", [True, False])
def test_learning_from_everything(gatewise, tmp_path, tested):
    data, run = write_wide(tmp_path / "a.csv"), tmp_path / "run"
    words = ["--data", data, "--target", "label", "--out", run, "--set", "data.valid_fraction=0", *QUICK]
    answer = gatewise("train", "classification", *words, *(("--test", data) if tested else ()))
    assert answer.code == 0, answer.err
    assert set(json.loads((run / "results.json").read_text())) == {
        "best_epoch",
        "epochs",
        *(["test"] if tested else []),
    }
    assert (run / "report.html").exists()
    assert gatewise("predict", run, "--data", data).code == 0


def test_threshold_auto(gatewise, tmp_path):
    data, run = write_wide(tmp_path / "a.csv", rows=60), tmp_path / "run"
    words = ("--target", "label", "--threshold", "auto", "--class-weights", "balanced")
    assert gatewise("train", "classification", "--data", data, "--out", run, *words, *QUICK).code == 0
    threshold = json.loads((run / "adapter.json").read_text())["targets"]["threshold"]
    frame = polars.read_csv(gatewise("predict", run, "--data", data).out.encode())
    assert (frame["label"] == "up").to_list() == (frame["p_up"] > threshold).to_list()


def test_overwrite_and_resume_a_finished_run(gatewise, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    weights = (run / "weights.safetensors").read_bytes()
    words = ("--data", trained / "train.csv", "--test", trained / "test.csv", "--target", "label", "--out", run)
    words = ("train", "classification", *words, "--epochs", "3", "--set", "model.hidden_sizes=[4]")
    assert gatewise(*words, "--resume").code == 0
    assert (run / "weights.safetensors").read_bytes() == weights
    assert gatewise(*words, "--overwrite", "--seed", "5").code == 0
    assert (run / "weights.safetensors").read_bytes() != weights


def test_the_runs_own_configuration_trains_it_again(gatewise, trained, tmp_path):
    answer = gatewise("train", "--config", trained / "run" / "config.toml", "--out", tmp_path / "again")
    assert answer.code == 0, answer.err
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == (
        trained / "run" / "weights.safetensors"
    ).read_bytes()


def test_data(gatewise, tmp_path):
    data = write_long(tmp_path / "a.csv")
    answer = gatewise("data", data, "--id", "recording", "--target", "label", "--features", "x,y")
    assert answer.code == 0
    for part in ("24", "2 (x, y)", "2, 12 each (down, up)", "long table", "not used: person, t, score"):
        assert part in answer.out
    plain = json.loads(gatewise("data", data, "--id", "recording", "--target", "label", "--json").out)
    assert isinstance(plain, dict)


def test_report_again(gatewise, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    assert gatewise("report", run).code == 0
    assert abs(len((run / "report.html").read_text()) - len(before)) < 2000
    assert gatewise("report", run, "--data", trained / "test.csv").code == 0


def test_kernels(gatewise):
    out = gatewise("kernels").out
    assert "native" in out
    assert "reference" in out


def test_sample(gatewise, tmp_path):
    assert "japanese-vowels" in gatewise("sample").out
    assert gatewise("sample", "japanese-vowels", "--out", tmp_path).code == 0
    assert (tmp_path / "japanese_vowels" / "README.md").read_text().count("CC BY 4.0") == 1
    assert gatewise("sample", "japanese-vowels", "--out", tmp_path).code == 0  # the same again is no harm


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict", "data", "report", "sample", "kernels", "bench"])
def test_help_has_an_example(gatewise, verb):
    answer = gatewise(verb, "--help")
    assert answer.code == 0
    assert f"gatewise {verb}" in answer.out.split("Example")[1]


def test_help_and_version(gatewise):
    assert gatewise("--version").out == "gatewise 0.1.0\n"
    answer = gatewise("--help")
    assert answer.code == 0
    for verb in ("train", "evaluate", "predict", "data", "report", "sample", "kernels", "bench"):
        assert verb in answer.out


def test_quiet(gatewise, tmp_path):
    words = ("--target", "label", "--out", tmp_path / "run", "--quiet", *QUICK)
    answer = gatewise("train", "classification", "--data", write_wide(tmp_path / "a.csv"), *words)
    assert (answer.code, answer.out, answer.err) == (0, "", "")
