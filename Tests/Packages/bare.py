"""Installs the packages on a bare Debian and uses them as a new user would; prints what it saw.

bare.py [--suite NAME] [PACKAGES]     .build/packages unless given; needs root and the network

A minimal system is fetched once into .build/bare; each run sees it under a layer in memory, in
namespaces of its own, which take everything it started with them when they end. After the
installation the programs have no network but a loopback of their own.
"""

import argparse
import contextlib
import ctypes
import encodings.idna  # noqa: F401  used later, when this machine's own files are out of sight
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / ".build" / "bare"
USER = "newcomer"
failures = []
figures = {}


def check(holds, text):
    print(f"{'ok   ' if holds else 'FAULT'} {text}", flush=True)
    if not holds:
        failures.append(text)


def figure(name, seconds):
    figures[name] = round(seconds, 1)
    print(f"      {name}: {seconds:.1f} s", flush=True)


# The system


def fetch(suite):
    """A minimal Debian, once; without its compilers and tools."""
    base = WORK / suite
    if not base.is_dir():
        if not shutil.which("debootstrap"):
            subprocess.run([ROOT / "scripts/deps-system", "--install", "debootstrap"], check=True)
        making = WORK / f".making-{suite}"
        shutil.rmtree(making, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", suite, making], check=True,
                       stdout=subprocess.DEVNULL)
        making.rename(base)
    return base


def enter(arguments):
    """Starts this program again as the first process of namespaces of its own."""
    fetch(arguments.suite)
    command = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork",
               "--kill-child", sys.executable, __file__, "--inside", "--suite", arguments.suite,
               arguments.packages]
    sys.exit(subprocess.run(command).returncode)


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def assemble(base):
    """Turns this process's view into the bare system: a layer in memory over what was fetched."""
    system, layer = WORK / "system", WORK / "layer"
    for folder in (system, layer):
        folder.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", "size=3g", "layer", layer)
    for name in ("upper", "work"):
        (layer / name).mkdir()
    mount("-t", "overlay", "-o",
          f"lowerdir={base},upperdir={layer}/upper,workdir={layer}/work", "system", system)
    mount("-t", "proc", "proc", system / "proc")
    mount("-t", "sysfs", "-o", "ro", "sysfs", system / "sys")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmp", system / "tmp")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (system / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", system / "dev" / name)
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", system / "dev/pts")
    mount("-t", "tmpfs", "-o", "mode=1777", "shm", system / "dev/shm")
    shutil.copy("/etc/resolv.conf", system / "etc/resolv.conf")
    # Not chroot(2), under which no process may make a user namespace: workers do.
    os.chdir(system)
    call(LIBC.syscall, PIVOT_ROOT[os.uname().machine], b".", b".")
    call(LIBC.umount2, b".", 2)  # the machine's own files; MNT_DETACH
    os.chdir("/")


LIBC = ctypes.CDLL(None, use_errno=True)
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def call(function, *words):
    if function(*words) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def leave_the_network():
    """A network with nothing but a loopback, for this process and those it starts."""
    call(LIBC.unshare, 0x40000000)  # CLONE_NEWNET
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name_and_flags = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(control, 0x8914, name_and_flags)  # SIOCSIFFLAGS


ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


def root(command, **options):
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=ENVIRONMENT,
                          **options)


def asked(command):
    """A command as somebody in a fresh login types it."""
    return ["su", "-l", USER, "-c", command]


def typed(command, seconds=60):
    return subprocess.run(asked(command), capture_output=True, text=True, env=ENVIRONMENT,
                          timeout=seconds)


def files():
    """What lies in the system, without what every installation of anything changes."""
    listed = root("find / -xdev ! -type d ! -path '/home/*' ! -path '/var/lib/dpkg/*' "
                  "! -path '/var/cache/*' ! -path '/var/log/*' ! -path '/var/lib/apt/*' "
                  "! -path '/run/*'")
    return set(listed.stdout.splitlines())


# What a newcomer does


def install(needed):
    for tool in ("swift", "cc", "make", "git", "python3"):
        check(root(f"command -v {tool}").returncode != 0, f"no {tool} in the bare system")
    update = root("apt-get update")
    check(update.returncode == 0, f"apt-get update {update.stderr[-300:]}")
    # What others' packages bring is theirs to remove: it is there before we look.
    start = time.monotonic()
    done = root(f"apt-get install -y --no-install-recommends {needed}")
    check(done.returncode == 0, f"the libraries come from Debian: {needed}")
    figure("libraries from Debian's mirror", time.monotonic() - start)
    before = files()
    start = time.monotonic()
    done = root("apt-get install -y /tmp/packages/*.deb")
    check(done.returncode == 0, f"apt-get install ./*.deb {done.stderr[-600:]}")
    figure("installation", time.monotonic() - start)
    root(f"useradd --create-home --shell /bin/bash {USER}")
    return before, start


