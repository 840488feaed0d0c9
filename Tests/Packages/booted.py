"""The services of the package under systemd, on a bare Debian that boots for it.

booted.py [--suite NAME] [PACKAGES]     .build/packages unless given; needs root and the network

The system of bare.py with systemd as its first process, in namespaces and a control group of its
own. The coordinator's unit is enabled, started, upgraded under and removed; a user's node likewise.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import bare
from bare import check, root

GROUP = "darkbloom-booted"


def enter(arguments):
    """Starts this program again in namespaces of its own, below a control group of its own."""
    bare.fetch(arguments.suite)
    groups = tempfile.mkdtemp()
    subprocess.run(["mount", "-t", "cgroup2", "none", groups], check=True)
    try:
        os.makedirs(f"{groups}/{GROUP}", exist_ok=True)
        command = ["unshare", "--mount", "--propagation", "private", "--pid", "--cgroup", "--uts",
                   "--ipc", "--fork", "--kill-child", sys.executable, __file__, "--inside",
                   "--suite", arguments.suite, arguments.packages]
        code = subprocess.run(
            ["sh", "-c", f'echo $$ >"{groups}/{GROUP}/cgroup.procs"; exec "$@"', "sh", *command]
        ).returncode
        for folder, _, _ in os.walk(f"{groups}/{GROUP}", topdown=False):
            os.rmdir(folder)
    finally:
        subprocess.run(["umount", groups], check=True)
        os.rmdir(groups)
    sys.exit(code)


def boot():
    """Makes this process systemd, and goes on in a child."""
    done = root("mount -t tmpfs -o mode=755 run /run && mount -t cgroup2 none /sys/fs/cgroup && "
                "hostname bare && apt-get update && apt-get install -y --no-install-recommends "
                "systemd systemd-sysv dbus dbus-user-session libpam-systemd")
    if done.returncode != 0:
        sys.exit(f"systemd cannot be installed: {done.stderr[-500:]}")
    if os.fork() != 0:
        os.execve("/sbin/init", ["/sbin/init"], bare.ENVIRONMENT | {"container": "other"})
    state = ""
    end = time.monotonic() + 60
    while state not in ("running", "degraded") and time.monotonic() < end:
        time.sleep(0.3)
        state = root("systemctl is-system-running").stdout.strip()
    # Degraded: a unit of the system's own has no device or right here.
    check(state in ("running", "degraded"), f"systemd is {state}")


def show(unit, name, user=False):
    words = "--user -M newcomer@" if user else ""
    return root(f"systemctl {words} show -P {name} {unit}").stdout.strip()


def wait_until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True


def coordinator():
    unit = "darkbloom-coordinator"
    check(show(unit, "UnitFileState") == "disabled", "the coordinator is not enabled")
    root(f"systemctl start {unit}")
    wait_until(lambda: show(unit, "ActiveState") == "failed", 10)
    check(show(unit, "ActiveState") == "failed" and show(unit, "NRestarts") == "0",
          "without a network it fails once and says what to type: "
          + root(f"journalctl -u {unit} -o cat | grep init").stdout.strip())
    as_user = "su -s /bin/sh darkbloom -c 'darkbloom-coordinator {} --data /var/lib/darkbloom {}'"
    root(as_user.format("init", "--origin bloom.example --url https://bloom.example"))
    done = root(f"systemctl enable --now {unit}")
    check(done.returncode == 0, f"systemctl enable --now {done.stderr.strip()[-200:]}")
    wait_until(lambda: root(as_user.format("doctor", "")).returncode == 0, 20)
    done = root(as_user.format("doctor", ""))
    check(done.returncode == 0, f"within the unit's walls doctor finds no fault:\n{done.stdout}")
    exposure = root(f"systemd-analyze security --no-pager {unit}").stdout.splitlines()[-1:]
    print("     ", *exposure)
    done = root(as_user.format("backup", "/var/lib/darkbloom/backup.tar"))
    check(done.returncode == 0, f"a backup while it serves {done.stderr.strip()}")
    first = show(unit, "MainPID")
    done = root("dpkg -i /opt/packages/darkbloom_*.deb")
    second = show(unit, "MainPID")
    check(done.returncode == 0 and second not in ("0", first), "an upgrade starts the new program")
    check(show(unit, "Result") == "success", "and the old one ended in order")


def gateway():
    """An organisation's gateway without its settings: it fails once, as one says it."""
    unit = "darkbloom-gateway"
    check(show(unit, "UnitFileState") == "disabled", "the gateway is not enabled")
    root(f"systemctl start {unit}")
    wait_until(lambda: show(unit, "ActiveState") == "failed", 10)
    check(show(unit, "ActiveState") == "failed" and show(unit, "NRestarts") == "0",
          "without settings it fails once and names them: "
          + root(f"journalctl -u {unit} -o cat | grep gateway.json5").stdout.strip())


