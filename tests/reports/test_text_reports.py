import html
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from gatewise import metrics
from gatewise.data.text import TextData
from gatewise.reports import text_plots
from gatewise.reports.report import Measured, render
from gatewise.types import Prediction, Results
from reports import invented_texts


@pytest.fixture(scope="module")
def hostile():
    return invented_texts.hostile()


def shown(run):
    """The page without its scripts."""
    return re.sub(r"<script.*?</script>", "", render(run), flags=re.DOTALL)


def passages(run, heading):
    """The text of each passage after a heading."""
    part = shown(run).split(f"<h3>{heading}</h3>")[1].split("<h3>")[0]
    found = re.findall(r'<p class="passage.*?</p>', part, flags=re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]*>", "", text)) for text in found]


def test_users_text_is_escaped(hostile, read):
    for name, run in hostile.items():
        page = read(run)
        scripts = [attributes for tag, attributes in page.elements if tag == "script"]
        assert len(scripts) == len(page.figures) + 3, name
        assert not any(tag == "img" for tag, _ in page.elements), name
        assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes), name
        assert not re.search(r"<b>bold", shown(run)), name
        assert "alert(1)" in page.text, name
        pictures = str([f["data"] for f in page.figures]) + str([f["layout"] for f in page.figures])
        assert "<script" not in pictures, name
        assert "<img" not in pictures, name


def test_sizes_of_texts(text_reports, read):
    run = text_reports["reviews"]
    rows = read(run).table("Set", "Texts", "Tokens: in all", "fewest", "median", "most", "Unknown")
    vocabulary = run.adapter.vocabulary
    for row, data in zip(rows, [run.train_data, *(m.data for m in run.measured)], strict=True):
        numbers = [vocabulary.encode(text) for text in data.texts]
        lengths = [len(row) for row in numbers]
        assert row[1] == str(len(data))
        assert [float(cell.replace(",", "")) for cell in row[2:6]] == [
            sum(lengths),
            min(lengths),
            np.median(lengths),
            max(lengths),
        ]
        unknown = (np.concatenate(numbers) == 1).mean()
        assert row[6] == ("0%" if not unknown else "<0.1%" if unknown < 0.0005 else f"{unknown:.1%}")


def test_what_the_adapter_notes_is_told(text_reports, read):
    run = text_reports["reviews cut"]
    notes = run.adapter.notes(run.train_data)
    assert notes
    text = read(run).text
    assert all(f"training: {note}." in text for note in notes)


def test_commonest_words_are_counted(text_reports, read):
    run = text_reports["reviews"]
    counts = Counter(word for text in run.train_data.texts for word in run.adapter.vocabulary.pieces(text))
    rows = read(run).table("Word", "Times", "Share")
    assert [int(row[1]) for row in rows] == [count for _, count in counts.most_common(10)]
    assert all(counts[row[0]] == int(row[1]) for row in rows)


def test_large_sets_are_drawn_by_lot(read, monkeypatch):
    monkeypatch.setattr("gatewise.reports.texts.TEXTS", 50)
    monkeypatch.setattr("gatewise.reports.texts.drawn.__defaults__", (50,))
    run = invented_texts.reviews()
    page = read(run)
    assert "at most 50 texts were looked at, drawn by lot." in page.text
    row = page.table("Set", "Texts", "Tokens: in all", "fewest", "median", "most", "Unknown")[0]
    assert row[1] == "120"
    total = sum(len(run.adapter.vocabulary.encode(text)) for text in run.train_data.texts)
    assert float(row[2].removeprefix("about ").replace(",", "")) == pytest.approx(total, rel=0.25)


def test_mistakes_in_texts_are_the_surest_and_shaded(text_reports):
    run = text_reports["reviews"]
    test = run.measured[1]
    wrong = [
        (max(p.probabilities), i)
        for i, (p, label) in enumerate(zip(test.results.predictions, test.results.references, strict=True))
        if p.value != label
    ]
    texts = [" ".join(test.data.texts[i].split()) for _, i in sorted(wrong, reverse=True)[:8]]
    for found, text in zip(passages(run, "The most confident mistakes"), texts, strict=True):
        assert found == text if len(text) < 700 else found.strip("…") in text
    part = shown(run).split("<h3>The most confident mistakes</h3>")[1].split("<h3>")[0]
    assert part.count("--s:0.") > len(texts)


