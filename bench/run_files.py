"""What studies and tests of whole runs share: reading a run's files of JSON lines, and keeping rows as a table."""

import csv
import json


def json_lines(path):
    """What a file of JSON lines holds so far, but for a last line that is not whole; nothing where there is no file."""
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def write_csv(path, rows):
    """Dictionaries as a table of all their columns, in the order in which they first appear."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
