import errno
import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from dc2lib.datasets import HistoneDataset, histone, list_cells, open_cell, store, write_cell
from dc2lib.errors import DataError


def dataset(cell="E012", seed=0, **changes):
    generator = np.random.default_rng(seed)
    given = {
        "counts": generator.integers(0, 65_536, (30, 100, 5)),
        "gene_id": [f"ENSG{number:011d}" for number in range(30)],
        "cell": cell,
        "split": np.repeat(["train", "valid", "test"], 10),
        "released_label": generator.integers(0, 2, 30),
        "rpkm_text": [f"{value:.3f}" for value in generator.gamma(0.5, 10, 30)],
    }
    return HistoneDataset.from_arrays(**(given | changes))


def leftovers(home):
    return [path.name for path in home.rglob(".tmp*")]


def rewrite_meta(home, **changes):
    """The meta.json of E012 after the changes; what is None is left out."""
    path = home / "cells" / "E012" / "meta.json"
    meta = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in meta.items() if value is not None}))
    return path


def test_a_cell_comes_back_as_it_was(tmp_path):
    written = dataset()
    write_cell(written, tmp_path)
    opened = open_cell("E012", tmp_path)
    for name in ("counts", "gene_id", "split", "released_label", "rpkm", "rpkm_text"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(written, name))
        assert getattr(opened, name).dtype == getattr(written, name).dtype
    assert opened.marks == written.marks
    assert opened.rpkm_median_text == written.rpkm_median_text
    assert opened.fingerprint == written.fingerprint
    recomputed = HistoneDataset(**{k: v for k, v in vars(opened).items() if k != "fingerprint"})
    assert recomputed.fingerprint == written.fingerprint


def test_real_numbers_come_back_bit_by_bit(tmp_path):
    values = np.random.default_rng(0).gamma(0.1, 9, (30, 100, 5)).astype(np.float32)
    values[0, 0, :3] = 0, np.finfo(np.float32).tiny, np.finfo(np.float32).max
    write_cell(dataset(counts=values, unit="peak signal", source="peaks"), tmp_path)
    opened = open_cell("E012", tmp_path)
    assert opened.counts.tobytes() == values.tobytes()
    assert (opened.unit, opened.source) == ("peak signal", "peaks")
    recomputed = HistoneDataset(**{k: v for k, v in vars(opened).items() if k != "fingerprint"})
    assert recomputed.fingerprint == opened.fingerprint


def test_a_store_from_before_units_holds_reads(tmp_path):
    write_cell(dataset(), tmp_path)
    rewrite_meta(tmp_path, unit=None)
    assert open_cell("E012", tmp_path).unit == "reads"


def test_counts_are_mapped_and_read_only(tmp_path):
    write_cell(dataset(), tmp_path)
    opened = open_cell("E012", tmp_path)
    assert isinstance(opened.counts, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened.counts[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        opened.rpkm[0] = 1


def test_home_is_the_environments_or_the_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path / "here"))
    assert store.data_home() == tmp_path / "here"
    write_cell(dataset())
    assert list_cells() == ["E012"]
    monkeypatch.delenv("DC2LIB_DATA")
    assert store.data_home() == Path(platformdirs.user_cache_dir("dc2lib"))


def test_fingerprint_changes_exactly_with_the_content(tmp_path):
    empty = store.fingerprint(tmp_path)
    write_cell(dataset(), tmp_path)
    first = store.fingerprint(tmp_path)
    for path in (tmp_path / "cells" / "E012").iterdir():
        os.utime(path, (1, 1))
    write_cell(dataset(), tmp_path, {"archive": "another"})
    assert store.fingerprint(tmp_path) == first
    write_cell(dataset(seed=1), tmp_path)
    second = store.fingerprint(tmp_path)
    write_cell(dataset("E013", 1), tmp_path)
    assert len({empty, first, second, store.fingerprint(tmp_path)}) == 4


@pytest.mark.parametrize("name", ["counts", "gene_id", "split", "rpkm", "rpkm_text"])
def test_a_changed_file_is_named(tmp_path, name):
    write_cell(dataset(), tmp_path)
    open_cell("E012", tmp_path)
    path = tmp_path / "cells" / "E012" / f"{name}.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match=rf"{name}\.npy does not have the digest.*--cells E012"):
        open_cell("E012", tmp_path)


def test_the_digest_is_checked_once_for_an_unchanged_file(tmp_path, monkeypatch):
    write_cell(dataset(), tmp_path)
    open_cell("E012", tmp_path)
    monkeypatch.setattr(histone, "content_bytes", lambda values: pytest.fail("computed again"))
    open_cell("E012", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "counts.npy").unlink(), r"counts\.npy cannot be read"),
        (lambda folder: (folder / "counts.npy").write_bytes(b""), r"counts\.npy cannot be read"),
        (lambda folder: (folder / "meta.json").write_text("{"), r"meta\.json is missing or unr"),
        (lambda folder: (folder / "meta.json").write_text("{}"), r"meta\.json is missing or unr"),
    ],
)
def test_a_damaged_folder_is_named(tmp_path, change, message):
    write_cell(dataset(), tmp_path)
    change(tmp_path / "cells" / "E012")
    with pytest.raises(DataError, match=message):
        open_cell("E012", tmp_path)


