"""The same for everybody: one thread, no screen, and no results or workers from the shell."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))
torch.set_num_threads(1)  # small products on a busy machine are faster alone
os.environ["MPLBACKEND"] = "Agg"
for name in ("DC2LIB_RESULTS", "DC2LIB_WORKERS"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _same_draws_in_any_order():
    torch.manual_seed(0)


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
