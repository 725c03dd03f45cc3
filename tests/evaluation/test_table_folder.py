import json

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.table_folder import TableFolder
from dlcodegen_local.evaluation.table_items import Item
from tests.evaluation.test_report import document

ITEMS = [Item("a", "Sort mail", "x = 1", {"ours": ("x = '\ud800'", "")})]


def test_two_tables_share_results_and_page(tmp_path):
    earlier, later = TableFolder(tmp_path), TableFolder(tmp_path)
    later.keep("table5", document(), ITEMS)
    earlier.keep("table2", document(), ITEMS)
    earlier.keep("table2", document() | {"notes": ["again"]}, ITEMS)
    tables = json.loads((tmp_path / "results.json").read_text())["tables"]
    assert sorted(tables) == ["table2", "table5"] and tables["table2"]["notes"] == ["again"]
    html = (tmp_path / "report.html").read_text()
    assert html.count("Item by item") == 2 and "x = &#x27;⟨U+D800⟩&#x27;" in html


@pytest.mark.parametrize(
    "content", ["NaN?", "[]", '{"format": 99, "tables": {}}', '{"format": 1, "tables": 3}']
)
def test_results_of_another_make_are_not_replaced(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ConfigError, match=r"results\.json"):
        TableFolder(tmp_path)
    assert (tmp_path / "results.json").read_text() == content


def test_damaged_items_are_named(tmp_path):
    TableFolder(tmp_path).keep("table5", document(), ITEMS)
    (tmp_path / "items/table5.json").write_text('[{"id": 1}]')
    with pytest.raises(ConfigError, match=r"items/table5\.json is damaged"):
        TableFolder(tmp_path).keep("table2", document(), ITEMS)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        TableFolder(tmp_path / "file")