def test_pickles_are_not_opened(tmp_path):
    write_cell(dataset(), tmp_path)
    path = tmp_path / "cells" / "E012" / "gene_id.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    meta = json.loads((path.parent / "meta.json").read_text())
    meta["arrays"]["gene_id"]["sha256"] = store.file_digest(path)
    rewrite_meta(tmp_path, arrays=meta["arrays"])
    with pytest.raises(DataError, match=r"gene_id\.npy cannot be read"):
        open_cell("E012", tmp_path)


def test_a_store_of_another_version(tmp_path):
    write_cell(dataset(), tmp_path)
    rewrite_meta(tmp_path, format_version=99)
    with pytest.raises(DataError, match=r"format 99, and this dc2lib reads format 1\. Delete"):
        open_cell("E012", tmp_path)
    assert not store.is_current("E012", tmp_path)


def test_a_name_that_does_not_exist(tmp_path):
    with pytest.raises(DataError, match="The store is empty"):
        open_cell("E012", tmp_path)
    write_cell(dataset(), tmp_path)
    with pytest.raises(DataError, match="Did you mean E012"):
        open_cell("E12", tmp_path)
    with pytest.raises(DataError, match="No cell type"):
        open_cell("../E012", tmp_path)


@pytest.mark.parametrize("failing", ["counts", "rpkm_text"])
def test_a_full_disk_leaves_the_older_cell(tmp_path, monkeypatch, failing):
    older = dataset()
    write_cell(older, tmp_path)
    write = np.lib.format.write_array

    def full(file, values, **options):
        if Path(file.name).stem == failing:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, values, **options)

    monkeypatch.setattr(np.lib.format, "write_array", full)
    message = r"disk of .* is full: [\d,]+ MiB are free and 0 MiB are needed.*DC2LIB_DATA"
    with pytest.raises(DataError, match=message):
        write_cell(dataset(seed=3), tmp_path)
    np.testing.assert_array_equal(open_cell("E012", tmp_path).counts, older.counts)
    assert leftovers(tmp_path) == []


def _finished_process_id():
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    return process.pid


def test_what_a_killed_process_left_is_swept(tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    host = store.socket.gethostname()
    gone = folder / f".tmp-{host}-{_finished_process_id()}-E012-ab"
    ours = folder / f".tmp-{host}-{os.getpid()}-E012-ab"
    other = folder / ".tmp-otherhost-1-E012-ab"
    for path in (gone, ours, other):
        path.mkdir()
    write_cell(dataset(), tmp_path)
    assert [gone.exists(), ours.exists(), other.exists()] == [False, True, True]
    assert list_cells(tmp_path) == ["E012"]


CHANGED = r"meta\.json does not have the digest noted"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rpkm_median_text": "99"}, CHANGED),
        ({"marks": ["H3K9me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K27me3"]}, CHANGED),
        ({"source": "simulated"}, CHANGED),
        ({"unit": "coverage"}, CHANGED),
        ({"fingerprint": "0"}, CHANGED),
        ({"arrays": {"../../secret": {"shape": [1], "dtype": "<f8", "sha256": "0"}}}, "unknown"),
        *(({lost: None}, r"meta\.json lacks")
          for lost in ("arrays", "cell", "marks", "fingerprint", "rpkm_median_text")),
    ],
)
def test_a_json_changed_by_hand_is_not_believed(tmp_path, change, message):
    write_cell(dataset(), tmp_path)
    open_cell("E012", tmp_path)
    path = rewrite_meta(tmp_path, **change)
    with pytest.raises(DataError, match=message):
        open_cell("E012", tmp_path)
    assert path.exists()


def test_a_renamed_folder_is_not_another_cell_type(tmp_path):
    write_cell(dataset(), tmp_path)
    os.rename(tmp_path / "cells" / "E012", tmp_path / "cells" / "E013")
    with pytest.raises(DataError, match=r"E013 holds E012"):
        open_cell("E013", tmp_path)
    rewritten = tmp_path / "cells" / "E013" / "meta.json"
    rewritten.write_text(rewritten.read_text().replace("E012", "E013"))
    with pytest.raises(DataError, match=r"meta\.json does not have the digest"):
        open_cell("E013", tmp_path)


WRITE = """
import os, resource, sys
sys.path[:0] = {path!r}
import test_store as tests
from dc2lib.datasets import write_cell
from dc2lib.errors import DataError
{before}
try:
    write_cell(tests.dataset(seed=int(sys.argv[2])), sys.argv[1])
except DataError as error:
    sys.exit(str(error))
"""
KILLED = """
replace, left = os.replace, [int(sys.argv[3])]
def killed(*paths):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    replace(*paths)
os.replace = killed
"""
NO_LARGE_FILES = "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"


