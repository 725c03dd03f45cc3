import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.licensing import FolderLicences, check_declared, check_denial, denied_by


def test_the_nearest_licence_file_within_the_root_counts(tmp_path):
    deep = tmp_path / "root/sub/deep"
    deep.mkdir(parents=True)
    (tmp_path / "LICENSE").write_text(
        "MIT License\n\nPermission is hereby granted, free of charge, to any person"
    )
    (tmp_path / "root/sub/LICENCE.md").write_text("SPDX-License-Identifier: Apache-2.0\n")
    (tmp_path / "root/licenses.py").write_text("# SPDX-License-Identifier: GPL-3.0-only\n")
    licences = FolderLicences()
    assert licences.nearest(str(deep), str(tmp_path / "root")) == "Apache-2.0"
    assert licences.nearest(str(tmp_path / "root"), str(tmp_path / "root")) == ""
    assert licences.nearest(str(tmp_path / "root"), str(tmp_path)) == "MIT"


def test_a_licence_file_that_says_nothing_known_is_unknown(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "COPYING").write_text("SPDX-License-Identifier: MIT\n")
    (tmp_path / "sub/LICENSE").write_text("All rights reserved.\n")
    assert FolderLicences().nearest(str(tmp_path / "sub"), str(tmp_path)) == ""


@pytest.mark.parametrize(
    ("licence", "patterns", "denied"),
    [
        ("GPL-3.0-only", ("MIT", "GPL-*"), "GPL-*"),
        ("gpl-3.0-only", ("GPL-*",), "GPL-*"),
        ("LGPL-2.1-only", ("GPL-*",), None),
        ("", ("unknown",), "unknown"),
        ("", ("GPL-*",), None),
        ("MIT OR GPL-2.0-only", ("GPL-*",), None),
        ("Apache-2.0 AND GPL-2.0-only", ("GPL-*",), "GPL-*"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ("GPL-*",), "GPL-*"),
        ("MIT", (), None),
    ],
)
def test_a_pattern_refuses_what_it_names(licence, patterns, denied):
    assert denied_by(licence, patterns) == denied


@pytest.mark.parametrize("text", ["", "our own", "MIT\nGPL", "*"])
def test_what_is_no_licence_is_refused(text):
    with pytest.raises(ConfigError, match="no SPDX identifier"):
        check_declared(text)


def test_a_pattern_is_checked():
    assert check_denial("GPL-*") == "GPL-*"
    with pytest.raises(ConfigError, match="can match no licence"):
        check_denial("a licence")
