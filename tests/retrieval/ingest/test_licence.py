import pytest

from dlcodegen_local.retrieval.ingest.licence import licence_of_file, licence_of_text


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("# SPDX-License-Identifier: Apache-2.0\n", "Apache-2.0"),
        ("# SPDX-License-Identifier: MIT OR  Apache-2.0\n", "MIT OR Apache-2.0"),
        ("Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/", "Apache-2.0"),
        ('#@title Licensed under the Apache License, Version 2.0 (the "License");', "Apache-2.0"),
        ("MIT License\n\nCopyright (c) 2020 A\n\nPermission is hereby granted", "MIT"),
        ("Permission is hereby granted, free of\ncharge, to any person obtaining a copy", "MIT"),
        ('__license__ = "MIT"', "MIT"),
        ("Redistribution and use in source and binary forms, with or\nwithout modification", "BSD-2-Clause"),
        (
            "Redistribution and use in source and binary forms ... * Neither the name of the holder",
            "BSD-3-Clause",
        ),
        ("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007\n... the GNU Affero General", "GPL-3.0-only"),
        ("GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991", "GPL-2.0-only"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3 ... GNU General Public License", "LGPL-3.0-only"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999", "LGPL-2.1-only"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3", "AGPL-3.0-only"),
        (
            "# terms of the GNU General Public License as published by\n"
            "# the Free Software Foundation, either\n"
            "# version 3 of the License, or (at your option) any later version.",
            "GPL-3.0-or-later",
        ),
        ("Mozilla Public License Version 2.0\n ... GNU General Public License, Version 2.0", "MPL-2.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "CC-BY-NC-SA-4.0"),
        ("https://creativecommons.org/licenses/by-sa/3.0/", "CC-BY-SA-3.0"),
        ("CC BY 4.0", "CC-BY-4.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("This is free and unencumbered software released into the public domain.", "Unlicense"),
        ("ISC License", "ISC"),
        ("All rights reserved. Do not copy.", ""),
        ("", ""),
    ],
)
def test_a_licence_is_known_by_its_own_words(text, licence):
    assert licence_of_text(text) == licence


def test_a_file_is_under_what_its_header_or_its_markdown_claims():
    assert licence_of_file("# Licensed under the MIT license\nx = 1\n", ()) == "MIT"
    assert licence_of_file("x = 1\n", ("# Title", "Licensed under the Apache License, Version 2.0")) == (
        "Apache-2.0"
    )
    assert licence_of_file("x = 1\n# SPDX-License-Identifier: ISC\n", ()) == "ISC"


def test_a_licence_that_is_only_spoken_of_is_none():
    assert licence_of_file("x = 'MIT License'\n", ("The images are CC BY 4.0, from the web.",)) == ""
    assert licence_of_file("# Installs Apache Spark 2.0\nx = 1\n", ()) == ""