def write_elsewhere(home, *arguments, before="", wrap=()):
    code = WRITE.format(path=[str(Path(__file__).parent)], before=before)
    command = [*wrap, sys.executable, "-c", code, str(home), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("renames", [0, 1])
def test_a_cell_survives_a_process_killed_while_it_replaces_it(tmp_path, renames):
    older = dataset()
    write_cell(older, tmp_path)
    assert write_elsewhere(tmp_path, 3, renames, before=KILLED).returncode == 9
    assert list_cells(tmp_path) == ["E012"]
    np.testing.assert_array_equal(open_cell("E012", tmp_path).counts, older.counts)
    write_cell(dataset("E013"), tmp_path)
    np.testing.assert_array_equal(open_cell("E012", tmp_path).counts, older.counts)
    assert leftovers(tmp_path) == []


def test_an_older_cell_that_was_read_only(refused_user):
    write_cell(dataset(), refused_user)
    cells = refused_user / "cells"
    (cells / "E012").chmod(0o555)
    for seed in (1, 2):
        written = dataset(seed=seed)
        write_cell(written, refused_user)
        np.testing.assert_array_equal(open_cell("E012", refused_user).counts, written.counts)
        assert sorted(os.listdir(cells)) == [".lock", "E012"]


def test_an_older_cell_that_cannot_be_removed_is_named(refused_user):
    write_cell(dataset(), refused_user)
    closed = refused_user / "cells" / ".old-E012" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0o555)
    with pytest.raises(DataError, match=r"\.old-E012 is an older E012 that could not be removed"):
        write_cell(dataset(seed=1), refused_user)
    np.testing.assert_array_equal(open_cell("E012", refused_user).counts, dataset().counts)
    closed.chmod(0o755)
    write_cell(dataset(seed=1), refused_user)


def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path):
    pytest.importorskip("resource")
    older = dataset()
    write_cell(older, tmp_path)
    ended = write_elsewhere(tmp_path, 3, before=NO_LARGE_FILES)
    assert "is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    np.testing.assert_array_equal(open_cell("E012", tmp_path).counts, older.counts)
    assert leftovers(tmp_path) == []


def test_a_small_disk_that_is_really_full(tmp_path):
    """A file system of 64 KiB in a namespace of its own: 30,000 bytes of counts fill it."""
    mount = f"mount -t tmpfs -o size=64k none {tmp_path} && exec \"$0\" \"$@\""
    wraps = (["unshare", *how, "sh", "-c", mount] for how in (["-m"], ["-rm"]))
    wrap = next((one for one in wraps if _runs_in(one)), None)
    if wrap is None:
        pytest.skip("no file system can be mounted here")
    ended = write_elsewhere(tmp_path, 3, wrap=wrap, before=TWICE)
    assert "is full: 0 MiB are free" in ended.stderr
    assert "Traceback" not in ended.stderr


TWICE = "write_cell(tests.dataset('E013'), sys.argv[1])"


def _runs_in(wrap):
    try:
        return subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def test_two_processes_may_store_the_same_cell(tmp_path):
    seeds = range(4)
    with ThreadPoolExecutor(len(seeds)) as pool:
        for _ in range(5):
            list(pool.map(lambda seed: write_cell(dataset(seed=seed), tmp_path), seeds))
            open_cell("E012", tmp_path)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "kind", ["file", "below a file", "too long", "dangling", "nobody", "address", "variable"]
)
def test_a_home_that_can_hold_nothing(tmp_path, monkeypatch, kind):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    home = {
        "file": tmp_path / "file", "below a file": tmp_path / "file" / "sub",
        "too long": tmp_path / ("x" * 300), "dangling": tmp_path / "dangling",
        "nobody": "~nobody-of-that-name/x", "address": "http://127.0.0.1/x",
        "variable": "${HOME}/x",
    }[kind]  # fmt: skip
    monkeypatch.setenv("DC2LIB_DATA", str(home))
    monkeypatch.chdir(tmp_path)
    for use in (list_cells, lambda: open_cell("E012"), lambda: write_cell(dataset())):
        with pytest.raises(DataError, match=r"DC2LIB_DATA|cannot be used"):
            use()
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file"]


@pytest.mark.parametrize("kind", ["file", "loop", "dangling link"])
@pytest.mark.parametrize("place", ["cells", "cells/E012"])
def test_a_folder_that_is_none(tmp_path, kind, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.touch() if kind == "file" else path.symlink_to({"loop": path}.get(kind, "nowhere"))
    with pytest.raises(DataError, match=f"{place}.* is no folder"):
        write_cell(dataset(), tmp_path)
    assert os.path.lexists(path) and not path.is_dir()
    if place == "cells":
        with pytest.raises(DataError, match="cells: it is no folder"):
            list_cells(tmp_path)


def test_a_json_without_end_and_one_that_is_a_pipe(tmp_path):
    write_cell(dataset(), tmp_path)
    path = tmp_path / "cells" / "E012" / "meta.json"
    path.write_text("[" * 100_000)
    for _ in range(2):
        assert list_cells(tmp_path) == ["E012"]
        with pytest.raises(DataError, match=r"meta\.json is missing or unreadable"):
            open_cell("E012", tmp_path)
        path.unlink()
        os.mkfifo(path)
