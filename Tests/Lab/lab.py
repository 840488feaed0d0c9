"""The network on separate hosts: TLS, NAT, bad lines, crashes; and what of it can be read.

Run it with scripts/lab, which makes the namespaces it needs.
"""

import argparse
import datetime
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time

import certificates
import cheating
import marks
from hosts import Internet, kill, run, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = "smollm2-135m-instruct-q8_0"
TOKENS = 48


class Lab:
    """Coordinator, two homes with a node each, and a user's device, each a host of its own."""

    def __init__(self, folder, programs, model_file):
        self.folder, self.programs, self.model_file = folder, programs, model_file
        self.children = {}
        internet = Internet()
        self.coordinator = internet.host("coordinator", 10)
        self.far = internet.host("far", 11)
        self.homes = [internet.behind_nat("node1", 21), internet.behind_nat("node2", 22)]
        self.user = internet.host("user", 40)
        names = {
            "four.lab": ["10.77.0.10"],
            "six.lab": ["fd77:0:0:10::1"],
            "coordinator.lab": ["10.77.0.10", "fd77:0:0:10::1"],
            "far.lab": ["10.77.0.11", "fd77:0:0:11::1"],
        }
        with open(f"{folder}/hosts", "w") as file:
            file.write("127.0.0.1 localhost\n::1 localhost\n")
            for name, addresses in names.items():
                file.writelines(f"{address} {name}\n" for address in addresses)
        # Seen by this run's namespaces only.
        run("mount", "--bind", f"{folder}/hosts", "/etc/hosts")
        certificates.make(folder, list(names))
        os.environ["SSL_CERT_FILE"] = f"{folder}/ca.pem"

    def log(self, name):
        return f"{self.folder}/{name}.log"

    def program(self, name):
        return f"{self.programs}/{name}"

    def prepare(self):
        """Sets up the coordinator as an operator does, and the models of both nodes."""
        out = run(
            *(self.program("darkbloom-coordinator"), "init", "--data", f"{self.folder}/coordinator"),
            *("--origin", "coordinator.lab", "--url", "https://coordinator.lab:8640"),
        )
        self.links = {
            who: re.search(rf"{who}: +darkbloom join '([^']+)'", out)[1]
            for who in ("user", "machine")
        }
        os.makedirs(f"{self.folder}/catalog")
        for home in self.homes:
            models = f"{self.folder}/{home.host.name}/models"
            os.makedirs(os.path.dirname(models))
            run(
                self.program("darkbloom"),
                *("models", "add", "--models", models, "--in-place", self.model_file),
            )
            for name in os.listdir(f"{models}/manifests"):
                with open(f"{models}/manifests/{name}", "rb") as file:
                    manifest = file.read()
                with open(f"{self.folder}/catalog/{name}.manifest", "wb") as file:
                    file.write(manifest)

    def join(self):
        """The user and both machines join with the links that the operator hands out."""
        self.user.inside(
            *(self.program("darkbloom"), "join", self.links["user"], "--data", self.data("user"))
        )
        account = json.loads(self.admin("accounts", "list"))["accounts"]
        self.user_account = next(one["account"] for one in account if one["account"] != "admin")
        self.admin("accounts", "grant", self.user_account, "1000000")
        second = json.loads(self.admin("invites", "create", "--for", "node"))["link"]
        for home, link in zip(self.homes, (self.links["machine"], second)):
            data = self.data(home.host.name)
            home.host.inside(self.program("darkbloom"), "join", link, "--data", data)
            home.host.inside(self.program("darkbloom"), "node", "enroll", "--data", data)

    def admin(self, *words):
        return self.coordinator.inside(
            *(self.program("darkbloom-coordinator"), "admin", *words),
            *("--data", f"{self.folder}/coordinator", "--json"),
        )

    def data(self, name):
        return f"{self.folder}/{name}" + ("" if name == "user" else "/data")

    def network_file(self, owner, url):
        """What the owner joined, reached by another of the coordinator's addresses."""
        with open(f"{self.data(owner)}/network.json") as file:
            network = json.load(file)
        path = f"{self.folder}/{owner}-network.json"
        with open(path, "w") as file:
            json.dump({**network, "url": url}, file)
        os.chmod(path, 0o600)
        return path

    def start_coordinator(self, tls=True):
        command = [
            *(self.program("darkbloom-coordinator"), "serve"),
            *("--data", f"{self.folder}/coordinator", "--catalog", f"{self.folder}/catalog"),
            *("--listen", "[::]:8640"),
        ]
        if tls:
            command += ["--tls-certificate", f"{self.folder}/server.pem"]
            command += ["--tls-key", f"{self.folder}/server.key"]
        self.children["coordinator"] = self.coordinator.start(command, self.log("coordinator"))

    def start_forwarder(self, milliseconds):
        command = [sys.executable, f"{HERE}/forwarder.py", "8640", "four.lab", "8640", "--delay"]
        self.children["far"] = self.far.start([*command, str(milliseconds)], self.log("far"))

    def start_node(self, number, url="https://coordinator.lab:8640"):
        home = self.homes[number]
        name = home.host.name
        command = [
            *(self.program("darkbloom"), "node", "run", "--always"),
            *("--data", self.data(name), "--models", f"{self.folder}/{name}/models"),
            *("--network", self.network_file(name, url)),
            *("--model", MODEL, "--threads", "1"),
        ]
        self.children[name] = home.host.start(command, self.log(name))

    def start_gateway(self, url="https://coordinator.lab:8640", machines=2):
        data = self.data("user")
        command = [
            *(self.program("darkbloom"), "gateway", "--data", data, "--port", "8642"),
            *("--network", self.network_file("user", url), "--candidates", "2"),
        ]
        self.children["user"] = self.user.start(command, self.log("user"))
        if machines:
            wait_until("a gateway with its machines", 60, lambda: self.machines() == machines)
        else:
            wait_until("a gateway", 20, self.is_listening)

    def restart_gateway(self, url):
        kill(self.children["user"])
        self.start_gateway(url)

    def is_listening(self):
        done = self.from_user("curl", "-s", "-m", "2", "http://127.0.0.1:8642/health")
        return done.returncode == 0

    def is_ready(self):
        done = self.from_user(
            *("curl", "-sf", "-m", "2", "--cacert", f"{self.folder}/ca.pem"),
            "https://coordinator.lab:8640/readyz",
        )
        return done.returncode == 0

    def key(self):
        with open(f"{self.folder}/user/gateway-token") as file:
            return file.read()

    def from_user(self, *command, **options):
        return subprocess.run(
            ["ip", "netns", "exec", "user", *command], capture_output=True, text=True, **options
        )

    def machines(self):
        """How many machines take work now; none while the gateway knows of no model."""
        try:
            done = self.from_user(
                *("curl", "-s", "-m", "5", "-H", f"authorization: Bearer {self.key()}"),
                "http://127.0.0.1:8642/v1/models",
            )
            if not json.loads(done.stdout)["data"]:
                return 0
            # Only the coordinator's operator is told a number.
            return json.loads(self.admin("status"))["nodes_ready"]
        except (OSError, ValueError, KeyError, RuntimeError):
            return 0

    def load(self, streams, at_once, tokens=TOKENS):
        """Starts streams on the user's device; `Load.result()` waits for them."""
        return Load(self, streams, at_once, tokens)

    def receipts(self):
        done = run(
            *(self.program("darkbloom"), "receipts", "list", "--json"),
            *("--data", f"{self.folder}/user"),
        )
        return json.loads(done)

    def check(self):
        """Fails when a program that should run does not."""
        for name, child in self.children.items():
            if child.poll() is not None:
                raise RuntimeError(f"{name} ended ({child.returncode}); see {self.log(name)}")

    def stop(self):
        for child in reversed(list(self.children.values())):
            kill(child)


