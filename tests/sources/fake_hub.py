"""A hub on this machine that serves one model as huggingface.co does, and can go wrong as networks do."""

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

COMMIT = "a" * 39 + "1"
NAME = "owner/model"


def git_digest(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Hub:
    """What is served, what was asked of it, and what goes wrong."""

    files: dict[str, bytes]
    address: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    cut_off: set[str] = field(default_factory=set)
    """Files whose first download ends in the middle."""
    stalled: set[str] = field(default_factory=set)
    """Files whose first download stops in the middle without an end; then ``halfway`` is set."""
    halfway: threading.Event = field(default_factory=threading.Event)
    wrong: set[str] = field(default_factory=set)
    """Files of which other bytes arrive, as many as there should be."""

    def got(self, name: str) -> list[str]:
        """Return the ranges in which a file was fetched, empty ones where it was whole."""
        return [asked[2] for asked in self.asked if asked[0] == "GET" and asked[1].endswith(f"/{name}")]


def _lfs(name: str) -> bool:
    return name.endswith(".safetensors")


def _etag(name: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if _lfs(name) else git_digest(content)


def _listed(name: str, content: bytes) -> dict[str, object]:
    told: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": git_digest(content)}
    large = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return {**told, "lfs": {**large, "sha256": large["oid"]}} if _lfs(name) else told


class _Answers(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        file = re.fullmatch(rf"/{NAME}/resolve/(?:main|{COMMIT})/(.+)", path)
        if file and file[1] in self.hub.files:
            self._file(file[1], body)
        elif path in (f"/api/models/{NAME}/revision/main", f"/api/models/{NAME}/revision/{COMMIT}"):
            listed = [
                {**_listed(*one), "rfilename": one[0], "blobId": git_digest(one[1])}
                for one in self.hub.files.items()
            ]
            self._json({"id": NAME, "sha": COMMIT, "siblings": listed})
        elif path == f"/api/models/{NAME}/tree/{COMMIT}":
            self._json([_listed(*one) for one in self.hub.files.items()])
        else:
            self._send(404, b'{"error": "not found"}', {"X-Error-Code": "RepoNotFound"})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, body: bool) -> None:
        content = self.hub.files[name]
        told = {"ETag": f'"{_etag(name, content)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if name in self.hub.wrong:
            content = bytes([content[0] ^ 1]) + content[1:]
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["", "0"])[1])
        if start:
            told["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if start >= len(content):
            self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        cut, stalls = (body and name in one for one in (self.hub.cut_off, self.hub.stalled))
        self.send_response(206 if start else 200)
        for key, value in {**told, "Content-Length": str(len(content) - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if stalls:
            self.hub.stalled.discard(name)
            self.wfile.write(content[start : len(content) // 2])
            self.wfile.flush()
            self.hub.halfway.set()
            self.rfile.read(1)  # until whoever asked is gone
            self.close_connection = True
        elif cut:
            self.hub.cut_off.discard(name)
            self.wfile.write(content[start : len(content) // 2])
            self.close_connection = True
        elif body:
            self.wfile.write(content[start:])

    def _send(self, status: int, content: bytes, told: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**told, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def served(folder: Path) -> Iterator[Hub]:
    """Yield a hub that serves a folder's files while the block lasts."""
    hub = Hub({one.name: one.read_bytes() for one in sorted(folder.iterdir()) if one.is_file()})
    answers = type("Answers", (_Answers,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
