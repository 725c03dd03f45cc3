from tests.model_store.kills import kill_imports


def test_a_killed_import_is_never_half_listed():
    assert kill_imports(count=3, size_bytes=20_000_000).total() == 3
