"""Plants errors in a copy of some targets, switches on one at a time and expects the tests to fail.

The copy is built once: an environment variable chooses the mutant.
"""

import os
import subprocess
import sys

PLANTED = """
#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

private let name = unsafe getenv("MUTANT").map { unsafe String(cString: $0) }

func planted(_ mutant: String) -> Bool { name == mutant }
"""


def plant(folder, mutants):
    """Writes all mutants into a folder's sources: (name, (file, old, new), …), `@` is the switch.

    A piece that is not there exactly once is an error, so that no list falls behind the code.
    """
    (folder / "Planted.swift").write_text(PLANTED)
    for name, *pieces in mutants:
        for file, old, new in pieces:
            path = folder / file
            source = path.read_text()
            if source.count(old) != 1:
                sys.exit(f"{name}: its text is there {source.count(old)} times; bring the list up to date")
            path.write_text(source.replace(old, new.replace("@", f'planted("{name}")')))


def tests_pass(copy, mutant):
    with open(copy / f"{mutant or 'none'}.log", "wb") as log:
        # A mutant that never ends is as good as found.
        try:
            test = subprocess.run(
                ["swift", "test", "--skip-build"], cwd=copy, stdout=log, stderr=log, timeout=120,
                env=os.environ | {"MUTANT": mutant})
        except subprocess.TimeoutExpired:
            return False
        return test.returncode == 0


def run(copy, mutants, names):
    """Builds the copy and tries the mutants named, or all; ends the program when one survives."""
    if subprocess.run(["swift", "build", "--build-tests"], cwd=copy).returncode != 0:
        sys.exit("the copy with its mutants does not compile")
    if not tests_pass(copy, ""):
        sys.exit(f"the tests fail without a mutant: see {copy}/none.log")
    survivors = 0
    for name, *_ in mutants:
        if names and name not in names:
            continue
        survived = tests_pass(copy, name)
        survivors += survived
        print(f"{name}: {'SURVIVES' if survived else 'found'}", flush=True)
    if survivors:
        sys.exit(f"{survivors} mutants survive: the tests must be tightened")
