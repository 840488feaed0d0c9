"""Tries what a newcomer's machine does to the set-up: interruptions, two runs at once, no network,
no rights, nothing missing.

run.py

The engine's three stages are stand-ins that take no time; everything around them is the script's
own. The package manager is a stand-in too, so nothing is installed. Each fault is a line; the last
line counts.
"""

import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENGINE = ROOT / "scripts" / "deps-engine"
SYSTEM = ROOT / "scripts" / "deps-system"
failures = []
checks = 0

# Written before the part of deps-engine that starts it.
STAND_INS = '''
def stand_in(name):
    def build(plan, folder):
        out = folder / "out"
        out.mkdir()
        (out / "half").write_text(name)
        with open(os.environ["SETUP_LOG"], "a") as log:
            log.write(name + "\\n")
        time.sleep(float(os.environ["SETUP_SECONDS"]))
        return out
    return build


build_base, build_shim, build_models = map(stand_in, ("base", "shim", "models"))


'''
START = 'if __name__ == "__main__":'


def check(holds, text):
    global checks
    checks += 1
    if not holds:
        failures.append(text)


class Engine:
    """deps-engine over an empty cache folder, with a space in its path."""

    def __init__(self, folder, seconds, is_real=False):
        self.cache = folder / "a cache"
        self.root = self.cache / "darkbloom" / "engine"
        self.log = folder / "stages"
        self.log.touch()
        source = ENGINE.read_text()
        if not is_real:
            source = source.replace(START, STAND_INS + START)
        self.script = folder / "deps-engine"
        self.script.write_text(source)
        self.environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(self.cache),
            "SETUP_LOG": str(self.log),
            "SETUP_SECONDS": str(seconds),
        }

    def start(self, *words, **environment):
        # The copy believes that it is the original, and finds its neighbours.
        run = "exec(compile(open({!r}).read(), {!r}, 'exec'), {})".format(
            str(self.script), str(ENGINE), {"__name__": "__main__", "__file__": str(ENGINE)}
        )
        return subprocess.Popen(
            [sys.executable, "-c", run, *words],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Who was started in the background passes on that Ctrl-C means nothing.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *words, **environment):
        process = self.start(*words, **environment)
        text = process.communicate(timeout=60)[0]
        return process.returncode, text

    @property
    def stages(self):
        return self.log.read_text().split()

    def left(self):
        """What lies in the cache beside what every run keeps."""
        kept = (".lock", "downloads", "venv")
        return sorted(p.name for p in self.root.glob("*") if p.name not in kept)

    def wait_for(self, stage):
        end = time.monotonic() + 30
        while stage not in self.stages and time.monotonic() < end:
            time.sleep(0.02)


def interrupted(folder):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        engine = Engine(pathlib.Path(tempfile.mkdtemp(dir=folder)), seconds=60)
        process = engine.start()
        engine.wait_for("base")
        process.send_signal(number)
        text = process.communicate(timeout=30)[0]
        check(process.returncode == code, f"{number.name} ends it with {process.returncode}: {text}")
        check(engine.left() == [], f"{number.name} leaves {engine.left()}")
        check(engine.run("--check")[0] == 1, f"after {number.name} nothing counts as built")

    # Nobody can clean up after this one but the next run.
    engine = Engine(pathlib.Path(tempfile.mkdtemp(dir=folder)), seconds=60)
    process = engine.start()
    engine.wait_for("base")
    process.kill()
    process.communicate()
    check(engine.run("--check")[0] == 1, "after SIGKILL nothing counts as built")
    code, text = engine.run(SETUP_SECONDS="0")
    check(code == 0, f"a run after one that was killed: {text}")
    check(not list(engine.root.glob(".making-*")), "it removes what the killed one left")


