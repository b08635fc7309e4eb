# SPDX-License-Identifier: Apache-2.0
"""The counts as tables: for a terminal, for a page, and what is below its goal."""
import collections
import os

from thresholds import CLASSES, GOALS, members

WORST = 25


def percent(part, whole):
    """Rounded down to a tenth: 100 is said of nothing less."""
    return int(1000 * part / whole) / 10 if whole else 100.0


def total(files, paths):
    """Lines run, lines, branches taken, branches of some files together."""
    return tuple(map(sum, zip((0, 0, 0, 0), *(files[path].counts() for path in paths))))


def shares(counts):
    return percent(counts[0], counts[1]), percent(counts[2], counts[3])


def folders(files):
    """Folder -> counts, in the order of names."""
    paths = collections.defaultdict(list)
    for path in files:
        paths[os.path.dirname(path)].append(path)
    return {name: total(files, paths[name]) for name in sorted(paths)}


def classes(files):
    return {name: total(files, members(name, files)) for name in CLASSES}


def worst(files):
    """Files with most that never ran."""
    def missed(path):
        lines, all_lines, branches, all_branches = files[path].counts()
        return all_lines - lines + all_branches - branches
    return {path: files[path].counts() for path in sorted(files, key=missed, reverse=True)[:WORST]}


def below(files):
    """A sentence for each class that is below its goal."""
    found = []
    for name, counts in classes(files).items():
        for what, share, goal in zip(("lines", "branches"), shares(counts), GOALS[name]):
            if share < goal:
                found.append(f"{name}: {share} % of {what}, {goal} % is the goal")
    return found


def row(name, counts, form):
    line, branch = shares(counts)
    return form.format(name, f"{line:.1f}", counts[1] - counts[0], counts[1],
                       f"{branch:.1f}", counts[3] - counts[2], counts[3])


PLAIN = "{:32} {:>6} % {:>5} of {:<6} {:>6} % {:>5} of {}"
PAGE = "| {} | {} | {} of {} | {} | {} of {} |"


def text(files):
    """For a terminal."""
    out = [f"{'':32} {'lines':>6}   {'not run':>5} {'':8} {'branches':>6} {'not taken':>8}"]
    for part in (classes(files), folders(files), worst(files)):
        out += [row(name, counts, PLAIN) for name, counts in part.items()] + [""]
    return "\n".join(out)


def page(files, stages):
    """Markdown."""
    head = "| | lines, % | not run | branches, % | not taken |\n|---|---|---|---|---|"
    with_goal = {f"{name} (goal {GOALS[name][0]} / {GOALS[name][1]})": counts for name, counts in classes(files).items()}
    out = ["# Coverage", "", "Written by `tests/coverage/run --page`. What ran: " + ", ".join(stages) + ".",
           "Branches of assertions, and the way past a switch over all values of an enum, are not counted; nothing else is left out.",
           "A process that is killed, or cannot write to the build directory, leaves no counts.", ""]
    for title, part in (("Classes", with_goal), ("Folders", folders(files)), ("Worst files", worst(files))):
        out += ["## " + title, "", head] + [row(name, counts, PAGE) for name, counts in part.items()] + [""]
    return "\n".join(out)


def figures(files):
    """Flat, for JSON."""
    flat = {}
    for name, counts in classes(files).items():
        flat[f"{name}_lines"], flat[f"{name}_branches"] = shares(counts)
    return flat
