from dlcodegen_local.evaluation.table_summary import costs, summarise


def row(code="x = 1", smoke=True, score=0.5, **more):
    verification = {"smoke": {"ok": smoke}, "compliance": {"score": score}}
    return {
        "code": code,
        "origin": "merge",
        "verification": verification,
        "seconds": 2.0,
        "tokens": 10,
        **more,
    }


def test_an_item_without_a_program_fails_in_every_rate():
    failed = {"code": "", "error": "nothing fits"}
    found = summarise("one", [row(), row(code="x ="), failed, row(smoke=None, peak_memory_bytes=2**21)], 0)
    assert (found.items, found.failed, found.origins, found.errors) == (
        4,
        1,
        {"merge": 3},
        {"nothing fits": 1},
    )
    assert found.parse_rate is not None and (found.parse_rate.mean, found.parse_rate.n) == (50, 4)
    assert found.compliance is not None and (found.compliance.mean, found.compliance.n) == (37.5, 4)
    assert found.smoke_rate is not None and (round(found.smoke_rate.mean, 1), found.smoke_rate.n) == (66.7, 3)
    assert (found.seconds, found.tokens, found.peak_memory_mib) == (2.0, 10, 2.0)


def test_without_smoke_runs_there_is_no_rate_of_them():
    failed = {"code": "", "error": "nothing fits"}
    assert summarise("one", [row(smoke=None), failed], 0, has_runs=False).smoke_rate is None


def test_no_row_is_no_number():
    found = summarise("one", [], 0).to_dict()
    assert found["items"] == 0 and found["parse_rate"] is None and found["seconds"] is None


def test_costs_leave_failures_out():
    found = costs("one", [{"plan": {}, "seconds": 1.0}, {"plan": None, "error": "no", "seconds": 9.0}])
    assert (found["items"], found["failed"], found["seconds"]) == (2, 1, 1.0)