def test_words_with_most_attention_by_brute_force(text_reports, read):
    run = text_reports["reviews"]
    vocabulary, test = run.adapter.vocabulary, run.measured[1]
    counts = {"bad": Counter(), "good": Counter()}
    for text, prediction in zip(test.data.texts, test.results.predictions, strict=True):
        words = vocabulary.pieces(text)
        if words and vocabulary.encode(text)[np.argmax(prediction.attention)] != 1:
            counts[prediction.value][words[int(np.argmax(prediction.attention))]] += 1
    for name, cell in read(run).table("Said", "Words (texts)"):
        found = {word: int(count) for word, count in re.findall(r"(\S+) \((\d+)\)", cell)}
        assert len(found) == 8
        assert all(counts[name][word] == count for word, count in found.items())
        assert sorted(found.values()) == sorted(counts[name].values())[-8:]


def test_texts_without_attention_are_not_shaded(text_reports, read):
    run = text_reports["reviews without attention"]
    assert "--s:" not in shown(run)
    assert "Where it looks" not in read(run).text
    assert passages(run, "The most confident mistakes")
    assert "Where it looked" not in read(text_reports["translation without attention"]).text


def test_right_to_left_texts_are_whole(text_reports):
    run = text_reports["languages"]
    page = shown(run)
    assert page.count('dir="auto"') > 20
    texts = {" ".join(text.split()) for text in run.measured[1].data.texts}
    found = passages(run, "Right answers")
    assert len(found) == 12
    assert set(found) <= texts
    assert any(re.search("[א-ת]", text) for text in found)


def test_baseline_of_summaries_is_the_beginning_of_the_source(text_reports, read):
    run = text_reports["summaries"]
    test = run.measured[1]
    words = int(np.median([len(reference.split()) for reference in test.results.references]))
    said = [" ".join(text.split()[:words]) for text in test.data.texts]
    value = metrics.rouge(said, test.results.references, "rouge1")
    assert f"Baseline ROUGE-1 {value:.3g} the first {words} words of the source " in " ".join(read(run).text.split())


def test_tags_by_type_by_brute_force(text_reports, read):
    run = text_reports["names"]
    results = run.measured[1].results
    said = [set(metrics.bio_spans(p.value)) for p in results.predictions]
    right = [set(metrics.bio_spans(tags)) for tags in results.references]
    for name, precision, recall, f1, count in read(run).table("Type", "Precision", "Recall", "F1", "Spans"):
        hits, found, true = (
            sum(len([span for span in spans if name in (span[2], "all")]) for spans in rows)
            for rows in ([a & b for a, b in zip(said, right, strict=True)], said, right)
        )
        assert (precision, recall) == (f"{hits / found:.1%}", f"{hits / true:.1%}")
        assert f1 == f"{2 * hits / (found + true):.1%}"
        assert int(count) == true
    assert f"F1, test {run.measured[1].metrics['f1']:.1%} " in read(run).text


def test_tags_by_tag_and_the_baseline(text_reports, read):
    run = text_reports["parts of speech"]
    page, test = read(run), run.measured[1]
    pairs = Counter(
        (tag, said)
        for p, tags in zip(test.results.predictions, test.results.references, strict=True)
        for said, tag in zip(p.value, tags, strict=True)
    )
    for name, _, recall, _, support in page.table("Tag", "Precision", "Recall", "F1", "Support"):
        true = sum(count for (tag, _), count in pairs.items() if tag == name)
        assert int(support.replace(",", "")) == true
        assert recall == f"{pairs[name, name] / true:.1%}".replace("100.0%", "100%")
    seen = {}
    for words, tags in zip(run.train_data.texts, run.train_data.targets, strict=True):
        for word, tag in zip(words, tags, strict=True):
            seen.setdefault(word, Counter())[tag] += 1
    everything = sum(seen.values(), Counter())
    hits = [
        seen.get(word, everything).most_common(1)[0][0] == tag
        for words, tags in zip(test.data.texts, test.data.targets, strict=True)
        for word, tag in zip(words, tags, strict=True)
    ]
    assert f"Baseline accuracy {np.mean(hits):.1%} " in page.text
    assert "F1, test" not in page.text


def test_sentences_show_what_was_said_and_what_is_right(text_reports):
    run = text_reports["names"]
    test = run.measured[1]
    part = shown(run).split("<h3>Sentences with mistakes</h3>")[1]
    sentences = re.findall(r'<span>row (\d+), .*?<div class="tagged".*?</div>', part, flags=re.DOTALL)
    blocks = re.findall(r'<div class="tagged".*?</div>', part, flags=re.DOTALL)
    assert len(sentences) == len(blocks) == 8
    surest = []
    for row, block in zip(map(int, sentences), blocks, strict=True):
        prediction, right = test.results.predictions[row], test.results.references[row]
        assert re.findall(r"<b>(.*?)</b>", block) == list(test.data.texts[row])
        wrong = [i for i, (a, b) in enumerate(zip(prediction.value, right, strict=True)) if a != b]
        surest.append(max(prediction.probabilities[i] for i in wrong))
        assert re.findall(r"<em>(\S+) ([\d.]+)%</em><ins>→ (\S+)</ins>", block) == [
            (prediction.value[i], f"{100 * prediction.probabilities[i]:.1f}", right[i]) for i in wrong
        ]
    assert surest == sorted(surest, reverse=True)


