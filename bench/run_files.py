"""What studies and tests of whole runs share: reading a run's files of JSON lines, telling whether a run is the one
that is asked for, and keeping rows as a table."""

import csv
import json
import os
import re


def json_lines(path):
    """What a file of JSON lines holds so far, but for a last line that is not whole; nothing where there is no file."""
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def asked_of(command):
    """What the command line of a `tandem train` asks for: its recipe's folder and name, and its field=value pairs, the
    last of each field. Options are left out, and so is the program: they change no result."""
    first, *rest = re.split(r" (?=--|[a-z_]+(?:\.[a-z_]+)+=)", command.strip())
    fields = (part.partition("=") for part in rest if not part.startswith("--"))
    recipe = "/".join(first.split(" train ")[-1].split("/")[-2:])
    return {"recipe": recipe, **{name: value for name, _, value in fields}}


def other_asked(folder, command, but=()):
    """What the run in `folder` was asked for otherwise than `command` asks, in words; empty: nothing. but: fields that
    do not count."""
    with open(os.path.join(folder, "command.txt"), encoding="utf-8") as file:
        was, now = asked_of(file.read()), asked_of(command)
    return ", ".join(f"{name} was {was.get(name, 'as in the recipe')} and is now {now.get(name, 'as in the recipe')}"
                     for name in sorted({*was, *now} - set(but)) if was.get(name) != now.get(name))


def write_csv(path, rows):
    """Dictionaries as a table of all their columns, in the order in which they first appear."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
