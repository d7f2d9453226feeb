"""Which machine, which programs, and who else was on it."""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import time

from . import servers


def version(*command, pattern=r"\d+\.\d+(?:\.\d+)?"):
    out = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    found = re.search(pattern, out.stdout + out.stderr)
    return found[0] if found else None


def git(*words):
    out = subprocess.run(["git", "-C", str(servers.ROOT), *words], capture_output=True, text=True)
    return out.stdout.strip() if out.returncode == 0 else ""


def stator():
    """The version, and the commit the work tree was at."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "CMakeLists.txt")
    return {"version": version(servers.STATOR, "version"), "commit": git("rev-parse", "--short", "HEAD"), "changed": bool(changed)}


def rocksdb():
    import ctypes.util

    name = ctypes.util.find_library("rocksdb") or ""
    found = re.search(r"so\.(\d+\.\d+)", name)
    return found[1] if found else None


def local_jar():
    jars = sorted(servers.DynamoDBLocal.lib.glob("DynamoDBLocal-*.jar"))
    return re.search(r"-([\d.]+)\.jar", jars[-1].name)[1] if jars else None


def dynalite():
    import json

    package = servers.Dynalite.script.parent / "package.json"
    return json.loads(package.read_text())["version"] if package.exists() else None


def references():
    return {
        "nginx": version(shutil.which("nginx") or "/usr/sbin/nginx", "-v"),
        "redis": version("redis-server", "--version"),
        "memcached": version("memcached", "--version"),
        "RocksDB": rocksdb(),
        "dynalite": dynalite(),
        "node": version(servers.node() or "node", "--version"),
        "DynamoDB Local": local_jar(),
        "Java": version("java", "-version"),
    }


def describe():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) * 1024
    return {
        "cpu": model[1].strip() if model else platform.machine(),
        "cpus": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "linux": re.match(r"\d+\.\d+", platform.release())[0],
        "virtual": "hypervisor" in info,
    }


class Others:
    """How much of the CPUs others used between two looks: programs (user and system time), and other virtual machines (steal)."""

    def __init__(self, own_pids):
        self.own_pids = own_pids  # a function: our children that still run
        self.began = time.monotonic()
        self.before = self.look()

    def look(self):
        fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        tick = os.sysconf("SC_CLK_TCK")
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        own += sum(servers.cpu_seconds(pid) for pid in self.own_pids())
        # interrupts, too: what they do for sockets is counted for the process that they interrupt
        busy = (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / tick
        return {"others": busy - own, "steal": fields[7] / tick}

    def result(self):
        now, seconds = self.look(), (time.monotonic() - self.began) * (os.cpu_count() or 1)
        return {name: max(0.0, round((now[name] - self.before[name]) / seconds, 4)) for name in now}
