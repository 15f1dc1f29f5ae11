"""Methods, checklists, model cards and tables: numbers equal statistics.csv, words are those of a reader."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import docx
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from simulated_outputs import Kind, make_outputs

from diagnostic_accuracy.estimates import join, read_results, results
from osteotl.display import characteristics, saved
from osteotl.files import write_json
from osteotl.report.documents import deviation, guidelines, write_documents
from osteotl.report.documents.manuscript import manuscript, model_card, statements_of
from osteotl.report.documents.wording import fill, markdown, plain
from osteotl.report.outputs import read_outputs
from osteotl.report.summary import equal_models
from osteotl.study import load_study, parse_study

NUMBERS = {
    "claim2024": [str(i) for i in range(1, 45)],
    # 40 items in 48 rows
    "stard_ai2025": [
        f"{i}{letter}"
        for i, letters in {**dict.fromkeys(range(1, 41), ""), 15: "abcd", 16: "abc", 17: "ab", 26: "ab",
                           40: "ab"}.items()
        for letter in (letters or [""])
    ],
    # 27 items, those with parts by letter
    "tripod_ai2024": [
        f"{i}{letter}"
        for i, letters in {**dict.fromkeys(range(1, 28), ""), 3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc",
                           12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}.items()
        for letter in (letters or [""])
    ],
    # 16 questions on development, 18 on evaluation, in four domains; A: applicability, not judged for the analysis
    "probast_ai2025": [
        f"{part}{domain}.{place}"
        for part, sizes in {"D": (3, 4, 4, 5), "E": (3, 4, 4, 7)}.items()
        for domain, size in enumerate(sizes, start=1)
        for place in [*range(1, size + 1), *(["A"] if domain < 4 else [])]
    ],
}  # fmt: skip
MODEL = {
    "model": "yolov5n", "classes": 1, "image_size": 160, "parameters": 2507507, "steps": 600, "epochs": 24, "batch": 8,
    "optimizer": "AdamW", "learning_rate": 0.001, "device": "cpu", "weights_sha256": "a2" * 32,
    "augmentation": {"hsv_v": 0.2, "translate": 0.1, "fliplr": 0.5, "degrees": 0.0},
    "training_films": {"films": 200, "patients": 115, "with_lesion": 80},
}  # fmt: skip
PAIRING = {"initialisation": {"from_source": 421, "tensors": 427, "share": 0.9987}}
UNITS = "%|of 100 malignant|on 1,000 normal|percentage points|per 1,000 films"
TRIPLE = re.compile(rf"([+−]?[\d,]*\.?\d+)(?: (?:{UNITS}))? "
                    r"\(([+−]?[\d,]*\.?\d+) to ([+−]?[\d,]*\.?\d+)\)")  # fmt: skip

KEYS = ("high_sensitivity", "labels_swapped", "missed_per_100", "auc_margin", "as_published", "hsv_v", "None", "nan",
        "{{", "study: ", "pairing.json")  # fmt: skip


def opened(folder, kind=None, training=True, **report):
    """The outputs of a simulated study; `report` goes into study.yaml's `report`."""
    out = make_outputs(folder, kind or Kind())
    if training:
        for arm in (kind or Kind()).arms:
            place = out / "finetune" / arm / "1" / "0"
            write_json(place / "model.json", MODEL)
            write_json(place / "pairing.json", PAIRING if arm == "transfer" else {"initialisation": {}})
    study = load_study(folder / "study.yaml")
    if report:
        content = study.model_dump(mode="json", exclude_none=True)
        content["report"] |= report
        study = parse_study(content, folder)
    return read_outputs(SimpleNamespace(study=study, out=out, outputs=out, data=folder))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def written(outputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    write_documents(outputs, statements_of(outputs), folder)
    return folder


def texts(folder):
    """Every document as plain text, by its path."""
    found = {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.suffix != ".docx"
             and p.is_file()}  # fmt: skip
    for path in folder.rglob("*.docx"):
        document = docx.Document(str(path))
        cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
        found[str(path.relative_to(folder))] = "\n".join([p.text for p in document.paragraphs] + cells)
    return found


def number(text):
    return float(text.replace(",", "").replace("−", "-"))


def test_every_interval_in_every_document_is_a_row_of_statistics_csv(outputs, written):
    rows = pd.read_csv(outputs.find("statistics.csv"))[["estimate", "lower", "upper"]].dropna().to_numpy()
    scaled = [row * scale for row in rows for scale in (1, 100, 1000)]
    checked = 0
    for name, text in texts(written).items():
        for match in TRIPLE.finditer(text):
            if name.startswith("table_one") or "years" in text[max(0, match.start() - 300) : match.start()]:
                continue  # quartiles of age
            shown = [number(part) for part in match.groups()]
            digits = len(match[1].partition(".")[2])
            near = 0.5 * 10**-digits + 1e-9
            assert any(all(abs(a - b) <= near for a, b in zip(shown, row, strict=True)) for row in scaled), (
                name,
                match[0],
            )
            checked += 1
    assert checked > 150


def test_methods_and_word_say_the_numbers_of_the_same_rows(outputs, written):
    table = read_results(str(outputs.find("statistics.csv")))
    main = table[(table["run"] == "") & (table["unit"] == "film") & table["prevalence"].isna()]
    auc = main[(main["section"] == "discrimination") & (main["measure"] == "auc")].set_index(["arm", "reference"])
    document = "\n".join(p.text for p in docx.Document(str(written / "methods.docx")).paragraphs)
    for text in ((written / "methods.md").read_text(encoding="utf-8"), document):
        for arm, label in Kind().arms.items():
            row = auc.loc[(arm, "")]
            assert f"{row['estimate']:.3f} ({row['lower']:.3f} to {row['upper']:.3f}) for “{label}”" in text
        gap = auc.loc[("transfer", "scratch")]
        assert f"difference {gap['estimate']:+.3f}".replace("-", "−") in text
        point = main[(main["point"] == "high_sensitivity") & (main["threshold_from"] == "validation")]
        rate = point[(point["measure"] == "sensitivity") & (point["reference"] == "")].set_index("arm")["estimate"]
        assert f"sensitivity was {100 * rate['scratch']:.1f} %" in text


def test_mean_counts_are_the_mean_rates_times_the_films(outputs, written):
    films = pd.read_csv(outputs.find("tables/films.csv"))
    part = films[(films["arm"] == "scratch") & (films["label"] == 1)]
    text = (written / "methods.md").read_text(encoding="utf-8")
    assert f"“trained from scratch” had {(part['called'] / part['runs']).sum():.1f} true positives, " in text


def test_no_internal_key_and_no_rival_test_is_named(written):
    for name, text in texts(written).items():
        for key in KEYS:
            assert not re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text), (name, key)
        assert not re.search(r"(?<![\w“])transfer(?![\w-]| learning)", text.replace("domain transfer", "")), name
        for test in ("McNemar", "DeLong", "Obuchowski", "Tango", "Newcombe", "Hillis"):
            assert test not in text, (name, test)
        assert not re.search(r"\b[Aa]rms?\b", text), name
        if not name.endswith(".csv"):
            assert not re.search(r"\b[a-z]+_[a-z_]+\b", text), name


