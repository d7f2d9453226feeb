"""docs/PERFORMANCE.md and its charts, written from the raw data and from nothing else."""

import json
import statistics

from . import chart, rows
from .servers import ROOT

DATA = ROOT / "docs" / "performance"
PAGE = ROOT / "docs" / "PERFORMANCE.md"
ARTICLE = "docs/performance"


def save(name, result):
    DATA.mkdir(exist_ok=True)
    (DATA / f"{name}.json").write_text(json.dumps(round_all(result), indent=1) + "\n")


def round_all(value):
    """Five digits are more than any of these figures is worth; the files stay readable."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {k: round_all(v) for k, v in value.items()}
    return [round_all(v) for v in value] if isinstance(value, list) else value


def load(name):
    path = DATA / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


# ---- numbers ----

def number(x):
    if x is None:
        return "–"
    if x >= 1000:
        return f"{x:,.0f}"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def bound(row, value):
    if value is None:
        return ""
    return f"≤ {value:g}" if row.compared == "p50" else f"{value:g}"


def spread(found):
    ratios = [r["ratio"] for r in found]
    return f"{min(ratios):.2f}–{max(ratios):.2f}"


def verdict(row, found):
    ratio = rows.median_ratio(found)
    for word, value in (("stretch", row.stretch), ("goal", row.goal), ("at least", row.least)):
        if value is not None and row.reaches(ratio, value):
            return word
    return "" if row.least is None else "**missed**"


def rows_table(result, definitions, found):
    lines = [
        "| Stator | compared with | Stator | other | ratio | rounds | at least | goal | stretch | reached |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, rounds in found.items():
        row = definitions[name]
        key, unit = ("rate", "/s" if row.unit == "requests" else " items/s") if row.compared == "rate" else ("p50_us", " µs")
        lines.append(
            f"| {row.title} | {row.reference} | {number(rows.median(rounds, 'ours', key))}{unit} | {number(rows.median(rounds, 'theirs', key))}{unit} "
            f"| **{rows.median_ratio(rounds):.2f}** | {spread(rounds)} | {bound(row, row.least)} | {bound(row, row.goal)} "
            f"| {bound(row, row.stretch)} | {verdict(row, rounds)} |"
        )
    return "\n".join(lines)


def cpu_table(definitions, found):
    lines = ["| Stator | compared with | Stator, CPU µs | other, CPU µs | ratio | p50 ms | p99 ms | other's p50 | other's p99 |", "|---|---|---|---|---|---|---|---|---|"]
    for name, rounds in found.items():
        row = definitions[name]
        ours, theirs = rows.median(rounds, "ours", "cpu_us"), rows.median(rounds, "theirs", "cpu_us")
        times = [rows.median(rounds, side, key) / 1000 for side in ("ours", "theirs") for key in ("p50_us", "p99_us")]
        both = f"{ours / theirs:.2f}" if ours and theirs else "–"
        lines.append(f"| {row.title} | {row.reference} | {number(ours)} | {number(theirs)} | {both} | " + " | ".join(f"{t:.3f}" for t in times) + " |")
    return "\n".join(lines)


def peers_table(found):
    lines = ["| request | Stator /s | dynalite /s | times | DynamoDB Local /s | times | CPU µs: Stator | dynalite | DynamoDB Local |", "|---|---|---|---|---|---|---|---|---|"]
    for what, title in (("get", rows.GET), ("put", rows.PUT), ("query", rows.QUERY), ("batchwrite", rows.BATCH + ", items")):
        cells, cpu, ours = [], [], None
        for peer in ("dynalite", "dynamodb-local"):
            rounds = found.get(f"{what}-{peer}")
            if rounds is None:
                cells += ["–", "–"]
                cpu.append("–")
                continue
            ours = rounds
            cells += [number(rows.median(rounds, "theirs", "rate")), f"**{rows.median_ratio(rounds):.0f}** ({min(r['ratio'] for r in rounds):.0f}–{max(r['ratio'] for r in rounds):.0f})"]
            cpu.append(number(rows.median(rounds, "theirs", "cpu_us")))
        if ours is not None:
            lines.append(f"| {title} | {number(rows.median(ours, 'ours', 'rate'))} | " + " | ".join(cells) + f" | {number(rows.median(ours, 'ours', 'cpu_us'))} | " + " | ".join(cpu) + " |")
    return "\n".join(lines)


START_NAMES = {"stator": "Stator", "redis": "redis", "dynalite": "dynalite", "dynamodb-local": "DynamoDB Local"}


def starts_table(found):
    lines = ["| | start to first answer, ms | rounds | memory, MB | goal |", "|---|---|---|---|---|"]
    for name, rounds in found.items():
        ready = [r["ready_ms"] for r in rounds]
        memory = statistics.median(r["memory_bytes"] for r in rounds) / 1e6
        goal = "under 50 ms, under 30 MB" if name == "stator" else ""
        lines.append(f"| {START_NAMES[name]} | **{statistics.median(ready):.1f}** | {min(ready):.1f}–{max(ready):.1f} | **{memory:.1f}** | {goal} |")
    return "\n".join(lines)


# ---- charts ----

def ratio_chart(found):
    """How far from the goal: 1 is the goal in every row, more is better in every row."""
    lines = []
    for name, rounds in found.items():
        row = rows.ROWS[name]
        if row.goal is None:
            continue
        better = (lambda x, goal=row.goal: x / goal) if row.compared == "rate" else (lambda x, goal=row.goal: goal / x)
        values = sorted(better(r["ratio"]) for r in rounds)
        lines.append({
            "label": row.title, "sub": row.reference, "points": [(0, values[0], better(rows.median_ratio(rounds)), values[-1])],
            "marks": [better(row.least), better(row.stretch)], "text": f"{rows.median_ratio(rounds):.2f}  (goal {bound(row, row.goal)})",
        })
    return chart.dots(
        "How far from the goal", "Median of the paired ratios divided by the goal, with the rounds' range. Marks: at least, stretch. Right is better.",
        lines, [0.25, 0.5, 1, 2, 4], guide=1, tick_text=lambda t: "goal" if t == 1 else f"{t:g} x",
    )


def cpu_chart(found):
    lines, values = [], []
    for name, rounds in found.items():
        row, points = rows.ROWS[name], []
        if row.connections == 1:
            continue
        for which, side in enumerate(("ours", "theirs")):
            each = sorted(r[side]["cpu_us"] for r in rounds if r[side]["cpu_us"])
            if each:
                points.append((which, each[0], statistics.median(each), each[-1]))
                values += each
        lines.append({"label": row.title, "sub": row.reference, "points": points, "text": " / ".join(number(p[2]) for p in points) + " µs"})
    return chart.dots(
        "Processor time of one request", "µs of the server's CPU, median and range of the rounds (BatchWriteItem: of one item). Left is better.",
        lines, chart.decades(values), series=("Stator", "the other"), tick_text=lambda t: f"{t:g} µs",
    )


WORKLOADS = {"get": "GetItem", "put": "PutItem", "query": "Query, 100 items", "batchwrite": "BatchWriteItem, one item"}


def growth_chart(growth):
    panels = []
    for axis in growth["axes"].values():
        panels.append({
            "title": axis["title"],
            "labels": [point["label"].replace(" KB", "K").replace(" B", "B") for point in axis["points"]],
            "lines": {
                title: [statistics.median(r["cpu_us"] for r in point["rounds"][name]) if point["rounds"].get(name) else None for point in axis["points"]]
                for name, title in WORKLOADS.items()
            },
        })
    return chart.lines("How the cost of a request grows", "µs of the server's CPU, medians", panels, list(WORKLOADS.values()), "µs")


QUANTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p99_9": "p99.9", "p99_99": "p99.99"}


def tail_chart(tail):
    series = {"quiet": "quiet", "busy": "flushes, compaction, TTL and trimming"}
    panels = [
        {
            "title": rows_of_kind, "labels": list(QUANTILES.values()),
            "lines": {title: [statistics.median(r["by_kind"][kind][q] for r in tail["rounds"][side]) / 1000 for q in QUANTILES] for side, title in series.items()},
        }
        for kind, rows_of_kind in (("get", "GetItem"), ("put", "PutItem"), ("query", "Query, 100 items"))
    ]
    return chart.lines("Latency under half of the greatest load", "ms, from the moment a request should have left; medians of the rounds", panels, list(series.values()), "ms")


# ---- growth and tail ----

def growth_tables(growth):
    out = []
    for axis in growth["axes"].values():
        names = [n for n in WORKLOADS if any(point["rounds"].get(n) for point in axis["points"])]
        out.append(f"**{axis['title']}.** {axis['what']}\n")
        out.append("| " + axis["column"] + " | " + " | ".join(f"{WORKLOADS[n]}: per s | CPU µs | p99 ms" for n in names) + " | server's memory, MB |")
        out.append("|---" * (1 + 3 * len(names) + 1) + "|")
        for point in axis["points"]:
            cells = [point["label"]]
            for name in names:
                rounds = point["rounds"].get(name)
                if not rounds:
                    cells += ["–"] * 3
                    continue
                cells += [number(statistics.median(r[key] for r in rounds) / unit) for key, unit in (("rate", 1), ("cpu_us", 1), ("p99_us", 1000))]
            cells.append(number(point["memory_bytes"] / 1e6))
            out.append("| " + " | ".join(cells) + " |")
        out.append("")
        for remark in axis.get("remarks", ()):
            out.append(remark + "\n")
    return "\n".join(out).rstrip()


def tail_table(tail):
    lines = ["| | quiet: p50 | p99 | p99.9 | p99.99 | busy: p50 | p99 | p99.9 | p99.99 |", "|---|---|---|---|---|---|---|---|---|"]
    for kind, title in (("get", "GetItem"), ("put", "PutItem"), ("update", "UpdateItem"), ("query", "Query, 100 items")):
        cells = [
            f"{statistics.median(r['by_kind'][kind][q] for r in tail['rounds'][side]) / 1000:.2f}"
            for side in ("quiet", "busy") for q in ("p50", "p99", "p99_9", "p99_99")
        ]
        cells[2], cells[6] = f"**{cells[2]}**", f"**{cells[6]}**"
        lines.append(f"| {title}, ms | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# ---- the page ----

def circumstances(result):
    machine, others, stator = result["machine"], result["others"], result["stator"]
    words = f"{machine['cpu']}, {machine['cpus']} CPUs{' of a virtual machine' if machine['virtual'] else ''}, {machine['memory_gb']} GB, Linux {machine['linux']}."
    built = f"Stator {stator['version']}" + (f" at {stator['commit']}" if stator["commit"] else "") + (" with changes" if stator["changed"] else "")
    share = f" Other programs used {others['others']:.1%} of the CPUs meanwhile, other machines of the host {others['steal']:.1%}." if others else ""
    return f"{built}, {result['taken']}. {words}{share}" + (f" {result['note']}" if result["note"] else "")


def versions(references):
    return ", ".join(f"{name} {version}" for name, version in references.items() if version)


# Only beside figures that were measured since.
PAGES = """The client asks for the same 100 pages of 101 KB again and again, and **a Query that is repeated, while nothing was written to its item
collection, is answered from memory** ([TABLES.md](TABLES.md)), as nginx's file is: so the row of Query tells what that costs. The row *pages not
in the cache* is the same with `--page-cache-bytes 0`: what a Query costs that nobody has asked for shortly before.