def http(port, path, token, body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode() if body else None,
        {"authorization": f"Bearer {token}", "content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


class Up:
    """`darkbloom up` in a terminal of the user's."""

    def __init__(self, words=""):
        self.start = time.monotonic()
        self.log = open("/run/up.log", "w")
        self.process = subprocess.Popen(asked(f"exec darkbloom up {words}"), stdout=self.log,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                        env=ENVIRONMENT)

    @property
    def text(self):
        return pathlib.Path("/run/up.log").read_text()

    def wait_until_ready(self):
        while "Ctrl-C stops everything" not in self.text:
            if self.process.poll() is not None or time.monotonic() > self.start + 120:
                check(False, f"darkbloom up did not become ready:\n{self.text}")
                return
            time.sleep(0.05)

    def interrupt(self):
        """Ctrl-C: the terminal tells every process in its foreground."""
        for pid in mine("darkbloom up"):
            os.kill(pid, signal.SIGINT)
        return self.process.wait(40)


def mine(words=""):
    """Processes of the user whose command line has these words."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            owner = folder.stat().st_uid or int(
                re.search(r"^Uid:\s+(\d+)", (folder / "status").read_text(), re.M)[1])
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if owner == 1000 and "darkbloom" in line and words in line and "su -l" not in line:
                found.append(int(folder.name))
    return found


def first_answer(installed):
    up = Up()
    up.wait_until_ready()
    figure("darkbloom up to ready", time.monotonic() - up.start)
    facts = json.loads(typed("darkbloom env --json").stdout or "{}")
    token = facts.get("api_key", "")
    models = [m["id"] for m in http(8642, "/v1/models", token)["data"]]
    answer = http(8642, "/v1/chat/completions", token, {
        "model": models[0], "max_tokens": 32,
        "messages": [{"role": "user", "content": "What is the capital of France?"}]})
    text = answer["choices"][0]["message"]["content"]
    check(bool(text.strip()), f"an answer over HTTP: {text.strip()[:80]!r}")
    whole = time.monotonic() - installed
    figure("start of the installation to the first answer", whole)
    check(whole <= 60, "the first answer within 60 s of the installation")
    said = typed("darkbloom ask --max-tokens 32 What is the capital of France")
    text = said.stdout.strip()
    check(said.returncode == 0 and text, f"darkbloom ask: {text[:80]!r}")
    return up


def sandbox():
    """The worker's walls, as the kernel shows them, and what the node says of itself."""
    data = ".local/share/darkbloom/up"
    doctor = typed(f"darkbloom node doctor --always --json --data {data}/node "
                   f"--network {data}/coordinator/local.json")
    findings = json.loads(doctor.stdout)["checks"]
    faults = [f for f in findings if f["state"] == "fault"]
    check(not faults, f"node doctor has no fault: {faults}")
    network = os.readlink("/proc/self/ns/net")
    walls, guards = [], []
    for pid in mine("darkbloom-worker"):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        value = dict(re.findall(r"^(\w+):\s+(\S+)", status, re.M))
        if value["TracerPid"] == "0":
            guards.append(pid)
            continue
        walls.append({
            "filter of system calls": value["Seccomp"] == "2",
            "no new privileges": value["NoNewPrivs"] == "1",
            "no capabilities": int(value["CapEff"], 16) == 0,
            "empty network": os.readlink(f"/proc/{pid}/ns/net") != network,
        })
    check(len(walls) == 2 and len(guards) == 2, "two models, each a worker with a guard on it")
    for wall in walls:
        check(all(wall.values()), f"a worker's walls: {wall}")
    listed = json.loads(typed("darkbloom receipts list --json").stdout)
    shown = typed(f"darkbloom verify {listed[0]['path']}")
    check(shown.returncode == 0, f"darkbloom verify:\n{shown.stdout}{shown.stderr}")


def mistakes(up):
    second = typed("darkbloom up")
    check(second.returncode == 2, f"a second up: {second.stderr.strip()}")
    check("in use" in second.stderr or "already" in second.stderr, "it says why")
    wrong = typed("darkbloom up --modell x")
    check(wrong.returncode == 2 and "--model" in wrong.stderr,
          f"a wrong flag: {wrong.stderr.strip()}")
    code = up.interrupt()
    time.sleep(0.5)
    check(code in (0, 130), f"Ctrl-C ends it with {code}")
    check(not mine(), f"no process is left: {mine()}")
    check("darkbloom: " not in up.text, f"and nothing was complained of:\n{up.text[-300:]}")
    again = Up()
    again.wait_until_ready()
    figure("second start to ready", time.monotonic() - again.start)
    # As an upgrade does it, under a running network.
    done = root("dpkg --force-confold -i /tmp/packages/darkbloom_*.deb")
    check(done.returncode == 0, "installed again while it runs")
    time.sleep(25)  # a node as a service sees it within 20 s
    said = typed("darkbloom ask --max-tokens 16 Hello")
    check(said.returncode == 0 and said.stdout.strip(), f"which goes on: {said.stdout.strip()!r}")
    again.interrupt()
    with socket.create_server(("127.0.0.1", 8642)):
        taken = typed("darkbloom up")
        check(taken.returncode != 0 and "port 8642" in taken.stderr,
              f"a port in use: {taken.stderr.strip()}")
    absent = typed("DARKBLOOM_BUNDLED_MODELS=/nowhere darkbloom up")
    check("darkbloom-model-small" in absent.stderr, f"no model: {absent.stderr.strip()}")


def coordinator():
    as_service = "su -s /bin/sh darkbloom -c 'darkbloom-coordinator {}'"
    done = root(as_service.format("init --data /var/lib/darkbloom --origin bloom.example "
                                  "--url https://bloom.example"))
    check(done.returncode == 0, f"darkbloom-coordinator init as its user {done.stderr.strip()}")
    done = root(as_service.format("doctor --data /var/lib/darkbloom"))
    check("ledger" in done.stdout or "ok" in done.stdout, f"doctor:\n{done.stdout}{done.stderr}")
    for unit in ("darkbloom-coordinator", "darkbloom-gateway"):
        check(root(f"test -f /etc/systemd/system/multi-user.target.wants/{unit}.service")
              .returncode != 0, f"{unit} is not enabled")


def remove(before):
    done = root("apt-get purge -y darkbloom darkbloom-model-small")
    check(done.returncode == 0, f"apt-get purge {done.stderr.strip()}")
    left = {p for p in files() - before if not p.startswith(("/tmp/", "/etc/"))}
    kept = {p for p in left if p.startswith("/var/lib/darkbloom/")}
    check(kept and left == kept, f"only the coordinator's data is left: {sorted(left)[:10]}")
    check("darkbloom" in root("getent passwd darkbloom").stdout, "and its user")
    check(pathlib.Path(f"/home/{USER}/.local/share/darkbloom").is_dir(), "and the user's own data")
    root("rm -r /var/lib/darkbloom; dpkg -i --force-depends /tmp/packages/darkbloom_*.deb")
    root("apt-get purge -y darkbloom")
    check(not pathlib.Path("/var/lib/darkbloom").exists(), "an unused folder goes with a purge")
    check(not root("getent passwd darkbloom").stdout, "and so does the user")
    check(not root("getent passwd darkbloom-gateway").stdout
          and not pathlib.Path("/var/lib/darkbloom-gateway").exists(), "and what the gateway had")


def depends(packages):
    """Names of the packages that others must bring."""
    text = "".join(subprocess.run(["dpkg-deb", "-f", path, "Depends"], capture_output=True,
                                  text=True, check=True).stdout for path in packages)
    return " ".join(name.split()[0] for name in text.split(","))


def inside(arguments):
    packages = sorted(pathlib.Path(arguments.packages).resolve().glob("*.deb"))
    if len(packages) != 2:
        sys.exit("make the packages first: make package")
    needed, content = depends(packages), {p.name: p.read_bytes() for p in packages}
    assemble(fetch(arguments.suite))
    pathlib.Path("/tmp/packages").mkdir()
    for name, data in content.items():
        pathlib.Path("/tmp/packages", name).write_bytes(data)
    before, start = install(needed)
    leave_the_network()
    up = first_answer(start)
    sandbox()
    mistakes(up)
    coordinator()
    remove(before)
    print(json.dumps(figures))
    print(f"bare {arguments.suite}: {len(failures)} faults")
    sys.exit(1 if failures else 0)


def arguments(description):
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("packages", nargs="?", default=str(ROOT / ".build" / "packages"))
    WORK.mkdir(parents=True, exist_ok=True)
    return parser.parse_args()


if __name__ == "__main__":
    asked_for = arguments(__doc__)
    (inside if asked_for.inside else enter)(asked_for)
