import hashlib
import json

import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.samples import load_samples

PLAN = Plan("Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "", ("Dense(1)",))


def write_sample(pool, code="x = 1\n\f\ty = 2\r\n", **changes):
    payload = code.encode()
    table = {
        "title": "A table",
        "requirement": "Predict",
        "framework": "keras",
        "licence": "MIT",
        "source": "own",
    }
    digest = hashlib.sha256(payload).hexdigest()
    (pool / "a.py").write_bytes(payload)
    (pool / "a.json").write_text(json.dumps({**table, "plan": PLAN.to_dict(), "sha256": digest, **changes}))


def test_a_sound_sample_is_loaded(tmp_path):
    write_sample(tmp_path)
    (sample,) = load_samples(tmp_path)
    assert (sample.id, sample.title, sample.plan) == ("a", "A table", PLAN)


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "A\x1b[2J"},
        {"title": "\ud800"},
        {"requirement": "Predict \u202e"},
        {"code": "x = 1  # \u2066\n"},
        {"code": "x = '\x1b'\n"},
        {"code": "x = '\x9b'\n"},
        {"code": "x = 1  # \u200b\n"},
        {"code": "x = '\u3164'\n"},
        {"requirement": "Predict \U000e0041"},
    ],
)
def test_a_sample_that_does_not_show_what_it_says_is_refused(tmp_path, changes):
    write_sample(tmp_path, **changes)
    with pytest.raises(ArtifactError, match=r"a\.(py|json): the (title|requirement|code) holds"):
        load_samples(tmp_path)
