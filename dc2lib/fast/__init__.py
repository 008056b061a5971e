"""The same steps and passes as the plain code, faster on a CPU; tests hold the two together.

``DC2LIB_FAST=0`` in the environment turns all of them off: autograd trains, and networks predict by
their own ``forward``. Results agree up to rounding, so kept ones are not computed again.

>>> import torch
>>> from dc2lib.fast.matrix_form import matrix_form
>>> from dc2lib.models.deepchrome import build
>>> matrix_form(build("deepchrome_max"))(torch.zeros(3, 5, 100)).shape
torch.Size([3, 2])
"""

from __future__ import annotations

import os


def enabled() -> bool:
    """Whether the fast paths are taken; looked at whenever one is prepared."""
    return os.environ.get("DC2LIB_FAST", "1") != "0"
