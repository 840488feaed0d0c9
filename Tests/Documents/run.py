"""Executes what README.md and docs/ tell people to type, and checks what they only name.

run.py PROGRAMS [DOCUMENT…]

A fenced block says what it is in its first word. Blocks of `sh` are executed by one bash for each
document, in an empty folder with an empty home. `sh background until PATH` blocks run until the
document's end, and the next begins once PATH is there, or those words were printed. What a
reader has done before stands in a comment, `<!-- sh … = COMMAND -->`. `sh not-run: REASON` blocks are
only checked like commands in running text: every `darkbloom …` command and each of its options must
exist. Names of a real coordinator are replaced by those of one on this machine.
Reports name the day, the machine and the command that made them. The commands of a table after
`<!-- table of PROGRAM … -->` stand there without the program's name.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = pathlib.Path(sys.argv[1]).resolve()
LANGUAGES = ("sh", "text", "json", "json5", "swift", "python")
failures = []


def fail(path, line, text):
    failures.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def documents():
    names = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
    return names + sorted((ROOT / "docs").rglob("*.md"))


def blocks(path):
    """The fenced blocks of a document: first line, info string, text."""
    start, info, lines = 0, "", []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        comment = re.fullmatch(r"<!-- (sh[^=]*?) = (.*) -->", line)
        if comment and not start:
            yield number, comment[1], comment[2]
        elif not line.startswith("```"):
            lines.append(line)
        elif start:
            yield start, info, "\n".join(lines)
            start = 0
        else:
            start, info, lines = number, line[3:].strip(), []


# Commands that are named


helps = {}


def help_of(words):
    """What a command says of itself; None when there is no such command."""
    if words not in helps:
        done = subprocess.run(
            [PROGRAMS / words[0], *words[1:], "--help"], capture_output=True, text=True, timeout=20
        )
        helps[words] = done.stdout if done.returncode == 0 else None
    return helps[words]


def check_command(path, line, text):
    """A command that stands in a document or in a message exists, and so do its options."""
    words = text.split()
    known = (words[0],)
    for word in words[1:]:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        listed = help_of(known) or ""
        if not re.search(rf"^  {word}\b", listed.partition("\ncommands:\n")[2], re.M):
            if "\ncommands:\n" in listed and "[COMMAND]" not in listed:
                return fail(path, line, f"there is no command: {' '.join(known)} {word}")
            break
        known += (word,)
    said = (help_of(known) or "") + (help_of((*known, "run")) or "" if len(known) > 1 else "")
    for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", text):
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", said):
            fail(path, line, f"{' '.join(known)} has no option {option}")


COMMAND = r"darkbloom(?:-coordinator)?(?: [^`|&;#()$…]*)?"


def check_row(path, number, program, line):
    """The first cell of a table of commands: the program stands in a comment before it."""
    command = ""
    for span in re.findall(r"`([^`]*)`", line.split("|")[1]):
        # A further option of the command before it.
        command = f"{command} {span}" if span.startswith("--") else f"{program} {span}"
        check_command(path, number, command)


def check_names(path):
    fenced, table, in_table = False, None, False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        begins = re.fullmatch(r"<!-- table of (darkbloom[a-z -]*) -->", line)
        if begins:
            table, in_table = begins[1], False
        elif table and line.startswith("|"):
            in_table = True
            check_row(path, number, table, line)
        elif in_table:
            table, in_table = None, False
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            for span in re.findall(rf"`({COMMAND})`", line):
                check_command(path, number, span)
    for start, info, text in blocks(path):
        if info.split(" ")[0].rstrip(":") not in LANGUAGES:
            fail(path, start, f"a block that says nothing of its kind; known: {', '.join(LANGUAGES)}")
        if info.startswith("sh"):
            for offset, line in enumerate(text.splitlines()):
                for span in re.findall(rf"(?:^|release/|[\s(])({COMMAND})", line):
                    # The user of that name, before the command that is run as that user.
                    span = re.sub(r"^darkbloom (?=darkbloom)", "", span)
                    check_command(path, start + 1 + offset, span)


def check_messages():
    """Commands that error texts tell people to run."""
    for path in sorted((ROOT / "Sources").rglob("*.swift")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for span in re.findall(r"(?:run|with|is|try): (darkbloom(?:-coordinator)? [^\"`;,]*)", line):
                check_command(path, number, re.sub(r"\\\(.*", "X", span))


def headings(path):
    """The anchors that readers of Markdown make of headings."""
    lines = [line for line in path.read_text().splitlines() if re.match(r"#+ ", line)]
    plain = [re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()) for line in lines]
    return {text.replace(" ", "-") for text in plain}


def check_links(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", line):
            file = path.parent / target if target else path
            if not file.exists():
                fail(path, number, f"a link to {target}, which does not exist")
            elif anchor and file.suffix == ".md" and anchor not in headings(file):
                fail(path, number, f"a link to {target}#{anchor}, where no such heading is")


def check_report(path):
    head = "\n".join(path.read_text().splitlines()[:16])
    if not re.search(r"\b20\d\d\b", head) or not re.search(r"`[^`]*(make|scripts/|bench-)", head):
        fail(path, 1, "a report names its day and the command that made it, in its first lines")
    if not re.search(r"\bcores\b", head):
        fail(path, 1, "a report names its machine, in its first lines")


# Commands that are executed


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Shell:
    """One bash for a document, in a folder that looks like a checkout with everything built."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / ".build").mkdir()
        (self.folder / ".build/release").symlink_to(PROGRAMS)
        home = self.folder / "home"
        home.mkdir()
        self.environment = {
            **{name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ},
            "HOME": str(home),
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "DARKBLOOM_GATEWAY_PORT": str(free_port()),
            "XDG_RUNTIME_DIR": str(home),
        }
        for name in ("XDG_CACHE_HOME", "DARKBLOOM_CACHE"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        self.environment.setdefault("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
        self.listen = f"127.0.0.1:{free_port()}"
        self.environment["DARKBLOOM_LISTEN"] = self.listen
        self.background = []
        self.bash = self.start(["bash"], subprocess.PIPE)

    def start(self, command, stdin=subprocess.DEVNULL):
        with open(self.folder / "output", "ab") as output:
            return subprocess.Popen(
                command,
                stdin=stdin,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=self.environment,
                start_new_session=True,
            )

    def here(self, text):
        """A document's text with this machine's names."""
        text = text.replace("/var/lib/", f"{self.folder}/").replace("/etc/", f"{self.folder}/")
        return text.replace("https://bloom.example", f"http://{self.listen}")

    def run(self, text, seconds=180):
        """Runs lines one after the other, as they would be typed; the first that fails ends it."""
        text = self.here(text)
        mark = self.folder / "status"
        mark.unlink(missing_ok=True)
        script = self.folder / "block"
        script.write_text(text + "\n")
        # In this very shell, so that what a block exports is there for the next.
        line = f"""set -e; . '{script}'; echo $? > '{mark}.new'; mv '{mark}.new' '{mark}'\n"""
        self.bash.stdin.write(line.encode())
        self.bash.stdin.flush()
        end = time.monotonic() + seconds
        while not mark.exists():
            if self.bash.poll() is not None:
                return f"a command failed ({self.bash.returncode})"
            if time.monotonic() > end:
                return f"was not done after {seconds} s"
            time.sleep(0.05)
        code = int(mark.read_text())
        return None if code == 0 else f"ended with {code}"

    def run_in_background(self, text, ready):
        ready = self.here(ready)
        child = self.start(["bash", "-c", "exec " + self.here(text).strip()])
        self.background.append(child)
        end = time.monotonic() + 60
        while not self.is_ready(ready):
            if child.poll() is not None:
                return f"ended with {child.returncode}"
            if time.monotonic() > end:
                return f"{ready} did not come within 60 s"
            time.sleep(0.1)
        return None

    def is_ready(self, ready):
        if ready.startswith("/"):
            return os.path.exists(ready)
        return ready in (self.folder / "output").read_text(errors="replace")

    def stop(self):
        for child in reversed([self.bash, *self.background]):
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGINT if child is not self.bash else signal.SIGTERM)
        for child in [self.bash, *self.background]:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)

    def tail(self):
        text = (self.folder / "output").read_text(errors="replace")
        return "\n".join("    " + line for line in text.splitlines()[-12:])


def execute(path):
    """Runs a document's blocks in their order."""
    runnable = [block for block in blocks(path) if re.match(r"sh($| background)", block[1])]
    if not runnable:
        return 0
    folder = tempfile.mkdtemp(prefix="darkbloom-documents-")
    shell = Shell(folder)
    try:
        for start, info, text in runnable:
            ready = re.match(r"sh background until (.+)", info)
            problem = shell.run_in_background(text, ready[1]) if ready else shell.run(text)
            if problem:
                fail(path, start, f"{problem}; the end of what it printed:\n{shell.tail()}")
                break
    finally:
        shell.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return len(runnable)


def main():
    wanted = [pathlib.Path(name).resolve() for name in sys.argv[2:]] or documents()
    executed = 0
    for path in wanted:
        check_names(path)
        check_links(path)
        if path.parent.name == "reports":
            check_report(path)
        executed += execute(path)
    check_messages()
    for failure in failures:
        print(failure)
    print(f"{len(wanted)} documents, {executed} blocks executed, {len(failures)} faults")
    return 1 if failures else 0


sys.exit(main())
