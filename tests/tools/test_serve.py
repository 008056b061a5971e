"""The built book is shown, and a port that cannot be had is named."""

import socket

import pytest

from tools.errors import BuildError
from tools.serve import server


@pytest.fixture
def pages(tmp_path):
    (tmp_path / "index.html").write_text("the book")
    return tmp_path


def test_a_taken_port_is_named(pages):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with pytest.raises(BuildError, match=rf"port {port} cannot be had.*make serve PORT="):
            server(pages, port)


@pytest.mark.parametrize("port", ["", "web", "-1", "70000"])
def test_what_is_no_port_is_refused(pages, port):
    with pytest.raises(BuildError, match="make serve PORT="):
        server(pages, port)


def test_without_a_book_there_is_nothing_to_show(tmp_path):
    with pytest.raises(BuildError, match="make book"):
        server(tmp_path, "0")
