"""What a worker costs beside another one: processor time for the same requests, in turns.

speed.py PROGRAMS PROGRAMS MODEL.gguf    two folders of programs, for example an unpacked package's
                                         usr/lib/darkbloom and .build/release

Processor time and not the clock, so that a busy machine changes little; one thread, best of ROUNDS.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROUNDS = 4
TICKS = os.sysconf("SC_CLK_TCK")
JOBS = {"reading": (150, 1), "writing": (5, 100)}  # words of the prompt, tokens of the answer


class Network:
    """`darkbloom up` of one folder, with a home of its own."""

    def __init__(self, programs, model, port):
        self.programs, self.port, self.home = programs, port, tempfile.mkdtemp()
        self.model = pathlib.Path(model).stem
        self.environment = {"HOME": self.home, "PATH": os.environ["PATH"]}
        self.log = pathlib.Path(self.home, "log")
        with open(self.log, "wb") as log:
            self.up = subprocess.Popen(
                [programs / "darkbloom", "up", "--port", str(port), "--threads", "1"]
                + ["--slots", "1", "--model", model],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_until_ready(self):
        while "Ctrl-C stops" not in self.log.read_text():
            if self.up.poll() is not None:
                sys.exit(self.log.read_text())
            time.sleep(0.1)
        told = subprocess.run([self.programs / "darkbloom", "env", "--json"], check=True,
                              env=self.environment, capture_output=True)
        self.key = json.loads(told.stdout)["api_key"]

    def spent(self):
        """Seconds that this folder's workers computed so far. proc(5)."""
        ticks = 0
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "exe").samefile(self.programs / "darkbloom-worker"):
                    ticks += int((folder / "stat").read_text().rpartition(")")[2].split()[11])
            except OSError:
                continue  # it ended, or is another user's
        return ticks / TICKS

    def ask(self, number, words, tokens):
        """Tokens a second of processor time; prompts share nothing."""
        prompt = " ".join(f"{number * word * 7 % 977} apples" for word in range(words))
        body = {"model": self.model, "max_tokens": tokens, "temperature": 0, "prompt": prompt}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/completions", json.dumps(body).encode(),
            {"authorization": f"Bearer {self.key}", "content-type": "application/json"})
        before = self.spent()
        with urllib.request.urlopen(request, timeout=300) as response:
            usage = json.load(response)["usage"]
        counted = usage["prompt_tokens" if tokens == 1 else "completion_tokens"]
        return counted / (self.spent() - before)

    def stop(self):
        self.up.terminate()
        self.up.wait(40)
        shutil.rmtree(self.home)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    folders = [pathlib.Path(name).resolve() for name in sys.argv[1:3]]
    networks = [Network(folder, sys.argv[3], 8771 + i) for i, folder in enumerate(folders)]
    try:
        for network in networks:
            network.wait_until_ready()
            network.ask(1, 10, 8)
        for job, (words, tokens) in JOBS.items():
            best = [0.0, 0.0]
            for turn in range(ROUNDS):
                for i, network in enumerate(networks):
                    best[i] = max(best[i], network.ask(2 + turn + tokens, words, tokens))
            print(f"{job}: {best[0]:.0f} and {best[1]:.0f} tokens a second of processor time, "
                  f"ratio {best[0] / best[1]:.2f}")
    finally:
        for network in networks:
            network.stop()


main()
