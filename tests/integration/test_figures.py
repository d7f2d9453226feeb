"""The benchmarks run, and what they write is right. No timing is judged here."""

import importlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "bench"))
chart, page, rows = (importlib.import_module(f"figures.{name}") for name in ("chart", "page", "rows"))

SVG = "{http://www.w3.org/2000/svg}"


def run(script, folder, *options):
    env = {**os.environ, "BENCH_DIR": str(folder)}
    out = subprocess.run([ROOT / "tests" / "bench" / script, "--smoke", "--json", folder / "raw.json", *options], capture_output=True, text=True, env=env)
    assert out.returncode == 0, out.stdout + out.stderr
    assert [path.name for path in folder.iterdir()] == ["raw.json"]  # nothing is left behind
    return json.loads((folder / "raw.json").read_text())


def check_rounds(found, definitions, names):
    assert list(found) == names
    for name, rounds in found.items():
        (only,) = rounds
        assert only["ratio"] == definitions[name].ratio(only["ours"], only["theirs"]) > 0
        for side in ("ours", "theirs"):
            assert only[side]["rate"] > 0 and 0 < only[side]["p50_us"] <= only[side]["p99_us"] and only[side]["cpu_us"] > 0


@pytest.mark.figures
def test_every_row_runs(tmp_path):
    names = list(rows.ROWS)
    result = run("compare", tmp_path, "--rows", *names)
    check_rounds(result["rows"], rows.ROWS, names)
    assert all(result["references"].values()), result["references"]


long = pytest.mark.skipif(os.environ.get("FIGURES") != "all", reason="minutes long: FIGURES=all, and in make torture")


@long
@pytest.mark.figures
@pytest.mark.parametrize("peer", ["dynalite", "dynamodb-local"])
def test_other_dynamodbs_run(peer, tmp_path):
    names = [name for name, row in rows.PEERS.items() if row.theirs[0] == peer]
    check_rounds(run("compare", tmp_path, "--rows", *names)["peers"], rows.PEERS, names)


@pytest.mark.figures
def test_starts_run(tmp_path):
    result = run("compare", tmp_path, "--rows", "start")
    assert set(result["starts"]) == set(rows.STARTS)
    for ((start,)) in result["starts"].values():
        assert start["ready_ms"] > 0 and start["memory_bytes"] > 1 << 20


@long
@pytest.mark.figures
def test_growth_runs(tmp_path):
    result = run("growth", tmp_path)
    assert set(result["axes"]) == {"items", "tables", "connections", "sizes"}
    for axis in result["axes"].values():
        for point in axis["points"]:
            assert point["memory_bytes"] > 1 << 20
            assert all(only["rate"] > 0 for (only,) in point["rounds"].values())
    tail = result["tail"]
    assert tail["done"]["expired"] > 0
    for side in ("quiet", "busy"):
        (only,) = tail["rounds"][side]
        assert set(only["by_kind"]) == {"get", "put", "update", "query"}


def test_the_page_is_what_the_raw_data_says():
    out = subprocess.run([ROOT / "tests" / "bench" / "report", "--check"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr


def a_row(**more):
    return rows.Row("ours", "theirs", "get", ("redis", "get"), **more)


def rounds_of(*ratios):
    return [{"ratio": r, "ours": {"rate": 100 * r, "p50_us": 10.0}, "theirs": {"rate": 100.0, "p50_us": 5.0}} for r in ratios]


def test_ratios_and_their_bounds():
    more, less = a_row(least=0.5, goal=0.75, stretch=1.0), a_row(least=1.25, goal=1.1, stretch=1.0, compared="p50")
    assert more.ratio({"rate": 30, "p50_us": 1}, {"rate": 40, "p50_us": 9}) == 0.75
    assert less.ratio({"rate": 30, "p50_us": 8}, {"rate": 40, "p50_us": 4}) == 2
    assert rows.median_ratio(rounds_of(3, 1, 2, 50, 1)) == 2
    for row, ratio, word in (
        (more, 1.0, "stretch"), (more, 0.99, "goal"), (more, 0.75, "goal"), (more, 0.5, "at least"), (more, 0.49, "**missed**"),
        (less, 1.0, "stretch"), (less, 1.1, "goal"), (less, 1.25, "at least"), (less, 1.26, "**missed**"), (a_row(), 9, ""),
    ):
        assert page.verdict(row, rounds_of(ratio)) == word, (row, ratio)


def test_a_table_has_the_median_and_the_spread():
    table = page.rows_table(None, {"x": a_row(least=0.5, goal=0.75, stretch=1.0)}, {"x": rounds_of(0.9, 0.6, 0.8)})
    cells = [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")]
    assert cells == ["ours", "theirs", "80.0/s", "100/s", "**0.80**", "0.60–0.90", "0.5", "0.75", "1", "goal"]


def test_charts_are_readable_svg():
    dots = chart.dots("Title <&>", "about", [{"label": "a & b", "sub": "c", "points": [(0, 1, 2, 3), (1, 1, 900, 901)], "marks": [0.5], "text": "2"}], [0.1, 1, 10])
    lines = chart.lines("T", "about", [{"title": "p", "labels": ["1", "2"], "lines": {"a": [1, 10], "b": [None, 3]}}], ["a", "b"], "µs")
    for text in (dots, lines):
        root = xml.etree.ElementTree.fromstring(text)
        assert root.find(f"{SVG}title").text and root.find(f"{SVG}desc").text
        assert "prefers-color-scheme: dark" in root.find(f"{SVG}style").text
        width, height = (float(root.get(name)) for name in ("width", "height"))
        for element in root.iter(f"{SVG}text"):
            assert 0 <= float(element.get("x")) <= width and 0 <= float(element.get("y")) <= height
        for path in root.iter(f"{SVG}path"):
            for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d")):
                assert 0 <= float(x) <= width and 0 <= float(y) <= height
    # higher values lie further up, larger ones further to the right
    (path,) = (p.get("d") for p in xml.etree.ElementTree.fromstring(lines).iter(f"{SVG}path") if p.get("class") == "line s0")
    (x1, y1), (x2, y2) = re.findall(r"([\d.]+) ([\d.]+)", path)
    assert float(x2) > float(x1) and float(y2) < float(y1)


@pytest.mark.parametrize("values, ticks", [([3, 40], [2, 5, 10, 20, 50]), ([0.15, 0.9], [0.1, 0.2, 0.5, 1])])
def test_ticks_surround_the_values(values, ticks):
    assert chart.decades(values) == pytest.approx(ticks)
