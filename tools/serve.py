"""Show the built book in a browser of this machine: python -m tools.serve PORT."""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tools.errors import BuildError, exit_code

ROOT = Path(__file__).resolve().parents[1]


def server(pages: Path, port: str) -> ThreadingHTTPServer:
    """Return a server of the pages, bound to a port of this machine alone; 0 takes a free one.

    BuildError if no book is built, or the port is no number, taken or not allowed.
    """
    if not (pages / "index.html").is_file():
        raise BuildError("no book built yet: make book")
    handler = partial(SimpleHTTPRequestHandler, directory=str(pages))
    try:
        return ThreadingHTTPServer(("127.0.0.1", int(port)), handler)
    except (OSError, OverflowError, ValueError) as error:
        raise BuildError(
            f"port {port} cannot be had ({error}); name another one: make serve PORT=8001"
        ) from error


def main() -> None:
    """Serve the pages until interrupted."""
    with server(ROOT / "_build" / "html", (sys.argv[1:] or ["8000"])[0]) as serving:
        print(f"the book is at http://localhost:{serving.server_port} (ctrl-C ends)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    sys.exit(exit_code(main))