class Load:
    count = 0

    def __init__(self, lab, streams, at_once, tokens):
        Load.count += 1
        self.output = f"{lab.folder}/load-{Load.count}.json"
        self.process = lab.user.start(
            [
                *(sys.executable, f"{HERE}/load.py", "http://127.0.0.1:8642/v1", lab.key(), MODEL),
                *(str(streams), str(at_once), str(tokens), self.output),
            ],
            lab.log("load"),
        )

    def running(self):
        return self.process.poll() is None

    def result(self, seconds=900):
        if self.process.wait(seconds) != 0:
            raise RuntimeError("the load program failed; see load.log")
        with open(self.output) as file:
            return json.load(file)


class Report:
    """The table that the lab prints, and whether all of it holds."""

    columns = ("situation", "streams", "lost", "differ", "first ms", "gap p50", "p99", "max", "s")

    def __init__(self, baseline):
        self.rows, self.notes, self.failed = [], [], False
        self.baseline = {record["number"]: record["text"] for record in baseline}
        self.add("good lines, IPv4", baseline, 0)

    def add(self, name, records, seconds):
        lost = [record for record in records if record["error"]]
        differ = [
            record
            for record in records
            if not record["error"] and record["text"] != self.baseline[record["number"]]
        ]
        gaps = sorted(
            (b - a) * 1000
            for record in records
            for a, b in zip(record["times"], record["times"][1:])
        )
        first = [record["times"][0] * 1000 for record in records if record["times"]]
        at = lambda part: f"{gaps[min(len(gaps) - 1, int(len(gaps) * part))]:.0f}" if gaps else "-"
        self.rows.append(
            (
                *(name, len(records), len(lost), len(differ)),
                f"{statistics.median(first):.0f}" if first else "-",
                *(at(0.5), at(0.99), at(1)),
                f"{seconds or max(record['seconds'] for record in records):.0f}",
            )
        )
        for record in lost[:3]:
            self.note(f"{name}: stream {record['number']} was lost: {record['error']}", True)
        for record in differ[:3]:
            self.note(f"{name}: the text of stream {record['number']} differs", True)
        print("  ".join(str(cell) for cell in self.rows[-1]), flush=True)

    def note(self, text, failed=False):
        self.failed = self.failed or failed
        self.notes.append(("FAILED: " if failed else "") + text)
        print(self.notes[-1], flush=True)

    def markdown(self):
        lines = [
            "# The lab: separate hosts, bad lines, crashes",
            "",
            f"Made by `make lab` on {datetime.date.today()}, {platform.system()} "
            f"{platform.release()}, {os.cpu_count()} cores, {MODEL}, one engine thread a node.",
            "",
            "Lost: streams that ended with an error. Differ: streams whose text is not that of "
            "the first row. Gaps are between pieces of one stream, in milliseconds.",
            "",
            "| " + " | ".join(self.columns) + " |",
            "|" + "---|" * len(self.columns),
        ]
        lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes), ""]
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="The network on separate hosts.")
    parser.add_argument("--programs", required=True)
    parser.add_argument("--model-file", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--streams", type=int, default=24)
    parser.add_argument("--report")
    parser.add_argument("--only", choices=["lines", "chaos", "marks", "cheating"], action="append")
    options = parser.parse_args()
    parts = options.only or ["lines", "chaos", "marks", "cheating"]
    lab = Lab(options.folder, options.programs, options.model_file)
    try:
        report = experiments(lab, options.streams, parts)
    finally:
        lab.stop()
    if options.report:
        os.makedirs(os.path.dirname(options.report), exist_ok=True)
        with open(options.report, "w") as file:
            file.write(report.markdown())
    print("lab: " + ("FAILED" if report.failed else "all held"))
    return 1 if report.failed else 0


def experiments(lab, streams, parts):
    lab.prepare()
    lab.start_coordinator()
    wait_until("the coordinator", 30, lab.is_ready)
    lab.join()
    lab.start_node(0)
    lab.start_node(1)
    lab.start_gateway("https://four.lab:8640")
    report = Report(lab.load(streams, 4).result())
    unreachable(lab, report)
    if "lines" in parts:
        lines(lab, report, streams)
    if "chaos" in parts:
        chaos(lab, report, streams)
    books(lab, report, "chaos" in parts)
    if "marks" in parts:
        marks.read_everything(lab, report)
    if "cheating" in parts:
        cheating.try_every_trick(lab, report)
    return report


def unreachable(lab, report):
    """Nothing reaches a node from outside: it has no open port, and its router lets nothing in."""
    for home in lab.homes:
        sockets = home.host.inside("ss", "-Hltun").strip()
        report.note(f"{home.host.name} listens on: {sockets or 'nothing'}", bool(sockets))


def lines(lab, report, streams):
    first, second = lab.homes

    def measure(name):
        lab.check()
        report.add(name, lab.load(streams, 4).result(), 0)

    lab.restart_gateway("https://six.lab:8640")
    measure("good lines, IPv6")
    for home in lab.homes:
        home.lose(0.02)
    measure("2 % of packets lost at both nodes")
    for home in lab.homes:
        home.heal()
        home.limit("2mbit")
    measure("2 Mbit/s at both nodes")
    for home in lab.homes:
        home.heal()
    lab.start_forwarder(80)
    lab.restart_gateway("https://far.lab:8640")
    measure("80 ms of delay to the user")
    first.lose(0.02)
    second.limit("1mbit")
    measure("80 ms, 2 % lost at one node, 1 Mbit/s at the other")
    for home in lab.homes:
        home.heal()
    lab.restart_gateway("https://coordinator.lab:8640")


def chaos(lab, report, streams):
    first, second = lab.homes

    def during(name, disturb, restore=lambda: None, after=1.0):
        """Disturbs in mid-stream; every stream must end as if nothing had happened."""
        started = time.monotonic()
        load = lab.load(streams, 4)
        time.sleep(after)
        disturb()
        records = load.result()
        report.add(name, records, time.monotonic() - started)
        restore()
        wait_until("two machines again", 60, lambda: lab.machines() == 2)
        lab.check()

    def suspend(home, seconds):
        home.host.signal_all(signal.SIGSTOP)
        time.sleep(seconds)
        home.host.signal_all(signal.SIGCONT)

    def crash(number):
        lab.homes[number].host.signal_all(signal.SIGKILL)
        lab.children[lab.homes[number].host.name].wait()

    def crash_and_restart(number, pause=1.0):
        crash(number)
        time.sleep(pause)
        lab.start_node(number)

    def unplug(home, seconds):
        home.unplug()
        time.sleep(seconds)
        home.plug_in()

    def restart_coordinator():
        lab.coordinator.signal_all(signal.SIGKILL)
        lab.children["coordinator"].wait()
        time.sleep(0.3)
        lab.start_coordinator()

    def waves():
        for number in (0, 1, 0):
            crash_and_restart(number)
            wait_until("two machines", 60, lambda: lab.machines() == 2)

    during("a node asleep for 3 s", lambda: suspend(first, 3))
    during("a node asleep for 12 s", lambda: suspend(second, 12))
    during("a node's cable out for 3 s", lambda: unplug(first, 3))
    during("a node killed and started", lambda: crash_and_restart(1))
    during("three waves: half of the nodes killed", waves)
    during("the coordinator killed and started", restart_coordinator)
    during("the user's device changes networks", lambda: lab.user.change_network(40, 41))


def books(lab, report, vanished):
    """What the user got, what the machines signed and what was booked.

    A machine that vanishes leaves tokens after its last running receipt: they are delivered and
    nobody is paid for them. Everything else must be the same number, and never more.
    """
    delivered = 0
    for number in range(1, Load.count + 1):
        with open(f"{lab.folder}/load-{number}.json") as file:
            records = json.load(file)
        delivered += sum((r["usage"] or {}).get("completion_tokens", 0) for r in records)
    receipts = lab.receipts()
    signed = sum(receipt["completion_tokens"] for receipt in receipts)
    report.note(
        f"{delivered} tokens delivered, {signed} in the user's {len(receipts)} receipts",
        signed > delivered or (signed < delivered and not vanished),
    )


if __name__ == "__main__":
    sys.exit(main())
