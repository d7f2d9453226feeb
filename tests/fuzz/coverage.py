"""scripts/fuzz --coverage: a table in Markdown of what the corpora reach, file by file, the least first in each room."""

import json
import pathlib
import sys

files = json.loads(pathlib.Path(sys.argv[1]).read_text())["data"][0]["files"]
source = pathlib.Path(sys.argv[2]) / "src"
rooms = {}
for entry in files:
    path = pathlib.Path(entry["filename"])
    if source in path.parents and path.suffix == ".c":
        lines, branches = entry["summary"]["lines"], entry["summary"]["branches"]
        rooms.setdefault(path.relative_to(source).parts[0], []).append(
            (lines["percent"], branches["percent"], lines["count"], lines["covered"], str(path.relative_to(source))))
print("| file | lines | reached | branches |\n|---|---|---|---|")
for room in sorted(rooms):
    rows = rooms[room]
    count, covered = sum(r[2] for r in rows), sum(r[3] for r in rows)
    print(f"| **{room}** | **{count}** | **{100 * covered / count:.0f} %** | |")
    for percent, branches, count, _, name in sorted(rows):
        print(f"| `{name}` | {count} | {percent:.0f} % | {branches:.0f} % |")
