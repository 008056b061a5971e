"""A finished run is kept under a name."""

import pytest

from tools.errors import BuildError
from tools.keep import keep

ROWS = '[{"chapter": "a", "key": "b", "value": 1}]'


@pytest.fixture
def built(tmp_path):
    (tmp_path / "_build" / "html").mkdir(parents=True)
    (tmp_path / "_build" / "html" / "index.html").write_text("page")
    (tmp_path / "_build" / "results.json").write_text(ROWS)
    return tmp_path


def test_pages_and_results_are_kept(built):
    target = keep(built, "e013")
    assert target == built / "runs" / "e013"
    assert (target / "results.json").read_text() == ROWS
    assert (target / "html" / "index.html").read_text() == "page"
    assert [path.name for path in (built / "runs").iterdir()] == ["e013"]


def test_a_kept_run_is_not_overwritten(built):
    keep(built, "e013")
    with pytest.raises(BuildError, match="exists"):
        keep(built, "e013")


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_a_name_that_is_no_folder_name_is_refused(built, name):
    with pytest.raises(BuildError, match="needs a name"):
        keep(built, name)


def test_nothing_built_or_half_a_file_is_said(tmp_path):
    with pytest.raises(BuildError, match="make book"):
        keep(tmp_path, "e013")
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build" / "results.json").write_text(ROWS[:20])
    with pytest.raises(BuildError, match=r"results\.json"):
        keep(tmp_path, "e013")
