"""Text is read as UTF-8 whatever the locale says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ_ALL = """
import codecs, locale, sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module="tools|dc2lib|dc2book")
from pathlib import Path
assert codecs.lookup(locale.getpreferredencoding(False)).name != "utf-8"
from dc2lib.datasets import published
from tools.chapters import chosen_parameters, page_sources, read_chapter, read_profile
from tools.dependencies import chapter_hash
root = Path.cwd()
chapter = read_chapter("linear_baseline", page_sources(root)["linear_baseline"])
parameters = chosen_parameters(chapter, "smoke", read_profile(root, "smoke"), "simulated")
chapter_hash(chapter, parameters, "", {}, root)
published.label_rule_counts()
"""


@pytest.fixture(scope="module")
def latin(tmp_path_factory):
    """Variables of a real ISO-8859-1 locale; of one without any encoding where it can't be made."""
    folder, name = tmp_path_factory.mktemp("locales"), "en_US.ISO-8859-1"
    variables = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"}
    if shutil.which("localedef"):
        command = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / name)]
        made = subprocess.run(command, capture_output=True, check=False)
        if not made.returncode:
            variables = {"LC_ALL": name, "LOCPATH": str(folder)}
    return {**os.environ, "LANG": "", "PYTHONUTF8": "0", **variables}


def test_chapters_profiles_and_tables_are_read_in_a_latin_locale(latin):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "book")])
    ended = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", READ_ALL], cwd=ROOT,
        env={**latin, "PYTHONPATH": paths}, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]


def test_make_reads_and_writes_utf_8_in_a_latin_locale(latin, tmp_path):
    """The Makefile says so for every target, and hands on no other word to Python."""
    (tmp_path / "shows.mk").write_text(
        f"include {ROOT / 'Makefile'}\nshow: ; @{sys.executable} -c "
        "'import os, sys; print(sys.flags.utf8_mode, "
        "sorted(name for name in os.environ if name[:6] == \"PYTHON\"))'\n"
    )
    env = {name: value for name, value in latin.items() if not name.startswith("MAKE")}
    shown = subprocess.run(
        ["make", "-f", str(tmp_path / "shows.mk"), "show"], cwd=ROOT, capture_output=True,
        env={**env, "PYTHONPATH": "/nowhere", "PYTHONSTARTUP": "/x", "PYTHONOPTIMIZE": "2"},
        text=True, check=True,
    ).stdout
    assert shown == "1 ['PYTHONUTF8']\n"
