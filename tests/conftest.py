"""The same for everybody: one thread, no screen, and no results or workers from the shell."""

import codecs
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))
torch.set_num_threads(1)  # small products on a busy machine are faster alone
os.environ["MPLBACKEND"] = "Agg"
NOBODY = 65534
for name in ("DC2LIB_RESULTS", "DC2LIB_WORKERS"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _same_draws_in_any_order():
    torch.manual_seed(0)


@pytest.fixture
def refused_user():
    """An empty folder, and a user to whom rights can be refused, as they cannot to root."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid():
            yield Path(folder)
            return
        os.chown(folder, NOBODY, NOBODY)
        codecs.lookup("utf-8-sig")  # Python itself may lie where only root may read
        try:
            os.seteuid(NOBODY)
        except OSError:
            pytest.skip("there is only root here, to whom nothing is refused")
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Say in one closing line what could not be checked here, and how to get it."""
    result = yield
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        lacking = "; ".join(f"{number} tests ({reason})" for reason, number in reasons.items())
        terminalreporter.write_line(f"not checked here: {lacking}")
    return result
