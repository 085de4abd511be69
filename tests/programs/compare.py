# SPDX-License-Identifier: GPL-2.0
"""Is a test's output with morsels what it is with memfds? compare.py NAME MEMFD MORSEL

Results are compared one by one, and how the test ended. What is known to differ, or to fail with
both, is in the file `differences` beside this one; what is known and not so any more is wrong, too.
"""
import difflib
import os
import re
import sys

name, memfd, morsel = sys.argv[1:]


def results(path):
    """How each part ended, without its number."""
    with open(path, errors="replace") as file:
        found = (re.match(r"\s*(ok|not ok)\b(?: \d+(?=\s|$))?(.*)", line) for line in file)
        return [match[1] + match[2].rstrip() for match in found if match]


def status(path):
    with open(path, errors="replace") as file:
        return re.findall(r"^status (\d+)$", file.read(), re.MULTILINE)


with open(os.path.join(os.path.dirname(__file__), "differences")) as file:
    known = [line.strip() for line in file]
known = [line[len(name) + 2:] for line in known if line.startswith(name + ": ")]
wrong = False
for path in memfd, morsel:
    if len(status(path)) != 1:
        print(f"it did not come to its end: {path}")
        wrong = True
theirs = results(memfd) + [f"status {code}" for code in status(memfd)]
ours = results(morsel) + [f"status {code}" for code in status(morsel)]
found = []
for how, a, b, c, d in difflib.SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
    if how == "equal":
        found += [f"= {line}" for line in theirs[a:b] if line.startswith("not ok")]
    else:
        found += [f"- {line}" for line in theirs[a:b]] + [f"+ {line}" for line in ours[c:d]]
for line in found:
    if line in known:
        known.remove(line)
        continue
    print(f"{line} (-: with memfds, +: with morsels, =: with both)")
    wrong = True
for line in known:
    print(f"not so any more: {line}")
    wrong = True
print(f"{len(ours)} results")
sys.exit(wrong)
