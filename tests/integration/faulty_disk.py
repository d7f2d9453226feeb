"""Make a server's disk fail on command: the other end of tests/crash/disk_shim.c."""

import contextlib
import errno
import mmap
import struct

from power import build_shim

READ, WRITE, SYNC, OPEN, RENAME, UNLINK, TRUNCATE, ALLOCATE = (1 << i for i in range(8))
TORN, SHORT = -1, -2
LAYOUT = struct.Struct("<IIiIIII256s100s")
EIO, ENOSPC = errno.EIO, errno.ENOSPC


class FaultyDisk:
    """Of one data folder. With a power.Disk, what a failed sync did not write is lost with the power, too."""

    def __init__(self, folder, data, power=None):
        self.data, self.power = data, power
        self.shim = build_shim(folder, "disk_shim")
        self.path = folder / "disk-control"
        self.path.write_bytes(bytes(LAYOUT.size))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), LAYOUT.size)

    def environment(self):
        env = self.power.environment() if self.power else {}
        return {**env, "LD_PRELOAD": ":".join(filter(None, (str(self.shim), env.get("LD_PRELOAD")))), "DISK_CONTROL": str(self.path)}

    def arm(self, pattern, operations, result=EIO, skip=0, count=0):
        """The calls on files named so fail after the first `skip`, `count` times; 0: until disarm()."""
        self.disarm()
        packed = LAYOUT.pack(0, operations, result, skip, count, 0, 0, str(self.data).encode(), pattern.encode())
        self.map[4:LAYOUT.size] = packed[4:]
        self.map[0:4] = struct.pack("<I", 1)

    def disarm(self):
        self.map[0:4] = bytes(4)

    @property
    def passed(self):
        return struct.unpack_from("<I", self.map, 20)[0]

    @property
    def failed(self):
        """How many calls have failed since it was armed."""
        return struct.unpack_from("<I", self.map, 24)[0]

    @contextlib.contextmanager
    def failing(self, *args, **kwargs):
        self.arm(*args, **kwargs)
        try:
            yield self
        finally:
            self.disarm()
