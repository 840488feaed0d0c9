"""Checks what scripts/package would install, laid out with the programs of a build folder.

run.py PROGRAMS

Each fault is a line; the last line counts. systemd's own check of the unit runs where systemd is.
"""

import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = pathlib.Path(sys.argv[1]).resolve()
failures = []


def check(holds, text):
    if not holds:
        failures.append(text)


def run(*command, **options):
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, timeout=60, cwd=ROOT, **options
    )


def check_programs(stage):
    """What `make build` makes is installed, and what people type leads to it."""
    built = re.search(r"^programs=\((.*)\)$", (ROOT / "scripts/build").read_text(), re.M)[1].split()
    installed = sorted(p.name for p in (stage / "usr/lib/darkbloom").iterdir())
    check(installed == sorted(built), f"built are {built}, installed {installed}")
    for name in ("darkbloom", "darkbloom-coordinator"):
        path = (stage / "usr/bin" / name).resolve()
        check(path == stage / "usr/lib/darkbloom" / name, f"usr/bin/{name} leads to {path}")
        version = run(stage / "usr/bin" / name, "--version")
        check(version.returncode == 0, f"{name} --version: {version.stderr}")


def check_companions(stage, home):
    """Started by its link, a program finds the others; a whole network begins that way."""
    network = home / "local.json"
    coordinator = subprocess.Popen(
        [stage / "usr/bin/darkbloom-coordinator", "serve", "--local"]
        + ["--data", home, "--listen", "127.0.0.1:0"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not (network.exists() and network.stat().st_size) and coordinator.poll() is None:
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        done = run(
            stage / "usr/bin/darkbloom", "node", "doctor", "--json", "--network", network,
            env={"HOME": str(home), "PATH": ""},
        )
        findings = {f["name"]: f for f in json.loads(done.stdout or "{}").get("checks", [])}
        worker = findings.get("worker", {"text": f"{done.stdout} {done.stderr}"})
        check(worker.get("state") == "ok", f"the worker is not found: {worker['text']}")
    finally:
        coordinator.terminate()
        coordinator.wait(40)


def completed(stage, words):
    """What bash offers for the last of these words."""
    script = stage / "usr/share/bash-completion/completions" / words[0]
    ask = (
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); '
        '"_${1//-/_}"; echo "${COMPREPLY[@]}"'
    )
    return run("bash", "-c", ask, script, *words).stdout.split()


def check_texts(stage):
    for name in ("darkbloom", "darkbloom-coordinator"):
        manual = gzip.decompress((stage / f"usr/share/man/man1/{name}.1.gz").read_bytes()).decode()
        check(manual.startswith(".TH"), f"{name}.1 is no manual page: {manual[:60]}")
        script = stage / "usr/share/bash-completion/completions" / name
        done = run("bash", "-n", script)
        check(done.returncode == 0 and name in script.read_text(), f"{script}: {done.stderr}")
        for shell, path in (
            ("zsh -n", f"zsh/vendor-completions/_{name}"),
            ("fish --no-execute", f"fish/vendor_completions.d/{name}.fish"),
        ):
            if shutil.which(shell.split()[0]):
                done = run(*shell.split(), stage / "usr/share" / path)
                check(done.returncode == 0, f"{path}: {done.stderr}")
    for words, offered in (
        ("darkbloom no", ["node"]),
        ("darkbloom node sta", ["start", "status"]),
        # `gateway` alone means `gateway run`.
        ("darkbloom gateway --tier ha", ["hardware"]),
        ("darkbloom-coordinator backup --jso", ["--json"]),
    ):
        seen = completed(stage, words.split())
        check(seen == offered, f"bash offers {seen} after: {words}")
    for script in (ROOT / "packaging/debian").iterdir():
        done = run("sh", "-n", script)
        check(done.returncode == 0, f"{script.name}: {done.stderr}")
    documents = stage / "usr/share/doc/darkbloom"
    for words in (["gateway"], ["gateway", "keys"], ["node"]):
        said = run(stage / "usr/bin/darkbloom", *words, "--help").stdout
        for name in re.findall(r"docs/[a-z-]+\.md", said):
            check((documents / name).exists(), f"{words} names {name}, not installed")
    check((documents / "docs/api.md").exists(), "docs/api.md is not installed")
    copyright = (documents / "copyright").read_text()
    # What is compiled in; the rest comes with its own package.
    for words in ("llama.cpp", "Copyright 2024 Mozilla", "Niels Lohmann",
                  "Runtime Library Exception", "Permission is"):
        check(words in copyright, f"the copyright file does not say: {words}")


def check_unit(stage, name):
    path = stage / f"lib/systemd/system/{name}.service"
    unit = dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.M))
    line, *options = unit["ExecStart"].split(" --")
    program, *words = line.split()
    check((stage / program.lstrip("/")).exists(), f"the unit starts {program}, not installed")
    said = run(stage / program.lstrip("/"), *words, "--help").stdout
    for option in options:
        option = "--" + option.split()[0]
        check(option in said, f"{' '.join(words)} has no option {option}")
    made = (ROOT / "packaging/debian/postinst").read_text()
    users = re.search(r"for name in ([^;]*); do\n +if ! getent", made)[1].split()
    check(unit["User"] in users, f"the unit runs as {unit['User']}, the package makes {users}")
    folder = re.search(r"--data (\S+)", unit["ExecStart"])[1]
    check(folder == f"/var/lib/{unit['StateDirectory']}", f"{name} writes {folder}, which it may not")
    for script in ("postinst", "prerm", "postrm"):
        text = (ROOT / "packaging/debian" / script).read_text()
        check(name in text, f"{script} does not know {name}")
    if shutil.which("systemd-analyze"):
        copy = stage.parent / path.name
        copy.write_text(path.read_text().replace(program, str(stage / program.lstrip("/"))))
        done = run("systemd-analyze", "verify", "--man=no", copy)
        # It also speaks of units of the system that it meets on the way.
        faults = [line for line in done.stderr.splitlines() if path.name in line]
        check(not faults, f"systemd-analyze: {faults}")


def main():
    with tempfile.TemporaryDirectory(prefix="darkbloom-package-") as folder:
        home = pathlib.Path(folder) / "home"
        home.mkdir()
        stage = pathlib.Path(folder).resolve() / "stage"
        done = run("scripts/package", "--stage", stage, PROGRAMS, env=os.environ)
        if done.returncode != 0:
            sys.exit(f"scripts/package --stage: {done.stderr}")
        listed = run("scripts/package", "--list").stdout.splitlines()
        listed = {line.split()[1] for line in listed if line.startswith("darkbloom ")}
        files = {str(p.relative_to(stage)) for p in stage.rglob("*") if not p.is_dir()}
        check(files == listed, f"--list and --stage differ: {sorted(files ^ listed)}")
        check_programs(stage)
        check_companions(stage, home)
        check_texts(stage)
        check_unit(stage, "darkbloom-coordinator")
        check_unit(stage, "darkbloom-gateway")
    for failure in failures:
        print(failure)
    print(f"package: {len(files)} files, {len(failures)} faults")
    return 1 if failures else 0


sys.exit(main())