def test_a_sentence_of_many_words_is_cut_around_its_mistakes(text_reports):
    part = shown(text_reports["parts of speech"]).split("<h3>Sentences with mistakes</h3>")[1]
    assert all(
        len(re.findall("<b>", block)) <= 42
        for block in re.findall(r'<div class="tagged".*?</div>', part, flags=re.DOTALL)
    )


def test_no_mistake_in_any_tag(text_reports, read):
    assert "There are none: every answer on test is right." in read(text_reports["names, all right"]).text


def test_tags_without_probabilities(text_reports, read):
    run = text_reports["names"]
    test = run.measured[1]
    bare = [Prediction(prediction.value) for prediction in test.results.predictions]
    run = replace(run, measured=[replace(test, results=replace(test.results, predictions=bare))])
    page = read(run)
    assert "Calibration" not in page.text
    assert "nan" not in page.text


@pytest.mark.parametrize("unit", ["words", "characters", "bytes", "subwords"])
def test_a_passage_is_a_stretch_of_the_text(text_reports, unit):
    run = text_reports[f"story in {unit}"]
    (found,) = passages(run, "What surprised it")
    assert 1500 <= len(found.replace("↵", "")) <= 1600
    texts = "\n".join(run.measured[1].data.texts)
    plain = found.strip("…").replace("↵", "")
    if unit == "words":
        plain, texts = ("".join(part.split()) for part in (plain, texts))
    assert plain.strip() in texts


def test_headline_of_a_language_model(text_reports, read):
    run = text_reports["story in characters"]
    page, test = read(run), run.measured[1]
    bits = np.concatenate([p.value.bits for p in test.results.predictions])
    assert f"Perplexity, test {2 ** bits.mean():.4g} " in page.text
    train = np.asarray(run.adapter.encode(run.train_data).tokens, dtype=np.int64)
    counts = np.bincount(train, minlength=len(run.adapter.vocabulary)) + 1
    came = np.concatenate([example.target for example in run.adapter.encode(test.data)])
    baseline = 2 ** -np.log2(counts[came] / counts.sum()).mean()
    start = page.text.index("Baseline perplexity ") + len("Baseline perplexity ")
    assert float(page.text[start:].split()[0]) == pytest.approx(baseline, rel=1e-3)


def test_surprisal_by_rank_adds_up(text_reports, read):
    run = text_reports["story in words"]
    test = run.measured[1]
    (bars,) = read(run).figure("Bars of mean surprisal")["data"]
    shares = [float(tokens.strip("%<")) / 100 for tokens, _ in bars["customdata"]]
    bits = np.concatenate([p.value.bits for p in test.results.predictions])
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert np.dot(shares, bars["y"]) == pytest.approx(bits.mean(), rel=0.01)


def test_place_in_the_word_by_brute_force(text_reports, read):
    run = text_reports["story in characters"]
    adapter, test = run.adapter, run.measured[1]
    text = [adapter.vocabulary.shown[n] for example in adapter.encode(test.data) for n in example.target]
    bits = np.concatenate([p.value.bits for p in test.results.predictions])
    sums, place = {}, None
    for character, cost in zip(text, bits, strict=True):
        if character.isspace():
            place = 0
        elif place is not None:
            place += 1
            sums.setdefault(place, []).append(cost)
    (line,) = read(run).figure("Mean surprisal by place")["data"]
    for x, y in zip(line["x"], line["y"], strict=True):
        assert y == pytest.approx(np.mean(sums[x]), rel=1e-5)


def test_the_most_surprising_words_come_first(text_reports, read):
    for unit in ("words", "characters", "subwords"):
        rows = read(text_reports[f"story in {unit}"]).table("Word", "Before it", "Bits")
        bits = [float(row[2]) for row in rows]
        assert len(rows) == 12
        assert bits == sorted(bits, reverse=True)
        story = " ".join(" ".join(invented_texts.STORY).split())
        assert all(row[0] in story for row in rows), unit


def test_surprisal_that_is_no_number(text_reports, read):
    run = text_reports["story in words"]
    test = run.measured[1]
    broken = [
        p._replace(value=p.value._replace(bits=[float("nan")] * len(p.value.bits))) for p in test.results.predictions
    ]
    nothing = dict.fromkeys(test.metrics, float("nan"))
    measured = Measured("test", test.data, Results(float("nan"), broken, test.results.references), nothing)
    page = read(replace(run, measured=[measured]))
    assert "Some surprisals are not numbers" in page.text
    assert "nan" not in page.text


