"""What the checks of the installed programs share: running one as a person would, in a home of its own."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from checks import MESSAGES, fake

# Where tests/clients/programs installed them.
INSTALLED = Path(os.environ["PROGRAMS"])
NODE_PROGRAMS = INSTALLED / "programs/node_modules/.bin"

# Seconds after which a program hangs. They need a few.
LIMIT = 120

# Nobody listens there: what is not for loopback fails at once, on every machine.
NOWHERE = "http://127.0.0.1:9"


class Home:
    """A home directory with a working directory `project` in it."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(dir=os.environ["HOME"]))
        self.project = self.path / "project"
        self.project.mkdir()

    def write(self, name, text):
        """Writes a file below the home and returns its path."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def proxyctl(self, *words, **more):
        """Runs proxyctl, told which daemon is meant, and returns what it or the program in its place wrote to stdout."""
        return self.run(os.environ["PROXYCTL"], "--socket", os.environ["CONTROL_SOCKET"], *words, **more)

    def run(self, *command, stdin="", code=0, **environment):
        """Runs a program to its end in the project directory and returns what it wrote to stdout.

        Raises if it takes too long or its exit code is another one than `code` (None: any but 0).
        """
        fresh = {
            "PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1",
            "XDG_CONFIG_HOME": str(self.path / ".config"), "XDG_DATA_HOME": str(self.path / ".local/share"),
            "XDG_STATE_HOME": str(self.path / ".local/state"), "XDG_CACHE_HOME": str(self.path / ".cache"),
            "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
        }
        fresh |= {name: NOWHERE for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
        process = subprocess.Popen(
            [str(word) for word in command], cwd=self.project, env=fresh | environment, text=True,
            start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(stdin, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            # Its own session, so this ends what it started and nothing else.
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"it did not end within {LIMIT} s; {tail(out, err)}") from None
        fits = process.returncode != 0 if code is None else process.returncode == code
        if not fits:
            raise AssertionError(f"it ended with code {process.returncode}; {tail(out, err)}")
        return out


def tail(out, err):
    return f"stdout ends {out[-600:]!r}, stderr ends {err[-600:]!r}"


def json_lines(text):
    """The objects of an output of one JSON object a line."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def upstream_calls():
    """The model requests that reached the upstream since the record was emptied, in order."""
    return fake("GET", f"/fake/requests?path={MESSAGES}")


def forget_upstream_calls():
    fake("DELETE", "/fake/requests")


def bodies(calls=None):
    return [json.loads(call["body"]) for call in (upstream_calls() if calls is None else calls)]


def blocks(body, kind):
    """The blocks of a type in all messages of a request."""
    contents = [message["content"] for message in body["messages"]]
    return [block for content in contents if isinstance(content, list) for block in content if block["type"] == kind]


def result_texts(body):
    """The texts of all tool results in a request."""
    results = [block["content"] for block in blocks(body, "tool_result")]
    return [r if isinstance(r, str) else "".join(part.get("text", "") for part in r) for r in results]
