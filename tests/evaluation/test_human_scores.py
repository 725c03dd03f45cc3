import json

import pytest

from dlcodegen_local.evaluation.human_scores import report_ratings
from tests.evaluation.human_files import filled, study_in

ANN = {
    ("t1", "plain"): (6, 5, 4), ("t1", "fancy"): (9, 9, 9), ("t2", "plain"): (2, 5, 4),
    ("t2", "fancy"): (8, 1, ""), ("t3", "plain"): (4, 5, 4),
}  # fmt: skip
BOB = {("t1", "plain"): (8, 5, 4), ("t1", "fancy"): (9, 9, 8), ("t2", "fancy"): (7, 9, "")}


@pytest.fixture
def report(tmp_path):
    study = study_in(tmp_path)
    sheets = [tmp_path / "ann.csv", tmp_path / "bob.csv"]
    sheets[0].write_text(filled(study, "Ann", ANN))
    sheets[1].write_text(filled(study, "Bob", BOB))
    return report_ratings(tmp_path, sheets)


def test_means_by_hand(report):
    plain, fancy = report.systems
    assert plain.scores["compliance"].mean == pytest.approx((7 + 2 + 4) / 3)
    assert fancy.scores["compliance"].mean == pytest.approx((9 + 7.5 + 0) / 3)  # no code for t3
    assert (fancy.scores["compliance"].n, fancy.missing) == (3, 1)
    assert fancy.scores["idiomaticity"].mean == pytest.approx((8.5 + 0) / 2)  # nobody rated t2
    assert fancy.difference["compliance"].mean == pytest.approx((2 + 5.5 - 4) / 3)
    assert plain.difference == {}
    low, mean, high = (getattr(plain.scores["compliance"], name) for name in ("low", "mean", "high"))
    assert 2 <= low < mean < high <= 7


def test_agreement_by_hand(report):
    found = report.agreement["compliance"]  # 6 8, 9 9, 8 7: observed 5, expected over all 15 pairs of six
    scores = [6, 8, 9, 9, 8, 7]
    expected = sum((a - b) ** 2 for a in scores for b in scores) / 5
    assert found.alpha == pytest.approx(1 - 2 * (4 + 0 + 1) / expected)
    assert (found.units, found.scores) == (3, 6)
    assert report.agreement["idiomaticity"].units == 2


def test_discrepancies_come_first(report):
    assert [(unit.item, unit.system, unit.spread) for unit in report.units[:3]] == [
        ("t2", "fancy", 8),
        ("t1", "plain", 2),
        ("t1", "fancy", 1),
    ]
    assert report.units[0].scores["helpfulness"] == {"Ann": 1, "Bob": 9}
    assert report.units[3].spread == 0


def test_what_is_open_is_said(report):
    assert report.notes == [
        "Ann: 1 scores are left empty",
        "Bob: 7 scores are left empty",
        "fancy: 1 items have no code and count 0",
    ]


def test_without_overlap_alpha_is_undefined(tmp_path):
    study = study_in(tmp_path)
    sheets = [tmp_path / "ann.csv", tmp_path / "bob.csv"]
    sheets[0].write_text(filled(study, "Ann", {("t1", "plain"): (6, 5, 4)}))
    sheets[1].write_text(filled(study, "Bob", {("t2", "plain"): (6, 5, 4)}))
    report = report_ratings(tmp_path, sheets)
    assert {found.alpha for found in report.agreement.values()} == {None}
    assert "compliance: alpha is undefined: no code was scored by two raters" in report.notes
    assert "3 codes were rated by nobody and are left out" in report.notes
    assert report.systems[1].scores["compliance"].mean == 0
    assert report.units[0].spread == 0


def test_the_document_is_json_without_nan(report):
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["agreement"]["signature"].startswith("Krippendorff's alpha|interval")
    assert document["codes"][0]["spread"] == 8
    assert [sheet["scores"] for sheet in document["sheets"]] == [14, 8]
