"""A release feed on this machine, which says what a test wants."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LINK = "https://releases.example/v9.9.9"


class Feed:
    """``answer`` is what it gives; ``asked`` is who came."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: object = {"tag_name": "v9.9.9", "html_url": LINK}
        self.asked: list[str] = []
        feed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                feed.asked.append(self.headers["User-Agent"])
                self.send_response(feed.status)
                self.end_headers()
                raw = feed.answer
                self.wfile.write(raw if isinstance(raw, bytes) else json.dumps(raw).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/latest"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
