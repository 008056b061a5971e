"""The same for everybody: one thread, no screen, and no results or workers from the shell."""

import os

import pytest
import torch

torch.set_num_threads(1)  # small products on a busy machine are faster alone
os.environ["MPLBACKEND"] = "Agg"
for name in ("DC2LIB_RESULTS", "DC2LIB_WORKERS"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _same_draws_in_any_order():
    torch.manual_seed(0)
