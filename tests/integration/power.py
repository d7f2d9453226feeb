"""Take the power from a server's disk: tests/crash/power_shim.c writes down what is safe, this takes the rest away."""

import os
import pathlib
import shutil
import subprocess

from conftest import ROOT
from stator_server import binary


def is_sanitized():
    """A preloaded library and a sanitizer's own wrappers do not mix."""
    data = pathlib.Path(binary()).read_bytes()
    return b"__asan_init" in data or b"__tsan_init" in data


def build_shim(folder, name="power_shim"):
    library = folder / f"{name}.so"
    subprocess.run(
        ["gcc", "-O1", "-g", "-shared", "-fPIC", "-D_GNU_SOURCE", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-o", library,
         ROOT / "tests" / "crash" / f"{name}.c", "-ldl", "-lpthread"],
        check=True,
    )
    return library


class Disk:
    """One data folder; a new log for each life of the server."""

    def __init__(self, folder, data, dice, lies=False):
        """data: the disk, a folder; the server's own is below it. folder: for what is noted about it."""
        self.folder, self.data, self.dice, self.lies = folder, data, dice, lies
        self.shim = build_shim(folder)
        self.life = 0
        self.cut_bytes = self.undone_names = 0

    def environment(self):
        self.life += 1
        self.log = self.folder / f"power-{self.life}"
        self.safe = {  # what is there before the server starts
            os.stat(path).st_ino: os.stat(path).st_size for path in self.files()
        }
        return {"LD_PRELOAD": str(self.shim), "POWER_FOLDER": str(self.data), "POWER_LOG": str(self.log),
                **({"POWER_LIES": "1"} if self.lies else {})}

    def files(self):
        return [os.path.join(at, name) for at, _, names in os.walk(self.data) for name in names]

    def lose_power(self):
        """After the kill. Of the names changed in a folder since its sync a first part stays, of a file's unsafe bytes some do."""
        pending = {}  # folder -> what was done to its names, in order
        safe = self.safe
        overwritten, count = {}, 0  # inode -> (number, from, to) of what is not safe
        poisoned = set()  # a sync of them failed (disk_shim.c): what was not safe then never will be
        for line in self.log.read_text().split("\n")[:-1]:  # the kill may have cut the last one
            what, *rest = line.split(" ")
            if what == "create":
                safe[int(rest[0])] = 0
                overwritten.pop(int(rest[0]), None)
                poisoned.discard(int(rest[0]))
                pending.setdefault(os.path.dirname(rest[1]), []).append(("create", rest[1]))
            elif what == "mkdir":
                pending.setdefault(os.path.dirname(rest[0]), []).append(("mkdir", rest[0]))
            elif what == "rename":
                pending.setdefault(os.path.dirname(rest[1]), []).append(("rename", *rest))
            elif what == "unlink":
                pending.setdefault(os.path.dirname(rest[0]), []).append(("unlink", *rest))
            elif what == "truncate":
                safe[int(rest[0])] = min(safe.get(int(rest[0]), 0), int(rest[1]))
                overwritten[int(rest[0])] = [o for o in overwritten.get(int(rest[0]), ()) if o[1] < int(rest[1])]
            elif what == "overwrite":
                count += 1
                overwritten.setdefault(int(rest[0]), []).append((count, int(rest[1]), int(rest[2])))
            elif what == "poison":
                poisoned.add(int(rest[0]))
            elif what == "sync" and int(rest[0]) not in poisoned:
                safe[int(rest[0])] = max(safe.get(int(rest[0]), 0), int(rest[1]))
                overwritten[int(rest[0])] = [o for o in overwritten.get(int(rest[0]), ()) if o[0] > int(rest[2])]
            elif what == "dirsync":
                pending.pop(rest[0], None)
        for path in self.files():
            self.lose_overwritten(path, overwritten.get(os.stat(path).st_ino))
            self.cut(path, safe.get(os.stat(path).st_ino))
        for _, changes in sorted(pending.items(), reverse=True):  # what is in a folder before the folder itself
            stay = self.dice.choice((0, len(changes), self.dice.randrange(len(changes) + 1)))
            for change in reversed(changes[stay:]):
                self.undo(*change)
                self.undone_names += 1
        for backup in self.folder.glob("power-*.backup-*"):
            backup.unlink()
        self.log.unlink()

    def undo(self, what, path, *more):
        if what == "create":
            os.unlink(path)
        elif what == "mkdir":
            shutil.rmtree(path)  # no way leads there any more
        elif what == "rename":
            to, backup = more
            os.rename(to, path)
            if backup != "-":
                os.link(backup, to)
        elif what == "unlink" and more[0] != "-":
            os.link(more[0], path)

    def lose_overwritten(self, path, ranges):
        """The pages of what was written and not synced reach the disk in any order; the others are zeros, as before."""
        size = os.stat(path).st_size
        start, end = min((o[1] for o in ranges or ()), default=0), min(max((o[2] for o in ranges or ()), default=0), size)
        if start >= end:
            return
        way = self.dice.choice(("stays", "goes", "a part", "pages", "pages"))
        lost = [(start, end)] if way == "goes" else [(self.dice.randrange(start, end), end)] if way == "a part" else []
        if way == "pages":
            pages = range(start & ~4095, end, 4096)
            lost = [(max(page, start), min(page + 4096, end)) for page in pages if self.dice.random() < 0.4]
        with open(path, "r+b") as file:
            for begin, stop in lost:
                file.seek(begin)
                file.write(bytes(stop - begin))
                self.cut_bytes += stop - begin

    def cut(self, path, safe):
        size = os.stat(path).st_size
        if safe is None or size <= safe:
            return
        keep = self.dice.choice((safe, size, self.dice.randrange(safe, size + 1), self.dice.randrange(safe, size + 1)))
        os.truncate(path, keep)
        self.cut_bytes += size - keep
        if keep == safe or self.dice.random() < 0.7:
            return
        # The length may reach the disk before the bytes: then the rest of the last safe block reads as zeros. The log must
        # also bear anything else at its end.
        start, end, filler = safe, min(keep, (safe | 4095) + 1), b"\0"
        if path.endswith(".log"):
            start, end, filler = self.dice.randrange(safe, keep), keep, self.dice.choice((b"\0", b"\xa5"))
        with open(path, "r+b") as file:
            file.truncate(end)
            file.seek(start)
            file.write(filler * (end - start))