def together(folder):
    engine = Engine(folder, seconds=0.5)
    both = [engine.start() for _ in range(2)]
    texts = [process.communicate(timeout=60)[0] for process in both]
    check([p.returncode for p in both] == [0, 0], f"two runs at once: {texts}")
    check(engine.stages == ["base", "shim", "models"], f"together they build {engine.stages}")
    check(any("another run is building" in text for text in texts), f"one says that it waits: {texts}")
    check(os.path.exists(engine.root / "current"), "`current` leads to what was built")
    code, text = engine.run()
    check(code == 0 and text == "" and len(engine.stages) == 3, f"a further run is silent: {text}")
    check(engine.run("--check")[0] == 0, "--check finds all that is needed")


def offline(folder):
    engine = Engine(folder, seconds=0, is_real=True)
    code, text = engine.run(
        PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0", PIP_CONFIG_FILE=os.devnull,
        PIP_EXTRA_INDEX_URL="", PIP_FIND_LINKS="", PIP_NO_INDEX="",
    )
    check(code == 1 and "network" in text, f"without a network it ends with {code}: {text}")
    check("Traceback" not in text, f"and with a sentence: {text}")
    check(engine.left() == [] and not list(engine.root.glob("downloads/*")), "and leaves nothing")


class System:
    """deps-system with a package manager that only writes down what it is asked."""

    def __init__(self, folder, tools, **scripts):
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.log = folder / "log"
        for tool in tools:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for name, text in scripts.items():
            path = self.bin / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)

    def run(self, path=None):
        done = subprocess.run(
            ["bash", SYSTEM], env={"PATH": path or str(self.bin), "LOG": str(self.log)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )
        asked = self.log.read_text() if self.log.exists() else ""
        return done.returncode, done.stdout + done.stderr, asked


def libraries(folder):
    # Without pkg-config no library can be seen.
    tools = ("bash", "env", "uname", "mktemp", "rm", "tail", "mkdir", "tee")
    manager = 'echo "$*" >>"$LOG"'
    user, root = "echo 1000", "echo 0"

    code, text, asked = System(folder / "user", tools, id=user, apt_get=manager).run()
    check(code == 1 and asked == "", f"who has no rights installs nothing: {code} {asked}")
    command = "sudo apt-get update && sudo apt-get install -y --no-install-recommends pkg-config"
    check(command in text and "libuv1-dev" in text, f"and reads the command to type: {text}")

    may = 'shift; exec "$@"'
    code, text, asked = System(
        folder / "sudo", tools, id=user, apt_get=manager, sudo=may, true=":"
    ).run()
    check(code == 0 and " install " in asked, f"with sudo it installs: {code} {text} {asked}")
    code, text, asked = System(folder / "root", tools, id=root, apt_get=manager).run()
    check(code == 0 and " install " in asked, f"as root it installs: {code} {text} {asked}")

    broken = manager + '; echo "E: no such package" >&2; exit 100'
    code, text, asked = System(folder / "broken", tools, id=root, apt_get=broken).run()
    check(code == 1 and "no such package" in text, f"a failure is shown: {code} {text}")
    check(asked.count("update") == 1, f"after the lists were fetched once: {asked}")

    code, text, asked = System(folder / "other", tools, id=root).run()
    check(code == 1 and "libuv1-dev" in text, f"a system without apt-get: {code} {text}")

    here = System(folder / "here", (), apt_get=manager)
    code, text, asked = here.run(f"{here.bin}:{os.environ['PATH']}")
    check((code, text, asked) == (0, "", ""), f"with all libraries it is silent: {text} {asked}")


def main():
    with tempfile.TemporaryDirectory(prefix="darkbloom-setup-") as name:
        folder = pathlib.Path(name)
        for part in (interrupted, together, offline):
            (folder / part.__name__).mkdir()
            part(folder / part.__name__)
        if platform.system() == "Linux":
            libraries(folder / "libraries")
    for failure in failures:
        print(failure)
    print(f"setup: {checks} checks, {len(failures)} faults")
    return 1 if failures else 0


sys.exit(main())
