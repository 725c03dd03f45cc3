import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.ingest.decoding import decode


@pytest.mark.parametrize(
    ("content", "text", "notes"),
    [
        (b"x = 1\r\ny = 2\rz = 3\n", "x = 1\ny = 2\nz = 3\n", ()),
        (b"\xef\xbb\xbfx = '\xc3\xa9'", "x = 'é'", ()),
        ("x = 'é'".encode("latin-1"), "x = 'é'", ("read as Latin-1",)),
        ("x = '“é”'".encode("cp1252"), "x = '“é”'", ("read as Windows-1252",)),
        (b"# -*- coding: koi8-r -*-\nx = '\xc1'", "# -*- coding: koi8-r -*-\nx = 'а'", ("read as koi8-r",)),
        ("\ufeffx = 'é'".encode("utf-16-le"), "x = 'é'", ("read as UTF-16",)),
        ("\ufeffx = 'é'".encode("utf-16-be"), "x = 'é'", ("read as UTF-16",)),
        ("x = 'a\u200bb\ufeff'".encode(), "x = 'ab'", ("2 invisible characters left out",)),
        ("x = '👩\u200d🔬'".encode(), "x = '👩\u200d🔬'", ()),
        (b"", "", ()),
    ],
)
def test_what_is_text_is_read(content, text, notes):
    assert decode(content) == (text, notes)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x = 1\ny = '\0'", "holds a NUL byte in line 2"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff", "is binary: it holds NUL bytes and is not UTF-8"),
        (b"\x81\x8d\x8f\x90", "is binary: it is neither UTF-8 nor Latin-1"),
        (b"# coding: klingon\n", "is not in its encoding: unknown encoding: klingon"),
        (b"# coding: hex\n00", "is not in its encoding: hex is no text encoding"),
        (b"# coding: ascii\nx = '\xe9'", "is not in its encoding: 'ascii' codec"),
        (b"\xff\xfea", "is not in its encoding: 'utf-16"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(content, reason):
    with pytest.raises(ConfigError) as caught:
        decode(content)
    assert caught.value.message.startswith(reason)
    assert "\n" not in caught.value.message
