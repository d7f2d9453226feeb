"""scripts/upgrade-fixture: a data directory with something of everything, half of it in the log of a killed program."""

import json
import os
import pathlib
import re
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.dont_write_bytecode = True


def main(name, program=str(ROOT / "build/stator"), source=str(ROOT)):
    os.environ["STATOR_BIN"] = program
    from stator_server import Server
    from upgrade import Features, fill_first, fill_second, forms, full_item, tell

    kept = ROOT / "tests/upgrade" / name
    if not re.match(r"\d+-", name) or kept.exists():
        sys.exit(f"{name}: a number, a hyphen, a word; and not one that there is")
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        features = Features()
        options = ["--data", data, "--write-buffer-bytes", "1M"]
        for more in (["--test-controls", "--dax-ports", "0"], ["--test-controls"], []):  # as much as it knows
            server = Server(folder, *options, *more, wait=False)
            try:
                server._wait_ready(20)
                options += more
                break
            except AssertionError:
                pass
        fill_first(server.endpoint, features)
        server.stop()
        server = Server(folder, *options)
        fill_second(server.endpoint, features)
        told = tell(server.endpoint, features.had)
        made = int(time.time())
        server.kill()
        for path in [*data.rglob("LOG"), *data.rglob("LOG.old.*"), data / "LOCK"]:  # RocksDB's words about its work
            path.unlink()
        kept.mkdir(parents=True)
        with tarfile.open(kept / "data.tar.xz", "w:xz", preset=9) as archive:
            archive.add(data, "data")
    checked = full_item(40)
    expected = {"made_s": made, "forms": forms(pathlib.Path(source)), "features": features.had,
                "checked": {"pk": checked["pk"], "sk": checked["sk"]}, "told": told}
    text = json.dumps(expected, separators=(",", ":"), sort_keys=True).replace("},{\"", "},\n{\"")
    (kept / "expected.json").write_text(text + "\n")
    print(f"{kept.relative_to(ROOT)}: {(kept / 'data.tar.xz').stat().st_size} bytes; has {', '.join(features.had)}")
    for what in features.missing:
        print(f"  without {what[:150]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
