"""The first ten minutes of a newcomer: clone, `make run`, an answer, Ctrl-C, again without a network,
`make test`; prints how long each took.

run.py [--skip-tests]

As root it makes a user for that, who has neither rights nor caches, and takes it away again; else it
runs as whoever calls it, with an empty home folder. The paths of home and clone have spaces in them. System
libraries must be there; Python packages for the one client are those of `scripts/deps-test`.
"""

import argparse
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
USER = "darkbloom-newcomer"
READY = "darkbloom is up"
failures = []


def check(holds, text):
    print(f"{'ok   ' if holds else 'FAULT'} {text}", flush=True)
    if not holds:
        failures.append(text)


def figure(name, start):
    print(f"      {name}: {time.monotonic() - start:.1f} s", flush=True)


@contextlib.contextmanager
def newcomer():
    """A user without rights and an empty home; gives both ids and the home."""
    with tempfile.TemporaryDirectory(prefix="a newcomer ") as folder:
        home = pathlib.Path(folder) / "home"
        home.mkdir()
        if os.geteuid() != 0:
            yield os.getuid(), os.getgid(), home
            return
        subprocess.run(["useradd", "--no-create-home", "--home-dir", home, USER], check=True)
        try:
            entry = pwd.getpwnam(USER)
            os.chmod(folder, 0o755)
            os.chown(home, entry.pw_uid, entry.pw_gid)
            yield entry.pw_uid, entry.pw_gid, home
        finally:
            subprocess.run(["pkill", "-KILL", "-u", str(entry.pw_uid)])
            time.sleep(1)
            subprocess.run(["userdel", USER], check=True)


class Newcomer:
    def __init__(self, uid, gid, home):
        self.uid, self.gid, self.home = uid, gid, home
        self.clone = home / "a folder" / "darkbloom"
        known = ("PATH", "LANG", "TERM")
        self.environment = {
            name: value for name, value in os.environ.items()
            if name in known or name.startswith("PIP_")
        }
        self.environment |= {"HOME": str(home), "USER": USER}

    def start(self, *command, has_network=True, **options):
        """Starts a command of the user's in a process group of its own, as a terminal does."""
        words = [str(word) for word in command]
        if os.geteuid() == 0:
            words = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups", *words]
        if not has_network:
            # Its own loopback and nothing else.
            rights = [] if os.geteuid() == 0 else ["--map-root-user"]
            words = ["unshare", "--net", *rights, "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                     *words]
        return subprocess.Popen(words, env=self.environment, start_new_session=True,
                                stdin=subprocess.DEVNULL, **options)

    def run(self, *command, **options):
        process = self.start(*command, stdout=subprocess.PIPE, text=True, **options)
        output, _ = process.communicate(timeout=1800)
        return process.returncode, output

    def left_over(self):
        """Processes that work in the clone or were started from it."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and str(self.clone) in os.readlink(entry / "exe"):
                    found.append(entry.name)
        return found


class Network:
    """`make run`, until it says that it is ready."""

    def __init__(self, person, has_network):
        self.log = person.home / "run.log"
        with open(self.log, "w") as log:
            self.process = person.start(
                "make", "-C", person.clone, "run", has_network=has_network, stdout=log, stderr=subprocess.STDOUT)

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if READY in self.log.read_text():
                return True
            time.sleep(0.1)
        print(self.log.read_text()[-3000:])
        return False

    def interrupt(self):
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return False
        return True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def settings(person):
    """What `darkbloom env` prints: base URL and key."""
    _, output = person.run(person.clone / ".build/release/darkbloom", "env")
    lines = [line.removeprefix("export ").split("=", 1) for line in output.splitlines()
             if "=" in line]
    return {name: value.strip("'\"") for name, value in lines}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--skip-tests", action="store_true")
    arguments = parser.parse_args()
    python = ROOT / ".build/test-python/bin/python"
    with newcomer() as (uid, gid, home):
        person = Newcomer(uid, gid, home)
        person.clone.parent.mkdir()
        if os.geteuid() == 0:
            os.chown(person.clone.parent, uid, gid)
        # What is committed, as everybody gets it.
        bundle = home / "darkbloom.bundle"
        subprocess.run(["git", "-C", ROOT, "bundle", "create", "-q", bundle, "HEAD"], check=True)
        os.chmod(bundle, 0o644)
        start = time.monotonic()
        status, _ = person.run("git", "-c", "advice.detachedHead=false", "clone", "-q", bundle, person.clone)
        check(status == 0, "the clone")
        # Somebody may use the usual port on this machine.
        person.environment["DARKBLOOM_GATEWAY_PORT"] = str(free_port())
        network = Network(person, has_network=True)
        if not network.wait(1500):
            sys.exit("FAULT `make run` in a fresh clone did not say that the network is ready")
        print("ok    `make run` in a fresh clone says that the network is ready")
        figure("git clone to a ready network, nothing cached", start)
        for line in network.log.read_text().splitlines():
            if line.startswith(("build: ", "deps-engine: ")) and line.endswith(" s"):
                print(f"        {line}")
        known = settings(person)
        start = time.monotonic()
        answer = subprocess.run(
            [python, ROOT / "Tests/Peers/openai_client.py", known.get("OPENAI_BASE_URL", ""),
             known.get("OPENAI_API_KEY", ""), model(python, known)])
        check(answer.returncode == 0, "the openai package gets its answers")
        figure("its answers", start)
        check(network.interrupt(), "Ctrl-C ends it")
        check(person.left_over() == [], "and leaves no process")

        start = time.monotonic()
        again = Network(person, has_network=False)
        check(again.wait(60), "a second start without a network")
        figure("second start, no network", start)
        check(again.interrupt(), "Ctrl-C ends it")
        check(person.left_over() == [], "and leaves no process")

        if not arguments.skip_tests:
            del person.environment["DARKBLOOM_GATEWAY_PORT"]
            start = time.monotonic()
            tests = person.start("make", "-C", person.clone, "test", stderr=subprocess.STDOUT,
                                 stdout=open(home / "test.log", "w"))
            check(tests.wait(3000) == 0, "`make test`")
            figure("make test", start)
            print("        " + (home / "test.log").read_text().splitlines()[-1])
            if tests.returncode != 0:
                shutil.copy(home / "test.log", ROOT / ".build/fresh-test.log")
                print("        see .build/fresh-test.log")
    print(f"{len(failures)} faults")
    sys.exit(1 if failures else 0)


def model(python, known):
    """The first chat model that the gateway lists."""
    script = ("import openai, sys; print(openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2])"
              ".models.list().data[0].id)")
    result = subprocess.run([python, "-c", script, known.get("OPENAI_BASE_URL", ""),
                             known.get("OPENAI_API_KEY", "")], capture_output=True, text=True)
    return result.stdout.strip()


main()