def test_best_and_worst_answers(text_reports):
    import sacrebleu

    run = text_reports["translation"]
    test = run.measured[1]
    score = [
        sacrebleu.sentence_bleu(p.value, [reference], tokenize="none" if run.adapter.target.tokenised else "13a").score
        for p, reference in zip(test.results.predictions, test.results.references, strict=True)
    ]
    rows = [int(row) for row in re.findall(r"<strong>BLEU [\d.]+</strong><span>row (\d+)<", shown(run))]
    assert len(rows) == 8
    shown_scores = [score[i] for i in rows]
    assert shown_scores[:3] == pytest.approx(sorted(score, reverse=True)[:3])
    assert shown_scores[5:] == pytest.approx(sorted(score)[:3])
    assert min(shown_scores[:3]) >= max(shown_scores[3:5]) >= min(shown_scores[3:5]) >= max(shown_scores[5:])


def test_attention_is_drawn_as_given(text_reports, read):
    run = text_reports["translation"]
    test = run.measured[1]
    found = [f for f in read(run).figures if f["data"][0]["type"] == "heatmap"]
    assert len(found) == 3
    for figure in found:
        (trace,) = figure["data"]
        answer = [row[0][0] for row in trace["customdata"]]
        source = [cell[1] for cell in trace["customdata"][0]]
        matches = [
            p.attention
            for p, text in zip(test.results.predictions, test.data.texts, strict=True)
            if p.value.split() == answer and [*text.split(), "(end)"] == source
        ]
        assert any(np.allclose(trace["z"], attention, atol=1e-4) for attention in matches)


def test_of_a_long_source_the_tokens_with_most_attention_are_drawn(text_reports, read):
    found = [f["data"][0] for f in read(text_reports["summaries"]).figures if f["data"][0]["type"] == "heatmap"]
    assert len(found) == 3
    assert all(len(trace["z"][0]) == 40 for trace in found)


def test_attention_with_a_row_for_the_end(text_reports, read):
    run = text_reports["translation"]
    test = run.measured[1]
    longer = [
        p._replace(attention=[*p.attention, [1 / (len(text.split()) + 1)] * (len(text.split()) + 1)])
        for p, text in zip(test.results.predictions, test.data.texts, strict=True)
    ]
    run = replace(run, measured=[replace(test, results=replace(test.results, predictions=longer))])
    (first, *_) = [f["data"][0] for f in read(run).figures if f["data"][0]["type"] == "heatmap"]
    assert first["customdata"][-1][0][0] == "(end)"


def test_tokens_that_are_the_same_stay_apart():
    figure = text_plots.attention(np.eye(3), source=["a", "a", "<b>"], answer=["x", "x", "\n"])
    assert list(figure.layout.xaxis.ticktext) == ["a", "a", "&lt;b&gt;"]
    assert list(figure.layout.yaxis.ticktext) == ["x", "x", "↵"]
    assert list(figure.layout.xaxis.tickvals) == [0, 1, 2]


def _one(run):
    """The report with a single example measured."""
    test = run.measured[1]
    results = Results(test.results.loss, test.results.predictions[:1], test.results.references[:1])
    return replace(run, measured=[replace(test, data=test.data.subset([0]), results=results)])


@pytest.mark.parametrize("name", ["reviews cut", "languages", "names", "translation", "summaries"])
def test_a_single_example(text_reports, read, name):
    page = read(_one(text_reports[name]))
    assert "nan" not in page.text
    assert "Measured on the test data, 1 " in page.text


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_a_text_of_two_tokens(text_reports, read, unit):
    run = text_reports[f"story in {unit}"]
    data = TextData(["ab"], lines=False) if unit == "characters" else TextData(["ships"])
    results = invented_texts.surprised(run.adapter, run.train_data, data)
    numbers = {"perplexity": 3.0, "bits_per_character": 1.0, "loss": 1.0}
    page = read(replace(run, measured=[Measured("test", data, results, numbers)]))
    assert "What surprised it" in page.text


@pytest.mark.parametrize("name", ["reviews", "names", "story in words", "translation"])
def test_nothing_measured_and_no_example(text_reports, read, name):
    run = text_reports[name]
    assert "Nothing was measured." in read(replace(run, measured=[])).text
    empty = replace(run.measured[1], data=run.measured[1].data.subset([]), results=Results(float("nan"), [], []))
    page = read(replace(run, measured=[empty]))
    assert "Nothing was measured." in page.text
    assert "nan" not in page.text
