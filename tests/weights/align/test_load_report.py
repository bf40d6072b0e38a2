"""Reports of loaded weights."""

import json

from attendet.weights.align.load_report import LoadReport


def test_many_places_are_shortened():
    report = LoadReport(
        kept=(), new=tuple(f"model.{row}.conv.weight" for row in range(20)), dropped=("fc.bias",), reshaped=()
    )
    assert str(report).splitlines() == [
        "kept 0 of 20 tensors",
        "new: 20 tensors (rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more)",
        "dropped: 1 tensor of the file (fc)",
    ]
    assert not report.complete
    assert len(report.details().splitlines()) == 24


def test_forms_of_a_report():
    report = LoadReport(kept=("fc.weight",), new=("fc.bias",), dropped=("<b>",), reshaped=())
    assert repr(report) == "LoadReport(kept 1 of 2 tensors, 1 new, 1 dropped, 0 reshaped)"
    assert json.loads(json.dumps(report.to_dict())) == {
        "kept": ["fc.weight"],
        "new": ["fc.bias"],
        "dropped": ["<b>"],
        "reshaped": [],
        "merged": [],
    }
    page = report._repr_html_()
    assert "<summary>kept 1 of 2 tensors</summary><pre>fc.weight</pre>" in page
    assert "<pre>&lt;b&gt;</pre>" in page
    assert "<b>" not in page
