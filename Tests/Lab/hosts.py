"""Hosts of the lab: network namespaces with their own addresses, joined by a bridge.

Everything lives in namespaces of the process that made it (`scripts/lab` enters new ones), so
nothing is left behind, whatever ends the run.
"""

import os
import signal
import subprocess
import time

WAN4, WAN6 = "10.77.0.", "fd77:0:0:"


def run(*command):
    """Runs a command; its output is shown only when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout


class Host:
    """One machine: a namespace, its addresses and the programs that run on it."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments):
        return run("ip", "-n", self.name, *arguments)

    def inside(self, *command):
        return run("ip", "netns", "exec", self.name, *command)

    def start(self, command, log, **environment):
        """Starts a program here, in a session of its own; both outputs go to `log`."""
        with open(log, "ab") as output:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **environment},
            )

    def change_network(self, before, now, device="eth0"):
        """Leaves its public addresses for others, as a laptop does that is carried elsewhere."""
        self.ip("addr", "del", f"{WAN4}{before}/24", "dev", device)
        self.ip("addr", "del", f"{WAN6}{before}::1/32", "dev", device)
        self.ip("addr", "add", f"{WAN4}{now}/24", "dev", device)
        self.ip("addr", "add", f"{WAN6}{now}::1/32", "dev", device, "nodad")

    def processes(self):
        return [int(pid) for pid in run("ip", "netns", "pids", self.name).split()]

    def signal_all(self, number):
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def kill(process, seconds=10):
    """Ends a program as a user would, then for certain."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Internet:
    """A bridge that joins the hosts; what stands behind a router cannot be reached from it."""

    def __init__(self):
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "wan", "type", "bridge")
        run("ip", "link", "set", "wan", "up")

    def host(self, name, number, device="eth0"):
        """A host with the public addresses 10.77.0.N and fd77:0:0:N::1, a network of its own."""
        host = Host(name)
        run("ip", "link", "add", f"w-{name}", "type", "veth", "peer", device, "netns", name)
        run("ip", "link", "set", f"w-{name}", "master", "wan", "up")
        host.ip("addr", "add", f"{WAN4}{number}/24", "dev", device)
        host.ip("addr", "add", f"{WAN6}{number}::1/32", "dev", device, "nodad")
        host.ip("link", "set", device, "up")
        return host

    def behind_nat(self, name, number):
        """A host at home: private addresses, and a router that lets nothing in."""
        router = self.host(f"{name}-nat", number, "out")
        host = Host(name)
        router.ip("link", "add", "home", "type", "veth", "peer", "eth0", "netns", name)
        # The same private network in every home, as in life.
        for at, device, last in ((router, "home", 1), (host, "eth0", 2)):
            at.ip("addr", "add", f"192.168.1.{last}/24", "dev", device)
            at.ip("addr", "add", f"fd01::{last}/64", "dev", device, "nodad")
            at.ip("link", "set", device, "up")
        host.ip("route", "add", "default", "via", "192.168.1.1")
        host.ip("-6", "route", "add", "default", "via", "fd01::1")
        router.inside("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            rules = (
                "-t nat -A POSTROUTING -o out -j MASQUERADE",
                "-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT",
                "-A FORWARD -i out -j DROP",
            )
            for rule in rules:
                router.inside(tables, *rule.split())
        return Home(host, router)


class Home:
    """A host behind a router, and what the router does to its packets."""

    def __init__(self, host, router):
        self.host = host
        self.router = router

    def lose(self, fraction):
        """Drops packets at random, both ways."""
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            self.router.inside(
                *f"{tables} -I FORWARD -m statistic --mode random --probability {fraction}".split(),
                *"-m comment --comment loss -j DROP".split(),
            )

    def limit(self, rate):
        """Slows the line to a rate such as 2mbit, both ways."""
        for device in ("out", "home"):
            self.router.inside(
                *f"tc qdisc replace dev {device} root tbf rate {rate} burst 16kb latency 200ms".split()
            )

    def unplug(self):
        self.router.ip("link", "set", "home", "down")

    def plug_in(self):
        self.router.ip("link", "set", "home", "up")
        # IPv6 addresses and routes through a device go with its link.
        for at, device, last in ((self.router, "home", 1), (self.host, "eth0", 2)):
            at.ip("addr", "replace", f"fd01::{last}/64", "dev", device, "nodad")
        self.host.ip("-6", "route", "replace", "default", "via", "fd01::1")

    def heal(self):
        """A good line again."""
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            rules = self.router.inside(tables, "-S", "FORWARD").splitlines()
            for rule in rules:
                if "loss" in rule:
                    self.router.inside(tables, "-D", *rule.replace("-A ", "").split())
        for device in ("out", "home"):
            try:
                self.router.inside("tc", "qdisc", "del", "dev", device, "root")
            except RuntimeError:
                pass  # no limit was set


def wait_until(what, seconds, check):
    """Waits for a condition; says what did not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} did not come within {seconds} s")