def node():
    """A user's node: its service, an upgrade under it, and its end."""
    user = "su -l newcomer -c 'export XDG_RUNTIME_DIR=/run/user/1000; {}'"
    root("useradd --create-home --shell /bin/bash newcomer; loginctl enable-linger newcomer")
    wait_until(lambda: pathlib.Path("/run/user/1000/bus").exists(), 20)
    subprocess.Popen(
        ["sh", "-c", user.format("exec darkbloom-coordinator serve --local --data local "
                                 "--listen 127.0.0.1:8650")],
        env=bare.ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    network = pathlib.Path("/home/newcomer/local/local.json")
    wait_until(lambda: network.exists() and network.stat().st_size > 0, 20)
    model = "/usr/share/darkbloom/models/smollm2-135m-instruct-q4_1.gguf"
    done = root(user.format(f"darkbloom models add {model}"))
    check(done.returncode == 0, f"darkbloom models add {done.stderr.strip()}")
    start = f"darkbloom node start --accept --always --network {network}"
    done = root(user.format(start))
    check(done.returncode == 0 and "the node runs" in done.stdout,
          f"darkbloom node start: {done.stdout.strip()} {done.stderr.strip()}")
    program = show("darkbloom-node", "ExecStart", user=True)
    check("/usr/lib/darkbloom/darkbloom" in program, "its unit names the installed program")

    def serves():
        done = root(user.format(f"darkbloom node doctor --always --network {network} --json"))
        return json.loads(done.stdout or "{}").get("serves", False)

    check(wait_until(serves), "it serves")
    first = show("darkbloom-node", "MainPID", user=True)
    root("dpkg -i /opt/packages/darkbloom_*.deb")
    began = time.monotonic()
    check(wait_until(lambda: show("darkbloom-node", "MainPID", user=True) not in ("0", first)),
          f"after an upgrade it starts anew, {time.monotonic() - began:.0f} s later")
    check(wait_until(serves), "and serves again")
    done = root(user.format("darkbloom node stop"))
    check(done.returncode == 0, f"darkbloom node stop: {done.stdout.strip()}")
    check(not list(pathlib.Path("/home/newcomer/.config/systemd/user").glob("*.service")),
          "its unit is gone")


def remove():
    done = root("apt-get remove -y darkbloom")
    check(done.returncode == 0, f"apt-get remove {done.stderr.strip()[-300:]}")
    check(not list(pathlib.Path("/etc/systemd/system").rglob("darkbloom*")), "no link to a unit")
    check(not [p for p in pathlib.Path("/proc").glob("[0-9]*/comm")
               if p.read_text().strip() == "darkbloom-coord"
               and (p.parent / "cmdline").read_text().count("/var/lib/darkbloom")],
          "the coordinator has ended")
    check(pathlib.Path("/var/lib/darkbloom/log.key").exists(), "its keys stay")


def inside(arguments):
    packages = sorted(pathlib.Path(arguments.packages).resolve().glob("*.deb"))
    content = {p.name: p.read_bytes() for p in packages}
    bare.assemble(bare.fetch(arguments.suite))
    pathlib.Path("/opt/packages").mkdir()
    for name, data in content.items():
        pathlib.Path("/opt/packages", name).write_bytes(data)
    boot()
    try:
        done = root("apt-get install -y /opt/packages/*.deb")
        check(done.returncode == 0, f"apt-get install {done.stderr.strip()[-300:]}")
        coordinator()
        gateway()
        node()
        remove()
    finally:
        print(f"booted {arguments.suite}: {len(bare.failures)} faults", flush=True)
        # The first process ends with this number, and with it everything here.
        root(f"systemctl exit {1 if bare.failures else 0} --force --force")


if __name__ == "__main__":
    arguments = bare.arguments(__doc__)
    (inside if arguments.inside else enter)(arguments)
