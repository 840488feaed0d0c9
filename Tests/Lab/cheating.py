"""A coordinator that cheats is caught: each trick, and what the user reads then."""

import json
import os
import shutil
import sys
import time

from hosts import kill, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
# What is tried, and words of the message that the user must read. The answer may be whole all the
# same: it went on elsewhere, from what was authentic.
TRICKS = {
    "flip-request": "changed it",
    "flip-head": "changed it",
    "flip-answer": "changes answers",
    "swap-records": "changes answers",
    "truncate": "cut off",
    "swap-node": "changes answers",
    "replay-answer": "changes answers",
    "second-directory": "another history",
}


def ask(lab):
    """One answer on the user's device: its text, or the error that a program gets."""
    body = {
        "model": "smollm2-135m-instruct-q8_0",
        "messages": [{"role": "user", "content": "Count slowly from one to twenty, please."}],
        "temperature": 0,
        "max_tokens": 48,
    }
    done = lab.from_user(
        *("curl", "-s", "-m", "60", "http://127.0.0.1:8642/v1/chat/completions"),
        *("-H", f"authorization: Bearer {lab.key()}", "-H", "content-type: application/json"),
        *("-d", json.dumps(body)),
    )
    answer = json.loads(done.stdout or '{"error": {"message": "no answer"}}')
    if "error" in answer:
        return None, f"{answer['error'].get('code')}: {answer['error']['message']}"
    return answer["choices"][0]["message"]["content"], None


def try_every_trick(lab, report):
    """Puts the proxy between gateway and coordinator; nodes reach the honest one directly."""
    mode = f"{lab.folder}/trick"
    with open(mode, "w") as file:
        file.write("none")
    # The same key signs another log, which knows none of the machines.
    other = f"{lab.folder}/other"
    kill(lab.children.pop("coordinator"))
    shutil.copytree(f"{lab.folder}/coordinator", other, ignore=shutil.ignore_patterns("*.sock"))
    os.remove(f"{other}/directory.log")
    lab.start_coordinator(tls=False)
    lab.children["other"] = lab.coordinator.start(
        [
            *(lab.program("darkbloom-coordinator"), "serve", "--data", other),
            *("--listen", "[::]:8650", "--catalog", f"{lab.folder}/catalog"),
        ],
        lab.log("other"),
    )
    # It has a directory of its own once a machine was there.
    kill(lab.children.pop(lab.homes[1].host.name))
    lab.start_node(1, "https://coordinator.lab:8653")
    known = ("curl", "-sf", "-m", "2", "http://127.0.0.1:8650/v1/directory?from=0", "-o", "/dev/null")
    published = lambda: not lab.coordinator.start(known, "/dev/null").wait()
    certificate = ("--certificate", f"{lab.folder}/server.pem", "--key", f"{lab.folder}/server.key")
    lab.children["other-proxy"] = lab.coordinator.start(
        [sys.executable, f"{HERE}/forwarder.py", "8653", "127.0.0.1", "8650", *certificate],
        lab.log("other"),
    )
    wait_until("the other coordinator's directory", 60, published)
    kill(lab.children.pop(lab.homes[1].host.name))
    lab.start_node(1, "https://coordinator.lab:8643")
    if "proxy" not in lab.children:
        lab.children["proxy"] = lab.coordinator.start(
            [sys.executable, f"{HERE}/forwarder.py", "8643", "127.0.0.1", "8640", *certificate],
            lab.log("proxy"),
        )
        kill(lab.children.pop(lab.homes[0].host.name))
        lab.start_node(0, "https://coordinator.lab:8643")
    lab.children["cheat"] = lab.coordinator.start(
        [
            *(sys.executable, f"{HERE}/tamper.py", "8644", "--honest", "8640", "--other", "8650"),
            *(*certificate, "--mode", mode),
        ],
        lab.log("cheat"),
    )
    lab.restart_gateway("https://coordinator.lab:8644")
    honest, error = ask(lab)
    if not honest:
        report.note(f"no answer through the proxy that changes nothing: {error}", True)
        return

    def play(trick):
        with open(mode, "w") as file:
            file.write(trick)

    for trick, words in TRICKS.items():
        play(trick)
        if trick == "second-directory":
            # A gateway that was started anew has not forgotten the log either.
            kill(lab.children["user"])
            lab.start_gateway("https://coordinator.lab:8644", machines=0)
        text, error = ask(lab)
        if text is not None and trick not in ("flip-request", "flip-head", "second-directory"):
            report.note(f"{trick}: the answer is whole and right all the same", text != honest)
        else:
            wrong = text is not None or words not in error
            report.note(f"{trick}: the user reads “{error or text}”", wrong)
        # Nobody else is to blame: the machines serve on as soon as the cheating ends.
        play("none")
        started = time.monotonic()
        wait_until(f"an honest answer after {trick}", 60, lambda: ask(lab)[0] == honest)
        if time.monotonic() - started > 10:
            report.note(f"{trick}: honest answers came back only after ten seconds", True)
