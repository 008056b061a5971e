import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOP = """
from dc2lib.fast.fused_step import compiled


def total(values):
    added = 0
    for value in values:
        added += value
    return added
"""
RUN = "import numpy, loops; assert loops.compiled(loops.total)(numpy.arange(5)) == 10"


@pytest.mark.parametrize("place", ["kept", os.devnull])
def test_code_is_kept_where_there_is_a_place_and_made_anew_elsewhere(place, tmp_path):
    (tmp_path / "loops.py").write_text(LOOP)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / place), "HOME": os.devnull,
                                "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", RUN], env=environment,
                          cwd=Path(__file__).parents[1], capture_output=True, text=True,
                          timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name.split("-")[0] for path in (tmp_path / "kept").rglob("*.nbi")] == (
        ["loops.total"] if place == "kept" else []
    )
