"""What a web page can do to the gateway of the device on which it is looked at.

browser.py PROGRAMS

Chromium, without a screen, opens pages of three origins: one that the gateway's settings allow, a stranger's, and one
whose name was rebound to the gateway itself. Each page tries what pages can try, with the right API key in its hands, and tells its own
server what it saw. The allowed one must get its answer, so that the others' failure means something.
"""

import http.server
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PROGRAMS = pathlib.Path(sys.argv[1]).resolve()

PAGE = """<!doctype html><body><script>
const gateway = "GATEWAY", key = "KEY", seen = {};
const attempt = async (name, work) => {
  try { seen[name] = String(await work()); } catch (error) { seen[name] = "blocked"; }
};
const bearer = { Authorization: "Bearer " + key };
(async () => {
  await attempt("read", async () => (await fetch(gateway + "/v1/models", { headers: bearer })).status);
  await attempt("plain", async () => (await fetch(gateway + "/v1/models")).status);
  await attempt("health", async () => (await fetch(gateway + "/health")).status);
  await attempt("chat", async () => (await fetch(gateway + "/v1/chat/completions", {
    method: "POST", headers: { ...bearer, "Content-Type": "application/json" }, body: "{}" })).status);
  // A form's request goes out without asking; what counts is that nothing was done.
  await attempt("form", async () => (await fetch(gateway + "/v1/chat/completions", {
    method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" }, body: "{}" })).type);
  await attempt("script", () => new Promise((good, bad) => {
    const tag = document.createElement("script");
    tag.src = gateway + "/v1/models"; tag.onload = () => good("loaded"); tag.onerror = bad;
    document.head.append(tag); }));
  await attempt("frame", () => new Promise((good) => {
    const tag = document.createElement("iframe");
    tag.src = gateway + "/health";
    tag.onload = () => {
      try { good(tag.contentDocument.body.innerText); } catch { good("blocked"); } };
    document.body.append(tag); }));
  await attempt("socket", () => new Promise((good, bad) => {
    const tag = new WebSocket(gateway.replace("http", "ws") + "/v1/models");
    tag.onopen = () => good("open"); tag.onerror = bad; }));
  await fetch("/said", { method: "POST", body: JSON.stringify(seen) });
})();
</script>"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(what, ready):
    for _ in range(600):
        if value := ready():
            return value
        time.sleep(0.1)
    sys.exit(f"browser: {what} was not ready within a minute")


class Pages(http.server.BaseHTTPRequestHandler):
    """Gives the page to everybody, and keeps what it tells."""

    page, said = "", queue.Queue()

    def do_GET(self):
        self.answer(self.page.encode())

    def do_POST(self):
        self.said.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(b"")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def chromium(folder, *arguments):
    return subprocess.Popen(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/{time.time_ns()}",
         "--host-resolver-rules=MAP *.test 127.0.0.1", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)


def attempts(folder, url):
    """What the page of an origin saw."""
    browser = chromium(folder, "--remote-debugging-port=0", url)
    try:
        return Pages.said.get(timeout=60)
    except queue.Empty:
        sys.exit(f"browser: the page of {url} did not come to its end within a minute")
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()


def text(folder, url):
    return chromium(folder, "--dump-dom", url).communicate(timeout=60)[0]


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="darkbloom-browser-"))
    port, pages = free_port(), free_port()
    allowed, stranger = f"http://allowed.test:{pages}", f"http://stranger.test:{pages}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DARKBLOOM")}
    environment["DARKBLOOM_GATEWAY_ORIGINS"] = allowed
    children = []
    failures = []

    def start(name, *arguments):
        log = open(folder / f"{name}.log", "w")
        children.append(subprocess.Popen([PROGRAMS / name, *map(str, arguments)],
                                         stdout=log, stderr=log, env=environment))

    def expect(what, value, good):
        if value not in good:
            failures.append(f"{what}: {value}, expected {' or '.join(good)}")

    try:
        start("darkbloom-coordinator", "serve", "--local", "--data", folder / "c", "--listen", "127.0.0.1:0")
        wait("the coordinator", (folder / "c/local.json").exists)
        start("darkbloom", "gateway", "--data", folder / "g", "--network", folder / "c/local.json", "--port", port)
        token = folder / "g/gateway-token"
        key = wait("the gateway", lambda: token.exists() and token.read_text().strip())
        Pages.page = PAGE.replace("GATEWAY", f"http://127.0.0.1:{port}").replace("KEY", key)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", pages), Pages)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        seen = attempts(folder, allowed)
        expect("an allowed page reads the models", seen["read"], ["200"])
        expect("an allowed page without the key", seen["plain"], ["401"])
        expect("an allowed page's empty question", seen["chat"], ["400"])

        seen = attempts(folder, stranger)
        for name in ("read", "plain", "health", "chat", "script", "frame", "socket"):
            expect(f"a stranger's page, {name}", seen[name], ["blocked"])
        # What a page may send blindly reached the gateway and was refused before anything was read.
        expect("a stranger's page, form", seen["form"], ["opaque"])

        # A name of the page's owner that now leads to the gateway: the same origin, for the browser.
        for path in ("/v1/models", "/health", "/metrics"):
            said = text(folder, f"http://rebound.test:{port}{path}")
            if "host_not_allowed" not in said:
                failures.append(f"a rebound name was let in at {path}")
    finally:
        for child in reversed(children):
            child.send_signal(signal.SIGTERM)
        for child in children:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
    for failure in failures:
        print(f"browser: {failure}")
    print(f"browser: {len(failures)} faults; {subprocess.getoutput('chromium --headless --version').splitlines()[-1]}")
    subprocess.run(["rm", "-rf", folder])
    return 1 if failures else 0


sys.exit(main())
