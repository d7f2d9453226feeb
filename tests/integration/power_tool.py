"""The disk of power.py for programs that are no Python: tests/history.

    power_tool.py begin FOLDER DATA        prints the environment of the server's next life
    power_tool.py lose FOLDER DATA SEED    after its death: takes away what was not safe

With POWER_LIES in the environment syncs are answered and not done: what is lost then must be noticed.
"""

import json
import os
import pathlib
import random
import sys

import power


def main():
    what, folder, data = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    folder.mkdir(exist_ok=True)
    kept = folder / "disk.json"
    library = folder / "power_shim.so"
    if library.exists():
        power.build_shim = lambda _: library
    dice = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    disk = power.Disk(folder, data, dice, lies="POWER_LIES" in os.environ)
    if kept.exists():
        state = json.loads(kept.read_text())
        disk.life, disk.safe = state["life"], {int(inode): size for inode, size in state["safe"].items()}
    disk.log = folder / f"power-{disk.life}"
    if what == "begin":
        print("\n".join(f"{name}={value}" for name, value in disk.environment().items()))
        kept.write_text(json.dumps({"life": disk.life, "safe": disk.safe}))
    elif what == "lose":
        disk.lose_power()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
