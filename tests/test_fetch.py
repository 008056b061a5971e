import gzip
import hashlib
import json
import shutil
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import SimpleNamespace

import numpy as np
import pooch
import pytest

from dc2lib.datasets import fetch as module
from dc2lib.datasets.fetch import RemoteFile, mirror_holds, verified
from dc2lib.errors import DataError

CONTENT = gzip.compress(np.random.default_rng(0).bytes(700_000))
NOWHERE = RemoteFile("data.gz", "http://127.0.0.1:9/never", "roadmap")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@contextmanager
def serving(
    content=CONTENT, *, cut=(), ranges=True, etag='"one"', status=(), single=False, tls=None, **more
):
    """A server on this machine; `cut` says after how many bytes it hangs up, by request."""
    state = SimpleNamespace(content=content, etag=etag, cut=list(cut), **more)
    state.requests, state.ranges = [], []
    state.status = list(status)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200 if self.path.startswith("/files") else 404)
            self.send_header("Content-Type", "application/gzip")
            self.end_headers()

        def do_GET(self):
            state.requests.append(self.path)
            code = state.status.pop(0) if state.status else 200
            if "/files/" not in self.path:
                code = 404
            if code != 200:
                self.send_error(code)
                return
            start = 0
            if self.headers.get("Range"):
                state.ranges.append(self.headers["Range"])
                state.content, state.etag = getattr(state, "swap", (state.content, state.etag))
            if ranges and self.headers.get("Range"):
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                self.send_response(206)
                total = len(state.content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                self.send_response(200)
            body = state.content[start:]
            if getattr(state, "length", True):
                self.send_header("Content-Length", str(len(body)))
            if state.etag:
                self.send_header("ETag", state.etag)
            self.send_header("Content-Type", getattr(state, "kind", "application/x-gzip"))
            self.send_header("Content-Encoding", getattr(state, "encoding", "identity"))
            self.end_headers()
            self.wfile.write(body[: state.cut.pop(0)] if state.cut else body)

        def log_message(self, *_):
            pass

    kind = HTTPServer if single else ThreadingHTTPServer
    server = kind(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.base = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/files"
    state.file = RemoteFile("data.gz", f"{state.base}/data.gz", "roadmap")
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def left(home) -> list[str]:
    return sorted(path.name for path in (home / "downloads").glob("[!.]*"))


def fetch(*arguments, check=lambda path: None, **options):
    """Whatever comes: what is in a file is judged by tests of its own."""
    return module.fetch(*arguments, check=check, **options)


def test_a_file_comes_once_and_its_digest_is_noted(tmp_path):
    with serving() as server:
        path = fetch(server.file, tmp_path)
        again = fetch(server.file, tmp_path)
    assert path == again == tmp_path / "downloads" / "data.gz"
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1
    notes = json.loads((path.parent / "digests.json").read_text())
    assert notes["digests"] == {server.file.url: hashlib.sha256(CONTENT).hexdigest()}
    assert left(tmp_path) == ["data.gz", "digests.json"]


def test_an_interrupted_download_goes_on_in_the_next_call(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with serving(cut=[300_000]) as server:
        with pytest.raises(DataError, match=r"0\.3 MiB are kept: run the same command again"):
            fetch(server.file, tmp_path)
        assert [name[-5:] for name in left(tmp_path)] == [".part"]
        path = fetch(server.file, tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=300000-"]
    assert left(tmp_path) == ["data.gz", "digests.json"]


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        ({"cut": [300_000], "ranges": False}, 2),  # the whole comes again
        ({"cut": [300_000], "status": [200, 416]}, 3),  # there is no rest
        ({"cut": [300_000], "length": False, "etag": None}, 2),
        ({"status": [503, 429]}, 3),
        ({"encoding": "gzip"}, 1),  # bytes come as they are, whatever the server calls them
    ],
)
def test_servers_of_all_kinds(tmp_path, options, requests):
    with serving(**options) as server:
        assert fetch(server.file, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == requests
    assert left(tmp_path) == ["data.gz", "digests.json"]


@pytest.mark.parametrize("what", ["etag", "length", "no etag"])
def test_a_file_that_changed_meanwhile_starts_anew(tmp_path, monkeypatch, what):
    newer = gzip.compress(np.random.default_rng(1).bytes(700_000))
    newer = newer[: len(CONTENT)].ljust(len(CONTENT), b"\0")
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with serving(cut=[300_000]) as server:
        with pytest.raises(DataError):
            fetch(server.file, tmp_path)
        server.content = newer + (b"more" if what == "length" else b"")
        server.etag = {"etag": '"two"', "length": '"one"'}.get(what)
        monkeypatch.setattr(module, "ATTEMPTS", 2)
        path = fetch(server.file, tmp_path)
    assert path.read_bytes() == server.content
    assert left(tmp_path) == ["data.gz", "digests.json"]


def test_a_file_that_changes_between_two_answers_is_not_put_together(tmp_path):
    with serving(cut=[300_000], swap=(CONTENT[::-1], '"two"')) as server:
        assert fetch(server.file, tmp_path).read_bytes() == CONTENT[::-1]
    assert server.ranges == ["bytes=300000-"]


def test_a_server_that_answers_one_request_after_the_other(tmp_path, monkeypatch):
    """The rest is asked for alone: while the whole is still open, no such server answers."""
    monkeypatch.setattr(module, "TIMEOUT", (2, 2))
    content = np.random.default_rng(0).bytes(20_000_000)
    with serving(content, cut=[6_000_000, 6_000_000], single=True) as server:
        assert fetch(server.file, tmp_path).read_bytes() == content
    assert server.ranges == ["bytes=6000000-", "bytes=12000000-"]
    assert len(server.requests) == 3


def test_a_part_that_was_whole_when_the_process_was_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with serving(cut=[300_000]) as server:
        with pytest.raises(DataError):
            fetch(server.file, tmp_path)
        (part,) = (tmp_path / "downloads").glob("*.part")
        part.write_bytes(CONTENT)
        server.status = [416]
        assert fetch(server.file, tmp_path).read_bytes() == CONTENT


def test_a_server_that_stays_busy(tmp_path):
    with serving(status=[503] * 9) as server, pytest.raises(DataError, match="HTTP 503"):
        fetch(server.file, tmp_path)
    assert len(server.requests) == 5


def test_no_server_at_all(tmp_path):
    with serving() as server:
        pass
    with pytest.raises(DataError, match=r"did not come whole.*MIRROR="):
        fetch(server.file, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/gzip"])
def test_an_html_page_is_not_kept(tmp_path, kind):
    page = b"\n<!DOCTYPE html><html><body>Please sign in</body></html>"
    with serving(page, kind=kind) as server, pytest.raises(DataError, match="is an HTML page"):
        fetch(server.file, tmp_path)
    assert left(tmp_path) == []


def test_a_proxy_that_cannot_be_used_is_named_and_not_asked_again(tmp_path, monkeypatch):
    file = RemoteFile("data.gz", "http://example.invalid/files/data.gz", "roadmap")
    for proxy in ("socks5h://", "nonsense://"):
        monkeypatch.setenv("all_proxy", f"{proxy}me:secret@127.0.0.1:9")
        monkeypatch.setattr(module.time, "sleep", lambda _: pytest.fail("asked again"))
        with pytest.raises(DataError, match=rf"be fetched.*{proxy}\.\.\.@127"):
            fetch(file, tmp_path)


@pytest.fixture
def certificate(tmp_path):
    """Key and certificate of 127.0.0.1 that nobody has signed, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    made = tmp_path / "own.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", made, "-out", tmp_path / "certificate"],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_bytes((tmp_path / "certificate").read_bytes() + made.read_bytes())
    return made


def test_a_certificate_of_the_company_is_asked_for_and_used(tmp_path, monkeypatch, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(tls=context) as server:
        monkeypatch.setattr(module.time, "sleep", lambda _: pytest.fail("asked again"))
        with pytest.raises(DataError, match="certificate is not trusted here"):
            fetch(server.file, tmp_path / "store")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert fetch(server.file, tmp_path / "store").read_bytes() == CONTENT


@pytest.fixture
def zenodo(monkeypatch):
    """What Zenodo's interface answers for a record: served from this machine."""
    record = {"files": [{"key": "data.gz", "checksum": "md5:" + hashlib.md5(CONTENT).hexdigest()}]}
    with serving(json.dumps(record).encode(), kind="application/json") as server:
        downloaders = pooch.downloaders
        monkeypatch.setattr(downloaders, "doi_to_url", lambda *_, **__: "https://zenodo.org/records/7")
        monkeypatch.setattr(downloaders.ZenodoRepository, "base_api_url", server.base)
        yield server


def test_a_file_from_upstream_must_have_the_digest_that_zenodo_publishes(tmp_path, zenodo):
    with serving(CONTENT + b"other") as server:
        file = replace(server.file, doi="10.5281/zenodo.7")
        with pytest.raises(DataError, match="wrong digest, another than is published"):
            fetch(file, tmp_path)
        assert left(tmp_path) == []
        server.content = CONTENT
        assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert zenodo.requests == ["/files/7"] * 2


def test_a_mirror_is_not_held_to_zenodos_digest(tmp_path, zenodo):
    (tmp_path / "data.gz").write_bytes(b"two cell types")
    file = replace(NOWHERE, doi="10.5281/zenodo.7")
    assert fetch(file, tmp_path / "home", mirror=str(tmp_path)).read_bytes() == b"two cell types"
    assert zenodo.requests == []


def test_a_repository_that_does_not_answer_is_told(tmp_path, zenodo):
    zenodo.content = b"{}"
    with serving() as server:
        file = replace(server.file, doi="10.5281/zenodo.7")
        with pytest.warns(UserWarning, match=r"zenodo\.7 does not tell the digest of data\.gz"):
            assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_damaged_copy_is_named_and_replaced(tmp_path):
    with serving() as server:
        path = fetch(server.file, tmp_path)
        path.write_bytes(CONTENT[:-1] + b"x")
        with pytest.raises(DataError, match=r"data\.gz has the wrong digest.*--refetch"):
            verified(path)
        assert fetch(server.file, tmp_path).read_bytes() == CONTENT
    assert verified(path) == path


def test_a_download_that_differs_from_the_first_is_not_kept(tmp_path):
    with serving() as server:
        path = fetch(server.file, tmp_path)
        path.unlink()
        server.content = CONTENT + b"more"
        with pytest.raises(DataError, match="wrong digest"):
            fetch(server.file, tmp_path)
        assert left(tmp_path) == ["digests.json"]
        assert fetch(server.file, tmp_path, refetch=True).read_bytes() == CONTENT + b"more"


def test_a_full_disk_is_noticed_before(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * 2**20))
    size = 7 * 2**20
    message = r"is full: 5 MiB are free and 7 MiB are needed"
    with serving(b"\0" * size) as server, pytest.raises(DataError, match=message):
        fetch(server.file, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("place", ["data.gz", "roadmap/data.gz", "other/data.gz"])
def test_mirror_folder(tmp_path, place):
    source = tmp_path / "mirror" / place
    source.parent.mkdir(parents=True)
    source.write_bytes(CONTENT)
    home, mirror = tmp_path / "home", str(tmp_path / "mirror")
    assert mirror_holds(NOWHERE, mirror)
    path = fetch(NOWHERE, home, mirror=mirror)
    assert path.read_bytes() == CONTENT
    assert fetch(NOWHERE, home) == path
    assert fetch(NOWHERE, home, mirror=mirror, in_place=True) == source


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_that_was_replaced_in_a_mirror_folder_is_noticed(tmp_path, in_place):
    source = tmp_path / "mirror" / "data.gz"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    given = {"home": tmp_path / "home", "mirror": str(source.parent), "in_place": in_place}
    path = fetch(NOWHERE, **given)
    assert path == fetch(NOWHERE, **given)
    assert path == (source if in_place else given["home"] / "downloads" / "data.gz")
    source.write_bytes(CONTENT + b"x")
    for _ in range(2):
        with pytest.raises(DataError, match=r"wrong digest.*--refetch"):
            fetch(NOWHERE, **given)
    assert in_place or path.read_bytes() == CONTENT
    assert fetch(NOWHERE, **given, refetch=True).read_bytes() == CONTENT + b"x"


def test_mirror_folder_that_lacks_the_file(tmp_path):
    with pytest.raises(DataError, match=r"has no data\.gz"):
        fetch(NOWHERE, tmp_path / "home", mirror=str(tmp_path))
    with pytest.raises(DataError, match="neither a folder nor"):
        fetch(NOWHERE, tmp_path / "home", mirror=str(tmp_path / "none"))
    assert not mirror_holds(NOWHERE, str(tmp_path))
    assert not mirror_holds(NOWHERE, None)


def test_mirror_folder_with_an_html_page(tmp_path):
    (tmp_path / "data.gz").write_bytes(b"<html></html>")
    for in_place in (True, False):
        with pytest.raises(DataError, match="HTML page"):
            fetch(NOWHERE, tmp_path / "home", mirror=str(tmp_path), in_place=in_place)


def test_mirror_address(tmp_path):
    with serving() as server:
        path = fetch(NOWHERE, tmp_path, mirror=server.base + "/")
        assert server.requests[0] == "/files/roadmap/data.gz"
        assert mirror_holds(NOWHERE, server.base)
        below = server.base.removesuffix("/files")
        assert not mirror_holds(NOWHERE, below)
        with pytest.raises(DataError, match="HTTP 404"):
            fetch(NOWHERE, tmp_path / "second", mirror=below)
    assert path.read_bytes() == CONTENT


def test_an_upstream_file_is_not_taken_for_a_mirrors(tmp_path):
    with serving() as server:
        fetch(RemoteFile("data.gz", "http://127.0.0.1:9/never", "x"), tmp_path, mirror=server.base)
        server.content = CONTENT + b"more"
        upstream = RemoteFile("data.gz", f"{server.base}/upstream/data.gz", "x")
        assert fetch(upstream, tmp_path).read_bytes() == CONTENT
        assert fetch(upstream, tmp_path, any_source=False).read_bytes() == CONTENT + b"more"


def raw(code, body=b"", **headers):
    """An answer as it goes over the line; None for a header leaves it out."""
    given = {"Content-Length": str(len(body)), "Connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {code} Whatever", *(f"{n}: {v}" for n, v in given.items() if v is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


@contextmanager
def answering(answers):
    """A server that gives these bytes, one after the other, and the last for ever."""
    answers = list(answers)

    class Handler(StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answers.pop(0) if len(answers) > 1 else answers[0])

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield answers, f"http://127.0.0.1:{server.server_address[1]}/data.gz"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ODD_ANSWERS = {
    "204": raw(204),
    "206 unasked": raw(206, CONTENT[:9000], Content_Range=f"bytes 0-8999/{len(CONTENT)}"),
    "206 unasked, of what was sent": raw(206, CONTENT[:9000], Content_Range="bytes 0-8999/9000"),
    "299": raw(299, CONTENT),
    "302 without a target": raw(302, CONTENT),
    "302 to itself": raw(302, Location="/data.gz"),
    "302 to no address": raw(302, Location="http://[::1/x"),
    "304": raw(304),
    "cut, length not said": raw(200, CONTENT[:9000], Content_Length=None),
    "cut, length of the rest said": raw(200, CONTENT[:9000]),
    "empty": raw(200),
    "no gzip file": raw(200, b'{"message": "try later"}', Content_Type="application/json"),
    "length without sense": raw(200, CONTENT[:9000], Content_Length="abc"),
    "length in superscript": raw(200, CONTENT[:9000], Content_Length="9\u00b2"),
    "length beyond all numbers": raw(200, CONTENT, Content_Length="9" * 400),
    "two lengths": raw(200, CONTENT, Content_Length="9, 10"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("odd", ODD_ANSWERS)
def test_an_odd_first_answer_is_not_kept_and_the_same_command_mends_it(tmp_path, odd):
    with answering([ODD_ANSWERS[odd]]) as (answers, address):
        file = RemoteFile("data.gz", address, "roadmap")
        with pytest.raises(DataError, match="data"):
            module.fetch(file, tmp_path)
        assert not [name for name in left(tmp_path) if not name.endswith(".part")]
        answers[:] = [raw(200, CONTENT)]
        assert module.fetch(file, tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["data.gz", "digests.json"]


def test_the_rest_that_begins_elsewhere_is_not_put_behind(tmp_path):
    whole, cut = f"bytes 9000-{len(CONTENT) - 1}/{len(CONTENT)}", str(len(CONTENT))
    lying = raw(206, CONTENT[100:], Content_Range=whole.replace("9000", "100"))
    first = raw(200, CONTENT[:9000], Content_Length=cut, ETag='"one"')
    with answering([first, lying.replace(b"\r\n\r\n", b'\r\nETag: "one"\r\n\r\n', 1),
                    raw(200, CONTENT)]) as (_, address):  # fmt: skip
        file = RemoteFile("data.gz", address, "roadmap")
        assert module.fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_file_that_is_another_is_not_noted(tmp_path):
    def check(path):
        if path.read_bytes() != CONTENT:
            raise DataError("no table")

    other = tmp_path / "data.gz"
    other.write_bytes(gzip.compress(b"{}"))
    for in_place in (True, False):
        given = {"mirror": str(tmp_path), "in_place": in_place, "check": check}
        with pytest.raises(DataError, match=r"data\.gz is not the file that it should be"):
            module.fetch(NOWHERE, tmp_path / "home", **given)
        assert left(tmp_path / "home") == []
    other.write_bytes(CONTENT)
    for in_place in (True, False):
        given = {"mirror": str(tmp_path), "in_place": in_place, "check": check}
        module.fetch(NOWHERE, tmp_path / "home", **given)


def test_refetch_keeps_the_older_copy_until_the_new_one_is_there(tmp_path):
    with serving() as server:
        path = module.fetch(server.file, tmp_path)
        server.status = [403]
        with pytest.raises(DataError, match="HTTP 403"):
            module.fetch(server.file, tmp_path, refetch=True)
        assert verified(path).read_bytes() == CONTENT
        server.content = gzip.compress(b"corrected")
        assert module.fetch(server.file, tmp_path).read_bytes() == CONTENT
        assert module.fetch(server.file, tmp_path, refetch=True).read_bytes() == server.content
    assert verified(path) == path


def test_two_downloads_at_once_are_one(tmp_path):
    with serving() as server, ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: module.fetch(server.file, tmp_path), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert len(server.requests) == 1
    assert left(tmp_path) == ["data.gz", "digests.json"]


@pytest.mark.parametrize("mirror", ["~nobody-of-that-name/x", "x" * 300, "http://[::1", "ftp://a"])
def test_a_mirror_that_cannot_be(tmp_path, mirror):
    with pytest.raises(DataError):
        fetch(NOWHERE, tmp_path, mirror=mirror)
    with suppress(DataError):
        assert not mirror_holds(NOWHERE, mirror)


def test_unreadable_notes(tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "digests.json").write_text("[")
    with serving() as server, pytest.raises(DataError, match=r"digests\.json is unreadable"):
        fetch(server.file, tmp_path)
