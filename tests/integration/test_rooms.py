"""A room includes only rooms that CMakeLists.txt lets it link (docs/ARCHITECTURE.md)."""

import re

from conftest import ROOT


def permits():
    """room -> rooms it may include: itself and what it links, directly or through others."""
    lines = re.findall(r"^stator_room\((\w+) ([^)]*)\)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)
    rooms = {name: {word for word in words.split() if (ROOT / "src" / word).is_dir()} for name, words in lines}
    rooms["main"] = set(rooms)
    for _ in rooms:
        rooms = {name: {name, *below, *(r for b in below for r in rooms[b])} for name, below in rooms.items()}
    return rooms


def test_no_room_looks_up():
    allowed = permits()
    assert set(allowed) == {path.name for path in (ROOT / "src").iterdir()}
    assert allowed["engine"] == {"engine", "base"}
    wrong = []
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        room = path.relative_to(ROOT / "src").parts[0]
        for included in re.findall(r'^#include "(\w+)/', path.read_text(), re.MULTILINE):
            if included not in allowed[room]:
                wrong.append(f"{path.relative_to(ROOT)} includes {included}/")
    assert not wrong, "\n".join(wrong)
    assert not [
        f"{path}: {line}"
        for path in (ROOT / "src").rglob("*.[ch]")
        for line in re.findall(r'^#include "[^/"]+"', path.read_text(), re.MULTILINE)
    ], "an include names its room"


def test_internal_headers_stay_in_their_room():
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        room = path.relative_to(ROOT / "src").parts[0]
        for included in re.findall(r'^#include "(\w+)/\S*_int\.h"', path.read_text(), re.MULTILINE):
            assert included == room, f"{path} includes an internal header of {included}"


def test_the_map_names_every_room():
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    for room in permits():
        assert f"`{room}`" in text, room
