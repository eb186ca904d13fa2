#!/usr/bin/env python3
"""Checks licences, banned crates and sources of all dependencies against deny.toml, where cargo-deny is not installed.

Usage: tests/licences.py [path of the workspace]

It asks `cargo metadata --locked` for every crate of Cargo.lock, those of other platforms included. Without a network
cargo may lack the crates of other platforms; then only this platform's are checked, and the output says so.
Exit status: 0 if all is well, 1 if a rule is broken, 2 if nothing could be checked.
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

try:
    import tomllib
except ImportError:
    sys.exit("tests/licences.py needs Python 3.11 or later, which can read TOML")

CRATES_IO = "https://github.com/rust-lang/crates.io-index"

# Of several licences we take one of our own, so that the list in deny.toml shows what is really needed beside them.
PREFERRED = {"MIT", "Apache-2.0"}


class NotAnExpression(Exception):
    """The text is no licence expression that this script can read."""


class Expression:
    """A licence expression of SPDX (annex D of the specification), with `/` read as OR as old crates write it."""

    def __init__(self, text):
        self.words = re.findall(r"\(|\)|/|[^\s()/]+", text)
        self.text = text
        self.tree = self.alternatives()
        if self.words:
            raise NotAnExpression(f"{text!r}: what is {self.words[0]!r} doing there?")

    def alternatives(self):
        parts = [self.conjunction()]
        while self.next_is("OR", "/"):
            parts.append(self.conjunction())
        return ("or", parts)

    def conjunction(self):
        parts = [self.licence()]
        while self.next_is("AND"):
            parts.append(self.licence())
        return ("and", parts)

    def licence(self):
        if self.next_is("("):
            tree = self.alternatives()
            if not self.next_is(")"):
                raise NotAnExpression(f"{self.text!r}: a bracket is not closed")
            return tree
        name = self.name()
        return ("id", f"{name} WITH {self.name()}" if self.next_is("WITH") else name)

    def name(self):
        if not self.words or self.words[0] in ("(", ")", "/", "OR", "AND", "WITH"):
            raise NotAnExpression(f"{self.text!r}: a licence is missing")
        return self.words.pop(0)

    def next_is(self, *wanted):
        if self.words and self.words[0] in wanted:
            self.words.pop(0)
            return True
        return False

    def accepted_with(self, allowed):
        """The allowed licences under which the crate can be used, or None if there is no way."""
        return choose(self.tree, allowed)


def choose(tree, allowed):
    kind, parts = tree
    if kind == "id":
        return {parts} if parts in allowed else None
    chosen = [choose(part, allowed) for part in parts]
    if kind == "and":
        return None if None in chosen else set().union(*chosen)
    ways = [way for way in chosen if way is not None]
    return min(ways, key=lambda way: (len(way - PREFERRED), len(way))) if ways else None


def metadata(workspace):
    """All crates, and the words that say which those are."""
    everywhere = run_cargo(workspace)
    if everywhere.returncode == 0:
        return json.loads(everywhere.stdout), "of all platforms"
    here = run_cargo(workspace, "--offline", "--filter-platform", host(workspace))
    if here.returncode == 0:
        return json.loads(here.stdout), "of this platform only (cargo could not get the others)"
    sys.stderr.write(everywhere.stderr)
    sys.exit(2)


def run_cargo(workspace, *more):
    command = [cargo(), "metadata", "--format-version", "1", "--locked", *more]
    return run(command, workspace)


def host(workspace):
    version = run([os.environ.get("RUSTC", "rustc"), "-vV"], workspace).stdout
    found = re.search(r"^host: (\S+)$", version, re.MULTILINE)
    return found.group(1) if found else "x86_64-unknown-linux-gnu"


def cargo():
    return os.environ.get("CARGO", "cargo")


def run(command, folder):
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        print(f"{command[0]} cannot be run: {error}", file=sys.stderr)
        sys.exit(2)


def licence_problems(packages, allowed, complete):
    """What is wrong with the licences, and how many crates need each of the allowed ones."""
    problems, needed = [], defaultdict(int)
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if not package["license"]:
            problems.append(f"{name} states no licence")
            continue
        try:
            way = Expression(package["license"]).accepted_with(allowed)
        except NotAnExpression as error:
            problems.append(f"{name}: {error}")
            continue
        if way is None:
            problems.append(f"{name} is under {package['license']}, of which deny.toml allows no way")
            continue
        for licence in way:
            needed[licence] += 1
    if complete:
        problems += [f"{licence} is allowed but no crate needs it" for licence in sorted(allowed - needed.keys())]
    return problems, needed


def ban_problems(packages, banned):
    return [
        f"{package['name']} {package['version']} is banned: {banned[package['name']]}"
        for package in packages
        if package["name"] in banned
    ]


def source_problems(packages, registries):
    problems = []
    for package in packages:
        source = package["source"]
        # Crates of this workspace have no source.
        if source is not None and source.removeprefix("registry+") not in registries:
            problems.append(f"{package['name']} {package['version']} comes from {source}")
    return problems


def several_versions(packages):
    versions = defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package["version"])
    return {name: found for name, found in sorted(versions.items()) if len(found) > 1}


def main():
    workspace = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    with open(workspace / "deny.toml", "rb") as file:
        rules = tomllib.load(file)
    allowed = set(rules["licenses"]["allow"])
    banned = {ban["crate"]: ban.get("reason", "no reason given") for ban in rules["bans"]["deny"]}
    registries = set(rules["sources"].get("allow-registry", [CRATES_IO]))

    graph, which = metadata(workspace)
    packages = graph["packages"]
    complete = which == "of all platforms"
    wrong_licences, needed = licence_problems(packages, allowed, complete)
    problems = wrong_licences + ban_problems(packages, banned) + source_problems(packages, registries)

    print(f"{len(packages)} crates {which}, and the licences they are used under:")
    for licence, count in sorted(needed.items(), key=lambda item: (-item[1], item[0])):
        print(f"  {count:4}  {licence}")
    twice = several_versions(packages)
    print(f"{len(twice)} crates in several versions: " + ", ".join(f"{name} ({', '.join(v)})" for name, v in twice.items()))
    print(f"{len(banned)} crates are banned: {', '.join(sorted(banned))}")
    if problems:
        print(f"{len(problems)} problems:")
        for problem in problems:
            print(f"  {problem}")
        return 1
    print("no problems")
    return 0


if __name__ == "__main__":
    sys.exit(main())
