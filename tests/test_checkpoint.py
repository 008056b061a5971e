"""A checkpoint is given back to the run that wrote it, and to no other."""

import re

import pytest
import torch

from dc2lib.cache import resume, write_checkpoint
from dc2lib.errors import DataError

SETTINGS = {"seed": 0, "rates": [0.5, 0.25], "name": "a"}


def resumed(path, settings=SETTINGS):
    found = []
    resume(path, settings, found.append)
    return found


def test_a_state_is_given_back_whole(tmp_path):
    path = tmp_path / "folder" / "run.pt"
    assert resumed(path) == resumed(None) == []
    write_checkpoint(path, SETTINGS, {"rows": [1, 2], "weights": torch.arange(3)})
    (state,) = resumed(path)
    assert state["rows"] == [1, 2]
    assert state["weights"].tolist() == [0, 1, 2]
    write_checkpoint(path, SETTINGS, {"rows": [3]})
    assert resumed(path) == [{"rows": [3]}]
    assert [one.name for one in path.parent.iterdir()] == ["run.pt"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({**SETTINGS, "seed": 1}, "seed is 0 there and 1 here"),
        ({**SETTINGS, "name": "b", "rates": [0.5]},
         "rates is [0.5, 0.25] there and [0.5] here; name is 'a' there and 'b' here"),
        ({"seed": 0, "name": "a"}, "rates is [0.5, 0.25] there and None here"),
        ({**SETTINGS, "new": 2}, "new is None there and 2 here"),
    ],
)  # fmt: skip
def test_a_foreign_one_is_refused_with_what_differs(tmp_path, settings, words):
    path = tmp_path / "run.pt"
    write_checkpoint(path, SETTINGS, {"rows": []})
    message = f"{path} belongs to another run ({words}): name another checkpoint, or delete it"
    with pytest.raises(DataError, match=re.escape(message)):
        resumed(path, settings)


@pytest.mark.parametrize("content", [b"half", "cut", {"weights": 1}, [1]])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "run.pt"
    write_checkpoint(path, SETTINGS, {"rows": []})
    if content == "cut":
        content = path.read_bytes()[:100]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    message = rf"{re.escape(str(path))} is not a readable checkpoint .* delete it"
    with pytest.raises(DataError, match=message):
        resumed(path)


@pytest.mark.parametrize("value", [2.0, float("nan"), float("inf")])
def test_a_changed_state_is_refused_and_one_that_is_not_finite_not_kept(tmp_path, value):
    path = tmp_path / "run.pt"
    write_checkpoint(path, SETTINGS, {"rows": [{"loss": 1.0}], "weights": torch.ones(3)})
    content = torch.load(path)
    content["state"]["weights"][1] = value
    torch.save(content, path)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        resumed(path)
    if not torch.isfinite(torch.tensor(value)):
        with pytest.raises(FloatingPointError, match="not finite"):
            write_checkpoint(path, SETTINGS, content["state"])


def test_one_of_other_networks_is_refused(tmp_path):
    path, network = tmp_path / "run.pt", torch.nn.Linear(2, 3)
    write_checkpoint(path, SETTINGS, torch.nn.Linear(2, 2).state_dict())
    with pytest.raises(DataError, match=r"(?s)size mismatch.*delete it"):
        resume(path, SETTINGS, network.load_state_dict)