"""


def template():
    return (ROOT / "tests" / "bench" / "figures" / "page.md").read_text()


def render(compare, growth):
    """{path: text} of the page and its charts."""
    options = compare["options"]
    words = {
        "compare_circumstances": circumstances(compare),
        "versions": versions(compare["references"]),
        "rows": rows_table(compare, rows.ROWS, compare["rows"]),
        "cpu": cpu_table(rows.ROWS, compare["rows"]),
        "peers": peers_table(compare["peers"]),
        "starts": starts_table(compare["starts"]),
        "pages": PAGES if "query-walked" in compare["rows"] else "",
        "rounds": options["rounds"], "seconds": f"{options['seconds']:g}", "warmup": f"{options['warmup']:g}",
        "growth_circumstances": circumstances(growth),
        "growth": growth_tables(growth),
        "growth_rounds": growth["options"]["rounds"], "growth_seconds": f"{growth['options']['seconds']:g}",
        "tail": tail_table(growth["tail"]),
        "tail_what": growth["tail"]["what"],
    }
    text = template()
    for name, value in words.items():
        text = text.replace("{{" + name + "}}", str(value))
    assert "{{" not in text, text[text.index("{{"):][:60]
    return {
        PAGE: text,
        DATA / "ratios.svg": ratio_chart(compare["rows"]),
        DATA / "cpu.svg": cpu_chart(compare["rows"]),
        DATA / "growth.svg": growth_chart(growth),
        DATA / "tail.svg": tail_chart(growth["tail"]),
    }


def write():
    compare, growth = load("compare"), load("growth")
    if compare is None or growth is None:
        missing = "compare.json" if compare is None else "growth.json"
        print(f"{missing} is not there yet: the page is written when both `make bench` and `make bench-growth` have been run")
        return
    for path, text in render(compare, growth).items():
        path.write_text(text)
