"""A result is computed once for equal settings, code and data; a change computes it again."""

import os
import resource
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from dc2lib import cache
from dc2lib.cache import cache_path, cached
from dc2lib.errors import DataError
from dc2lib.files import text_lines

CODE = "dc2lib.errors"


@dataclass(frozen=True)
class Plan:
    rate: float
    cells: tuple[str, ...] = ("E012",)


@pytest.fixture
def squares(tmp_path):
    """Squares of the numbers below ``n``, and how often they were computed."""

    def compute(n=3, **settings):
        def work():
            compute.calls += 1
            return {"square": np.arange(n) ** 2, "n": n, "name": "squares"}

        return cached("squares", {"n": n, **settings}, work, code=CODE, home=tmp_path)

    compute.calls = 0
    return compute


def test_equal_settings_are_computed_once(squares, tmp_path):
    first, again = squares(), squares()
    assert squares.calls == 1
    for one in (first, again):
        assert one["square"].tolist() == [0, 1, 4]
        assert (int(one["n"]), str(one["name"])) == (3, "squares")
    (file,) = (tmp_path / "squares").iterdir()
    assert file == cache_path("squares", {"n": 3}, code=CODE, home=tmp_path)
    squares(4)
    assert squares.calls == 2


@pytest.mark.parametrize("damage", [b"", b"half a file"])
def test_a_damaged_file_is_computed_again_with_a_warning(squares, tmp_path, damage):
    squares()
    (file,) = (tmp_path / "squares").iterdir()
    file.write_bytes(damage)
    with pytest.warns(UserWarning, match="is damaged"):
        assert squares()["square"].tolist() == [0, 1, 4]
    assert squares.calls == 2
    squares()
    assert squares.calls == 2


def test_a_file_under_the_name_of_another_is_not_taken(squares, tmp_path):
    squares(3), squares(4)
    one, other = (cache_path("squares", {"n": n}, code=CODE, home=tmp_path) for n in (3, 4))
    other.write_bytes(one.read_bytes())
    with pytest.warns(UserWarning, match="other settings"):
        assert squares(4)["square"].tolist() == [0, 1, 4, 9]
    assert squares(3)["square"].tolist() == [0, 1, 4]


def test_what_cannot_be_read_now_is_not_taken_for_damaged(squares, tmp_path):
    squares()
    (file,) = (tmp_path / "squares").iterdir()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(DataError, match=r"Too many open files.*try again"):
            squares()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert squares()["n"] == 3
    assert squares.calls == 1 and file.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"plan": Plan(0.2)},
        {"plan": Plan(0.1, ("E012", "E013"))},
        {"counts": np.array([1, 3])},
        {"counts": np.array([[1, 2]])},
        {"counts": np.array([1, 2], np.uint16)},
        {"seed": 1},
        {"scale": np.float64(3.0)},
        {"more": None},
    ],
)
def test_every_setting_names_the_file(changed, tmp_path):
    settings = {"plan": Plan(0.1), "counts": np.array([1, 2]), "seed": 0, "scale": 2.0}

    def path(settings):
        return cache_path("fits", settings, code=CODE, home=tmp_path)

    assert path(settings) == path(dict(reversed(settings.items())))
    assert path(settings | changed) != path(settings)


def test_the_code_names_the_file(tmp_path, monkeypatch):
    def path(code):
        return cache_path("fits", {}, code=code, home=tmp_path)

    before = path(CODE)
    assert len({before, path("dc2lib.files"), path((CODE, "dc2lib.files"))}) == 3
    monkeypatch.setattr(cache, "code_digest", lambda *_, **__: "other")
    assert path(CODE) != before


@pytest.mark.parametrize("value", [object(), len, Plan, np.array([None])])
def test_what_has_no_clear_text_is_refused(value):
    with pytest.raises(TypeError, match="expected plain values"):
        cache_path("fits", {"value": value}, code=CODE)


IN_READ_ONLY = """
import sys
from dc2lib.cache import cached
from dc2lib.datasets import data_home
from dc2lib.files import computed_home
def compute():
    print("computed")
    return {"one": 1}
def value(n):
    return int(cached("numbers", {"n": n}, compute, code="dc2lib.errors")["one"])
try:
    (data_home() / "probe").touch()
    sys.exit(3)  # it can be written
except OSError:
    print(value(0), value(1), value(1), len(list(computed_home().glob("numbers/*.npz"))))
"""


def test_what_is_computed_on_a_read_only_store_goes_beside_it(tmp_path):
    """A class shares a store, with what the teacher computed: that is read, the rest kept apart."""
    home = tmp_path / "store"
    cached("numbers", {"n": 0}, lambda: {"one": 1}, code="dc2lib.errors", home=home)
    command = [sys.executable, "-c", IN_READ_ONLY]
    mounts = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    private = ["unshare", *(["-r"] if os.getuid() else []), "-m", "sh", "-c", mounts, str(home)]
    env = {**os.environ, "DC2LIB_DATA": str(home), "XDG_CACHE_HOME": str(tmp_path / "own")}
    try:
        ended = subprocess.run([*private, *command], env=env, capture_output=True, text=True,
                               check=False)
    except OSError:
        ended = None
    if ended is None or ended.returncode:  # no mount is allowed here: the nearest is a folder
        home.chmod(0o555)
        ended = subprocess.run(command, env=env, capture_output=True, text=True,
                               check=False)
        home.chmod(0o755)
    if ended.returncode == 3:
        pytest.skip("no read-only folder can be made here")
    assert ended.stdout.split() == ["computed", "1", "1", "1", "1"], ended.stderr


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "peaks.bed").write_bytes(b"\xef\xbb\xbfchr1\t1\t100\n")
    assert list(text_lines(tmp_path / "peaks.bed")) == ["chr1\t1\t100\n"]