def test_methods_come_in_order_with_two_sentences_on_inference_and_cited_works(written):
    text = (written / "methods.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, flags=re.M)
    assert headings == ["Methods", "Results", "References"]
    parts = re.findall(r"^### (.+)$", text, flags=re.M)
    assert parts[:7] == ["Study design", "Films and patients", "Reference standard", "Models", "Outcomes",
                         "Statistical analysis", "Software"]  # fmt: skip
    assert "one newly trained run on new patients" in text
    cited = {int(n) for n in re.findall(r"\[(\d+)\]", text)}
    listed = re.findall(r"^(\d+)\. (.+)$", text.partition("## References")[2], flags=re.M)
    assert cited == {int(n) for n, _ in listed} == set(range(1, len(listed) + 1))
    assert sum("doi:10." in work for _, work in listed) >= len(listed) - 3  # software, and two works without a DOI


def test_training_is_told_from_its_records_in_words(written):
    text = (written / "methods.md").read_text(encoding="utf-8")
    assert "brightness by up to 20 %, shifts by up to 10 % and mirroring left to right of 50 % of films" in text
    assert "2,507,507 parameters" in text
    assert "421 of 427 tensors, 99.9 % of parameters" in text
    assert "24 epochs (600 optimiser steps) with batches of 8 films and AdamW" in text


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_every_numbered_item_of_the_guideline_is_there_once(name):
    guide = guidelines.guideline(name)
    assert [item["item"] for item in guide["items"]] == NUMBERS[name]
    assert "doi:10." in guide["cite"]
    for item in guide["items"]:  # an item that no run fills and no rule excludes names the author's topic
        assert item.get("run") or item.get("topic"), item["item"]
        assert bool(item.get("run")) == bool(item.get("anchor")), item["item"]


def item_of(outputs, name, item):
    return next(row for row in guidelines.filled(outputs, statements_of(outputs))[name] if row.item == item)


def test_the_author_is_asked_for_what_only_an_author_knows(outputs, tmp_path):
    for name, item in (("claim2024", "44"), ("claim2024", "3"), ("stard_ai2025", "39"), ("tripod_ai2024", "18a")):
        assert item_of(outputs, name, item).status == "needs the author"
        assert item_of(outputs, name, item).text == ""
    assert item_of(outputs, "stard_ai2025", "6").status == "not applicable"  # ethics, of phantoms
    scores = opened(tmp_path, Kind(cohorts=False), training=False)
    assert item_of(scores, "stard_ai2025", "6").status == "needs the author"
    assert item_of(scores, "claim2024", "25").status == "not applicable"  # training happened elsewhere


def test_the_author_answers_by_topic_or_by_item_and_paths_do_not_leave(tmp_path):
    hidden = "/".join(["", "home", "someone", "protocol.pdf"])
    outputs = opened(tmp_path, author={"funding": "Grant 7 <b>", "CLAIM 2024, 16": f"Two readers, see {hidden}"})
    assert item_of(outputs, "claim2024", "44").text == "Grant 7 <b>"
    assert item_of(outputs, "tripod_ai2024", "18a").status == "answered by the author"
    assert item_of(outputs, "claim2024", "16").text.startswith("Two readers, see")
    assert "someone" not in item_of(outputs, "claim2024", "16").text
    assert guidelines.unused_answers(outputs.study) == []


def test_every_item_is_filled_asked_of_the_author_or_not_applicable_with_a_reason(outputs, tmp_path):
    scores = opened(tmp_path, Kind(cohorts=False), training=False)
    for study in (outputs, scores):
        for rows in guidelines.filled(study, statements_of(study)).values():
            for row in rows:
                assert row.status in guidelines.STATUSES
                assert bool(row.text) == (row.status != "needs the author"), row
                assert row.topic or row.status in ("filled from the run", "author to complete"), row


def test_probast_tells_what_the_run_knows_and_judges_nothing(outputs, tmp_path):
    def told(item):
        return item_of(outputs, "probast_ai2025", item)

    assert told("D3.3").status == "not applicable"  # of phantoms nobody assessed the class
    assert told("E1.A").status == "not applicable"
    assert "by patient" in told("E4.5").text
    assert "integrity check: none" in told("E4.5").text  # tiny_box is no duplicate
    assert "36 of 36 malignant films" not in told("D3.1").text
    assert re.search(r"Lesion boxes: [\d,]+ on [\d,]+ of [\d,]+ malignant films", told("D3.1").text)
    assert "Widths of the 95 % intervals reached: AUC 0." in told("E4.2").text
    assert told("E4.7").text.startswith("AUC: ")
    for row in guidelines.filled(outputs, statements_of(outputs))["probast_ai2025"]:
        assert not re.search(r"low risk|high risk|unclear risk|low concern", row.text.lower()), row
    scores = opened(tmp_path, Kind(cohorts=False), training=False)
    assert item_of(scores, "probast_ai2025", "D4.5").status == "not applicable"  # developed elsewhere
    assert item_of(scores, "probast_ai2025", "E2.1").status == "needs the author"


def test_sample_size_is_told_by_the_widths_reached_and_the_films_that_a_width_needs(outputs):
    row = outputs.one(section="discrimination", measure="auc", arm="scratch", reference=None)
    width = f"AUC {row['upper'] - row['lower']:.3f} for “trained from scratch”"
    # Newcombe's variance, 90 films of which 36 malignant: the fewest films with 2 x 1.96 x its root at .1 or below
    share, c = 36 / 90, row["estimate"]

    def wide(n):
        inner = 1 + (n / 2 - 1) * ((1 - c) / (2 - c) + c / (1 + c))
        return 2 * 1.959964 * (c * (1 - c) * inner / (n * n * share * (1 - share))) ** 0.5

    films = next(n for n in range(10, 10_000) if wide(n) <= 0.1)
    for name, item in (
        ("claim2024", "21"),
        ("stard_ai2025", "22"),
        ("tripod_ai2024", "10"),
        ("probast_ai2025", "E4.2"),
    ):
        text = item_of(outputs, name, item).text
        assert width in text
        assert f"AUC 0.1: {films:,}; calibration slope 0.2: " in text


def test_robustness_and_equal_models_are_told_where_the_study_has_them(outputs):
    assert statements_of(outputs)["robustness"] is None
    assert equal_models(outputs) == []
    place = {"section": "robustness", "measure": "auc", "unit": "film", "confidence": 0.95, "fraction": 1.0}
    falls = [("blur", 1.0, 0.81), ("blur", 3.0, 0.62), ("noise", 3.0, 0.7)]
    rows = [{**place, "arm": "transfer", "group": change, "at": at, "estimate": auc, "lower": auc - 0.1, "upper": 0.9}
            for change, at, auc in falls]  # fmt: skip
    pairs = {"section": "as_published", "measure": "false_positive_rate", "arm": "transfer", "reference": "scratch",
             "unit": "film", "fraction": 1.0, "n": 15, "method": "McNemar's test, corrected, p < 0.05"}  # fmt: skip
    main = {"group": "sensitivity", "threshold_from": "validation"}
    rows += [{**pairs, "group": "auc", "estimate": 2 / 15, "events": 2, "method": "DeLong's test, p < 0.05"},
             {**pairs, **main, "point": "high_sensitivity", "estimate": 0.4, "events": 6},
             {**pairs, **main, "point": "youden", "estimate": 0.2, "events": 3}]  # fmt: skip
    told = replace(outputs, results=saved(join(outputs.results[list(results([]).columns)], results(rows))))
    words = "the lowest AUC was 0.620 (0.520 to 0.900) for “pretrained on chest radiographs” (blur, step 3)"
    assert statements_of(told)["robustness"] == words
    assert words in item_of(told, "claim2024", "30").text
    assert words in item_of(told, "stard_ai2025", "21").text
    said = plain(equal_models(told))
    assert "AUC: 13 % (2 of 15 pairs; DeLong's test)" in said
    assert "sensitivity: 40 % (6 of 15 pairs; McNemar's test)" in said
    assert "3 of 15" not in said  # only the operating point of the first screen


def test_mistyped_answers_are_noticed(tmp_path):
    assert guidelines.unused_answers(opened(tmp_path, author={"fundng": "x"}).study) == ["fundng"]


def test_checklists_open_in_word_with_every_item(outputs, written):
    for name, numbers in NUMBERS.items():
        document = docx.Document(str(written / "checklists" / f"{name}.docx"))
        (table,) = document.tables
        assert [row.cells[0].text for row in table.rows][1:] == numbers
        assert [cell.text for cell in table.rows[0].cells] == list(guidelines.HEADS)
        assert table.rows[0]._tr.trPr is not None  # the header row repeats on every page
        answers = pd.read_csv(written / "checklists" / f"{name}.csv", dtype=str, keep_default_na=False)["text"]
        for row, answer in zip(table.rows[1:], answers, strict=True):
            assert row.cells[4].text.startswith(answer.lstrip("'"))


def test_tables_one_to_four_open_in_word_with_the_numbers_of_their_rows(outputs, written):
    document = docx.Document(str(written / "tables.docx"))
    captions = [p.text for p in document.paragraphs if p.style.name == "Caption"]
    assert [caption[:8] for caption in captions] == ["Table 1.", "Table 1.", "Table 2.", "Table 3.", "Table 4."]
    assert len(document.tables) == 5
    third = [[cell.text for cell in row.cells] for row in document.tables[3].rows]
    rates = outputs.results
    rates = rates[(rates["measure"] == "sensitivity") & (rates["run"] == "") & (rates["unit"] == "film")]
    rates = rates[(rates["threshold_from"] == "validation") & (rates["point"] == "high_sensitivity")]
    for arm, label in Kind().arms.items():
        shown = next(row for row in third if row[0] == label and row[1] == "High sensitivity")
        wanted = rates[(rates["arm"] == arm) & (rates["reference"] == "")].iloc[0]
        assert (
            shown[2] == f"{100 * wanted['estimate']:.1f} ({100 * wanted['lower']:.1f} to {100 * wanted['upper']:.1f})"
        )
    gap = next(row for row in third if "less" in row[0] and row[1] == "High sensitivity")
    wanted = rates[rates["reference"] == "scratch"].iloc[0]
    assert gap[2].endswith(f"p = {wanted['p']:.3f}")
    assert gap[2].startswith(f"{100 * wanted['estimate']:+.1f}".replace("-", "−"))


def test_table_one_is_the_same_in_notebook_page_and_word_and_counts_patients_once(outputs, written):
    document = docx.Document(str(written / "tables.docx"))
    for unit, table in zip(("film", "patient"), document.tables, strict=False):
        shown = characteristics(outputs.films, unit)  # what the notebook and the page show
        assert [[cell.text for cell in row.cells] for row in table.rows[1:]] == [
            [plain(cell) for cell in row] for row in shown.rows
        ]
    external = pd.read_csv(outputs.find("cohorts/external.csv"))
    by_patient = [[cell.text for cell in row.cells] for row in document.tables[1].rows]
    column = by_patient[0].index("External: malignant")
    # a patient with films of both classes counts as malignant
    assert by_patient[1][column] == str(external.loc[external["label"] == 1, "patient_id"].nunique())


def test_the_same_study_gives_the_same_bytes(outputs, written, tmp_path):
    again = write_documents(outputs, statements_of(outputs), tmp_path)
    assert len(again) == 14
    for path in again:
        assert path.read_bytes() == (written / path.relative_to(tmp_path)).read_bytes(), path.name


def test_what_a_study_does_not_know_is_not_told(tmp_path):
    kind = Kind(runs=1, validation=False, boxes=False, cohorts=False)
    outputs = opened(tmp_path, kind, training=False)
    text = "\n".join(block.text for block in manuscript(statements_of(outputs)))
    assert "Thresholds were found on the external films themselves" in text
    assert "the one training run of each model" in text
    for untrue in (
        "several",
        "means over training runs",
        "validation",
        "Fine-tuning",
        "recalibration",
        "painted over",
        "None",
    ):
        assert untrue not in text, untrue
    write_documents(outputs, statements_of(outputs), tmp_path / "documents")
    assert not (tmp_path / "documents" / "table_one.csv").exists()
    assert len(docx.Document(str(tmp_path / "documents" / "tables.docx")).tables) == 3


def test_a_label_stays_text_in_markdown_and_in_word(tmp_path):
    planted = " *x* [a](b) <img src=x> | `c`"
    outputs = opened(tmp_path, Kind(text=planted))
    write_documents(outputs, statements_of(outputs), tmp_path / "documents")
    shown = (tmp_path / "documents" / "methods.md").read_text(encoding="utf-8")
    assert r"\*x\* \[a\](b) \<img src=x> \| \`c\`" in shown
    document = docx.Document(str(tmp_path / "documents" / "methods.docx"))
    assert planted.strip() in "\n".join(p.text for p in document.paragraphs)


def test_no_verdict_is_told_where_the_page_gives_none(tmp_path):
    outputs = opened(tmp_path, Kind(instead=["The external set holds 6 malignant patients."]))
    told = statements_of(outputs)["verdicts"]
    assert told.startswith("The external set holds 6 malignant patients.")
    assert "separates" not in told


def test_a_model_card_shows_the_model_alone(outputs, written):
    card = (written / "model_cards" / "transfer.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: pretrained on chest radiographs")
    assert f"SHA-256: {MODEL['weights_sha256']}" in card
    assert "| Sensitivity, %; high sensitivity |" in card
    row = outputs.one(section="discrimination", measure="auc", arm="transfer", reference=None)
    assert f"| AUC; by film | {row['estimate']:.3f} ({row['lower']:.3f} to {row['upper']:.3f}) |" in card
    with pytest.raises(ValueError, match="no model of this study"):
        model_card(outputs, "other", {}, [])


def test_a_sentence_with_an_unknown_fact_is_left_out_and_a_mistyped_one_is_refused():
    assert fill(["A {{ a }}.", "B {{ b }}."], {"a": "1", "b": None}) == ["A 1."]
    with pytest.raises(ValueError, match="'c' is undefined"):
        fill(["C {{ c }}."], {"a": "1"})


def test_markdown_keeps_what_does_not_act():
    assert markdown("p < 0.05 [2] a_b") == "p < 0.05 [2] a_b"


def test_analysis_json_of_the_fixture_is_what_04_writes(outputs):
    """The sample study lacks nothing that the texts read from analysis.json."""
    assert {"settings", "arms", "runs", "points", "verdicts"} <= set(
        json.loads(outputs.find("analysis.json").read_text())
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [("given changed after external results: planned null, now {}", "given thresholds (planned: not set; now: none)"),
     ('subgroups changed after external results: planned [], now ["lesion_size"]',
      "subgroups (planned: none; now: lesion size)")],
)  # fmt: skip
def test_a_change_of_the_plan_is_told_without_the_notation_of_its_file(change, told):
    assert deviation(change, {}) == f"The analysis plan was changed after the external results were known: {told}."
