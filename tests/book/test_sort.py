"""The scorecard's table sorts by a column, by keyboard too."""

from pathlib import Path

import pytest

from tools.browser import missing, open_browser

SCRIPT = Path(__file__).resolve().parents[2] / "book" / "_static" / "sort.js"
ROWS = [("b", "55"), ("c", "–"), ("a", "7"), ("d", "7")]


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_column_sorts_numbers_by_size_and_turns_round(tmp_path):
    rows = "".join(f"<tr><td>{name}</td><td>{n}</td></tr>" for name, n in ROWS)
    page = tmp_path / "page.html"
    page.write_text(
        f'<meta charset="utf-8"><script src="{SCRIPT.as_uri()}"></script><table '
        'id="tab-claims-summary"><thead><tr><th><p>claim</p></th><th><p>cell types</p></th></tr>'
        f"</thead><tbody>{rows}</tbody></table>", encoding="utf-8")
    with open_browser() as browser:
        tab = browser.new_page()
        tab.goto(page.as_uri())

        def names(key, times):
            for _ in range(times):
                tab.keyboard.press(key)
            return "".join(tab.locator("td:first-child").all_text_contents())

        assert names("Tab", 2) == "bcad"
        assert names("Enter", 1) == "cadb"
        assert names("Enter", 1) == "bdac"
        assert tab.locator("[aria-sort]").get_attribute("aria-sort") == "descending"
