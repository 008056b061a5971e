import os
import subprocess
import sys
from pathlib import Path

import pytest
from input_files import windows

from dc2lib.datasets import binned, peaks, read_csv_folder, read_rpkm, store, tracks
from dc2lib.datasets.fetch import RemoteFile, fetch
from dc2lib.datasets.gene_windows import read_gtf
from dc2lib.datasets.roadmap import ingest_archive
from dc2lib.errors import DataError
from dc2lib.files import atomic_write


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("old")
    with atomic_write(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["counts.csv"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_stays(tmp_path, error):
    path = tmp_path / "counts.csv"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as unfinished:
        unfinished.write_text("ne")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["counts.csv"]


def test_what_was_not_written_replaces_nothing(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_write(path):
        pass
    assert path.read_text() == "old"


def test_the_file_has_the_usual_permissions(tmp_path):
    plain, replaced = tmp_path / "plain", tmp_path / "replaced"
    plain.touch()
    with atomic_write(replaced) as unfinished:
        unfinished.touch()
    assert plain.stat().st_mode == replaced.stat().st_mode


def from_mirror(path):
    fetch(RemoteFile(path.name, "http://127.0.0.1:9/", "x"), path.parent, mirror=str(path.parent))


READERS = {
    "a.bed": peaks.read_peaks,
    "a.tsv": read_rpkm,
    "a.gtf": read_gtf,
    "a.npz": lambda path: binned.cell_inputs(path, windows()),
    "a.RData": lambda path: binned.read_rdata({"H3K4me3": path}, windows()),
    "a.bw": lambda path: tracks.read_cell({"H3K4me3": path}, windows()),
    "a.csv": lambda path: peaks.cell_inputs(path, windows()),
    "train.csv": lambda path: read_csv_folder(path.parent),
    "a.tar.gz": lambda path: ingest_archive(path, None),
    "a.gz": from_mirror,
    "meta.json": lambda path: store.read_meta(path.parent),
}


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_by_every_reader(tmp_path, name, kind):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder" and name not in ("a.npz", "a.csv"):
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    with pytest.raises(DataError, match=name):
        READERS[name](path)


@pytest.mark.parametrize("name", READERS)
def test_a_name_that_is_too_long_is_refused_by_every_reader(tmp_path, name):
    with pytest.raises(DataError):
        READERS[name](tmp_path / ("x" * 300) / name)


def test_a_pipe_in_place_of_a_lock_holds_nothing_up(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with store.locked(tmp_path):
        assert Path(tmp_path, ".lock").is_fifo()


def test_who_stops_reading_and_who_interrupts_sees_no_traceback():
    run = (
        "import os, signal; from dc2lib.errors import exit_code;"
        "signal.signal(signal.SIGINT, signal.default_int_handler); raise SystemExit(exit_code(%s))"
    )
    say = run % "lambda: [print('x' * 99) for _ in range(9999)] and 0"
    stop = run % "lambda: os.kill(os.getpid(), signal.SIGINT)"
    for code, expected, said in ((say, 141, ""), (stop, 130, "stopped")):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True)
        child.stdout.close()
        error = child.stderr.read()
        child.stderr.close()
        assert (child.wait(), "Traceback" in error, said in error) == (expected, False, True)
    closed = [sys.executable, "-c", run % "lambda: print(1)"]
    assert subprocess.call(["sh", "-c", 'exec "$@" >&-', "sh", *closed]) == 0
