#!/usr/bin/python3
"""What t/bench/overload computes: mixes, calibration, rows, tables, a plot.

Called by t/bench/overload with the name of a function below and its
arguments.  Python's standard library only.
"""

import http.client
import json
import math
import os
import random
import sys
import time

# name, kind, CPU time in us or the cost as the generator draws it, weight,
# budget in ms.  Only hashmix can be made to take milliseconds; of primecount
# and montecarlo_risk the work is bounded whatever the declared cost, so a
# claim of hours is 70 us or 5 us of work: these are the liars.

SHORT = ("short", "hashmix", 20, 60, 5)
MID = ("mid", "hashmix", 1200, 30, 25)
HEAVY = ("heavy", "hashmix", 18000, 10, 150)

MIXES = {
    "balanced": (SHORT, MID, HEAVY),
    "short-heavy": (SHORT[:3] + (85, 5), MID[:3] + (10, 25),
                    HEAVY[:3] + (5, 150)),
    "lying": (("risk", "montecarlo_risk", "uniform:1:20000000000", 30, 5),
              ("prime", "primecount", "lognormal:16:3", 30, 5),
              MID, HEAVY),
}

COMMANDS = ("calibrate", "mix", "describe", "halves", "capacity", "told", "row",
            "table", "targets", "scenario", "report", "svg")

COLOURS = {
    "predictive": "#2f9e44", "threshold": "#e8590c",
    "threshold-tuned": "#c9a227", "pool": "#d6336c",
    "limit_conn": "#3b82f6", "limit_req": "#9c5cd6",
}


def read(path):
    with open(path) as f:
        return json.load(f)


def get(connection, path):
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


# -- calibration

def draw(rng, cost):
    parts = cost.split(":")
    if parts[0] == "uniform":
        return rng.randint(int(parts[1]), int(parts[2]))
    return max(1, int(math.exp(rng.gauss(float(parts[1]), float(parts[2])))))


def calibrate(port, path, out):
    """Cost of each class and its CPU time, from pinned jobs one at a time."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    rng = random.Random(1)

    pids = [w["pid"] for w in get(connection, "/helix/api/stats")["workers"]]

    def spent():
        """us of the pool's threads"""
        total = 0
        for pid in pids:
            for task in os.listdir("/proc/%d/task" % pid):
                if task != str(pid):
                    with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
                        total += int(f.read().split()[0]) / 1000
        return total

    def us(kind, costs):
        """CPU time, of which neighbours take none; short jobs are seldom
        interrupted, and there the way to the thread would count."""
        before = spent()
        wall = sum(get(connection, "%s?kind=%s&inputs=42,100&compute_cost=%d"
                       % (path, kind, cost))["exec_ms"] for cost in costs)
        time.sleep(0.02)
        cpu = (spent() - before) / len(costs)
        return cpu if cpu > 500 else wall * 1000 / len(costs)

    unit = us("hashmix", [10 ** 8] * 40) / 10 ** 8
    mixes = {}
    known = {}

    for mix, classes in MIXES.items():
        rows = []
        for name, kind, work, weight, budget in classes:
            cost = str(int(work / unit)) if isinstance(work, int) else work
            if (kind, cost) not in known:
                known[kind, cost] = us(kind, [
                    int(cost) if cost.isdigit() else draw(rng, cost)
                    for _ in range(20 if work == HEAVY[2] else 60)])
            rows.append({"name": name, "kind": kind, "cost": cost,
                         "weight": weight, "budget_ms": budget,
                         "us": round(known[kind, cost], 1)})
        total = sum(r["weight"] for r in rows)
        mean = sum(r["weight"] * r["us"] for r in rows) / total
        mixes[mix] = {"classes": rows, "mean_us": round(mean, 1)}

    with open(out, "w") as f:
        json.dump({"ns_per_unit": unit * 1000, "mixes": mixes}, f)


def mix(cal, name):
    """The generator's --class arguments, one a line."""
    for c in read(cal)["mixes"][name]["classes"]:
        print("%s,weight=%d,budget=%dms,cost=%s,query=kind=%s&inputs=42,100"
              % (c["name"], c["weight"], c["budget_ms"], c["cost"], c["kind"]))


def describe(cal, name):
    m = read(cal)["mixes"][name]
    total = sum(c["weight"] for c in m["classes"])
    print("mix %s: %s; mean %.2f ms of CPU" % (name, ", ".join(
        "%.0f %% %s (%s, %s, budget %d ms)" % (
            100 * c["weight"] / total, c["name"], c["kind"],
            "%.3g ms" % (c["us"] / 1000) if ":" not in c["cost"] else
            "declares %s, takes %.3g ms" % (c["cost"], c["us"] / 1000),
            c["budget_ms"])
        for c in m["classes"]), m["mean_us"] / 1000))


def halves(cal, name):
    """Half of the larger budgets, in us: the generator knows one time only."""
    budgets = {c["budget_ms"] for c in read(cal)["mixes"][name]["classes"]}
    print(*(500 * b for b in sorted(budgets)[1:]))


# -- one run

def elapsed(d):
    """Seconds that the generator divides by: answers may come after the end."""
    t = d["total"]
    if t["good"] and t["good_per_second"]:
        return t["good"] / t["good_per_second"]
    return d["measured_ms"] / 1000


def work(d, classes, *outcomes):
    """CPU seconds of the jobs with these outcomes."""
    return sum(d["classes"][c["name"]][o] * c["us"] / 1e6
               for c in classes for o in outcomes)


def capacity(cal, name, gen):
    """Jobs a second of a closed loop.  The few heavy jobs of a short run would
    make this vary by several percent: it is reckoned from the work done."""
    m = read(cal)["mixes"][name]
    d = read(gen)
    share = work(d, m["classes"], "good", "late") / elapsed(d)
    print("%.1f %.4f" % (share * 1e6 / m["mean_us"], share))


def told(gen):
    """Goodput, and why the run is void."""
    d = read(gen)
    print("%.1f" % d["total"]["good_per_second"], "; ".join(d["void_reasons"]))


BOOKS = ("received", "invalid", "dropped", "admitted", "completed", "failed",
         "expired", "cancelled", "shed", "lost", "late")


def books(before, after):
    return {k: after[k] - before.get(k, 0) for k in BOOKS}


def wasted(before, after):
    """Share of the CPU that went into jobs late, expired or cancelled."""
    before, after = before.get("predictive", {}), after.get("predictive", {})
    spent = after.get("cpu_secs", 0) - before.get("cpu_secs", 0)
    if spent <= 0 or "wasted_secs" not in after:
        return None
    return (after["wasted_secs"] - before["wasted_secs"]) / spent


def balance(d):
    return (d["received"] == d["invalid"] + d["dropped"] + d["admitted"]
            and d["admitted"] == sum(d[k] for k in (
                "completed", "failed", "expired", "cancelled", "shed", "lost",
                "in_flight")))


def row(rows, cal, gen, before, after, *args):
    """Appends one line of JSON to ROWS."""
    key = dict(a.split("=", 1) for a in args)
    classes = read(cal)["mixes"][key["mix"]]["classes"]
    d = read(gen)
    t = d["total"]
    seconds = elapsed(d)
    missed = t["late"] + t["expired"] + t["unanswered"]
    ran = work(d, classes, "good", "late")
    before, after = read(before), read(after)

    r = {
        **{k: key[k] for k in ("mix", "policy", "value")},
        "load": float(key["load"]),
        "offered_per_second": t["sent"] / d["measured_ms"] * 1000,
        "offered_work": work(d, classes, "sent") / d["measured_ms"] * 1000,
        "good_per_second": t["good_per_second"],
        "good_work": work(d, classes, "good") / seconds,
        "miss_share": missed / (missed + t["good"]) if missed else 0,
        "late_work": work(d, classes, "late") / ran if ran else 0,
        "waste": wasted(before, after),
        "core_used": float(key["cpu_ns"]) / 1e9 / float(key["wall"]),
        "core_others": max(0, float(key["busy_ns"]) - float(key["cpu_ns"]))
                       / 1e9 / float(key["wall"]),
        **{k: t[k] for k in ("rejected", "errors", "expired", "unanswered",
                             "reasons", "strategies", "reject_ms")},
        "generator": d["generator"],
        "void": d["void_reasons"], "seconds": seconds,
        "books": books(before, after), "predictive": after.get("predictive"),
        "classes": {},
    }

    for c in classes:
        s = d["classes"][c["name"]]
        r["classes"][c["name"]] = {
            **{k: s[k] for k in ("sent", "good", "late", "rejected",
                                 "strategies", "reasons", "latency_ms")},
            "met": s["good"] / s["sent"] if s["sent"] else None,
            "p99_to_budget": s["latency_ms"]["p99"] / c["budget_ms"],
        }

    with open(rows, "a") as f:
        f.write(json.dumps(r) + "\n")


def load_rows(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f]


def chosen(rows, mix, policy):
    return [r for r in rows if r["mix"] == mix and r["policy"] == policy]


def peaks(rows):
    """Of the valid runs, if there are any."""
    rows = [r for r in rows if not r["void"]] or rows
    return (max(r["good_per_second"] for r in rows) or 1,
            max(r["good_work"] for r in rows) or 1)


def percent(x, digits=1):
    return "-" if x is None else "%.*f" % (digits, 100 * x)


def worst(r):
    return max(c["p99_to_budget"] for c in r["classes"].values())


def table(rows, mix, policy):
    rows = chosen(load_rows(rows), mix, policy)
    if not rows:
        return
    count, share = peaks(rows)
    names = list(rows[0]["classes"])
    print("\n%s, %s%s" % (mix, policy, " (%s)" % rows[0]["value"]
                          if rows[0]["value"] else ""))
    print("%5s %8s %8s %6s %6s %6s  %s %7s %7s %7s %7s %7s  %s" % (
        "load", "sent/s", "good/s", "%peak", "core%", "%peak",
        " ".join("%7s" % n[:7] for n in names), "miss%", "p99/bud", "latew%",
        "waste%", "others%", "rejected for"))
    for r in rows:
        notes = ["%s %d" % i for i in sorted(r["reasons"].items())]
        notes += ["%s: %d" % (text, r[k]) for k, text in (
            ("expired", "answered 504"), ("unanswered", "unanswered"),
            ("errors", "errors")) if r[k]]
        if r["void"]:
            notes.append("VOID: " + "; ".join(r["void"]))
        print("%4gx %8.1f %8.1f %6s %6s %6s  %s %7s %7.2f %7s %7s %7s  %s" % (
            r["load"], r["offered_per_second"], r["good_per_second"],
            percent(r["good_per_second"] / count), percent(r["good_work"]),
            percent(r["good_work"] / share),
            " ".join("%7s" % percent(r["classes"][n]["met"], 2)
                     for n in names),
            percent(r["miss_share"], 2), worst(r), percent(r["late_work"], 2),
            percent(r["waste"], 2), percent(r["core_others"]),
            ", ".join(notes) or "-"))


def targets(rows, mix):
    """The predictive policy's rows against what is asked of it."""
    rows = [r for r in chosen(load_rows(rows), mix, "predictive")
            if not r["void"]]
    if not rows:
        return
    print("\n%s, predictive against its targets (valid rows only)" % mix)

    _, share = peaks(rows)
    for r in rows:
        noise = ("; others had %s %% of the core" % percent(r["core_others"])
                 if r["core_others"] > 0.03 else "")

        def say(ok, text, load=r["load"], noise=noise):
            print("  %-4s %4gx %s%s" % ("ok" if ok else "MISS", load, text,
                                        noise))

        name, c = next(iter(r["classes"].items()))
        if r["load"] >= 10:
            x = r["good_work"] / share
            say(x >= 0.95, "goodput %s %% of its peak (95)" % percent(x))
            say(c["met"] is None or c["met"] >= 0.999,
                "%s %s %% in budget (99.9)" % (name, percent(c["met"], 2)))
        if r["load"] <= 0.7:
            say(not r["rejected"], "rejected %d (0)" % r["rejected"])
        say(r["miss_share"] <= 0.001, "late %s %% of the admitted (0.1)"
            % percent(r["miss_share"], 2))
        say(worst(r) <= 0.95, "p99 %.2f of the budget (0.95)" % worst(r))


# -- scenarios

def scenario(out, gen, before, after, *args):
    """Windows of the series: "windows=NAME:FROM:TO,..." in ms."""

    key = dict(a.split("=", 1) for a in args)
    d, before, after = read(gen), read(before), read(after)
    t = d["total"]
    waste = wasted(before, after)
    found = {**{k: key[k] for k in ("scenario", "policy", "mix", "value")},
             "void": d["void_reasons"], "series": d["series"], "windows": {},
             "books": books(before, after), "balance": balance(after),
             "waste": waste, "crashes": after["crashes"],
             "total": {k: t[k] for k in (
                 "sent", "retries", "resent", "good", "late", "rejected",
                 "expired", "aborted", "errors", "unanswered",
                 "errors_by_kind", "reasons", "good_per_second")}}

    print("\n%s, %s%s" % (key["scenario"], key["policy"],
                          "   VOID: " + "; ".join(d["void_reasons"])
                          if d["void"] else ""))

    if key.get("windows"):
        print("  %-26s %9s %9s %9s %9s %9s" % (
            "per second", "offered", "good", "late", "rejected", "errors"))
        for text in key["windows"].split(","):
            name, first, last = text.split(":")
            first, last = float(first), float(last)
            slots = [s for s in d["series"]
                     if first <= s["at_ms"] + 0.01 < last]
            sums = {k: sum(s[k] for s in slots) * 1000 / (last - first)
                    for k in ("offered", "good", "late", "rejected", "errors")}
            found["windows"][name] = sums
            print("  %-26s %9.1f %9.1f %9.1f %9.1f %9.1f" % (
                (name,) + tuple(sums.values())))

    b = found["books"]
    print("  sent %d: good %d, late %d, rejected %d, aborted %d, 504 %d, "
          "errors %d %s, unanswered %d; %d retries, %d resent" % (
              t["sent"], t["good"], t["late"], t["rejected"], t["aborted"],
              t["expired"], t["errors"], t["errors_by_kind"] or "",
              t["unanswered"], t["retries"], t["resent"]))
    print("  server: %s; lost %d, cancelled %d, shed %d, crashes %d; "
          "waste %s %%" % (
        "the books balance" if found["balance"] else "THE BOOKS DO NOT BALANCE",
        b["lost"], b["cancelled"], b["shed"], found["crashes"],
        percent(waste, 2)))

    if "canary" in d:
        ms = d["canary"]["latency_ms"]
        found["canary"] = d["canary"]
        print("  status page: %d asked, %d answered 200; ms p50 %.2f, "
              "p99 %.2f, max %.2f" % (
                  d["canary"]["sent"], d["canary"]["status"].get("200", 0),
                  ms["p50"], ms["p99"], ms["max"]))

    if float(key["used"]):
        classes = read(key["cal"])["mixes"][key["mix"]]["classes"]
        done = work(d, classes, "good", "late") / d["measured_ms"] * 1000
        found["core"] = {"answered": done, "used": float(key["used"])}
        print("  of the core: used %s %%, for answered jobs %s %%; the rest "
              "is overhead and nobody's" % (
                  percent(float(key["used"])), percent(done)))

    with open(out, "a") as f:
        f.write(json.dumps(found) + "\n")


# -- JSON and SVG

def report(out, cal, rows, scenarios, tuning, meta):
    d = read(meta)
    d["calibration"] = read(cal)
    d["tuning"] = load_rows(tuning)
    d["rows"] = load_rows(rows)
    d["scenarios"] = load_rows(scenarios)
    for r in d["rows"]:
        count, share = peaks(chosen(d["rows"], r["mix"], r["policy"]))
        r["good_of_peak"] = r["good_per_second"] / count
        r["work_of_peak"] = r["good_work"] / share
    with open(out, "w") as f:
        json.dump(d, f, indent=1)


STYLE = """
 text { font: 12px sans-serif; fill: #333; }
 .t { font-weight: bold; } .s { font-size: 10px; }
 .g { stroke: #999; stroke-opacity: .35; }
 .l { fill: none; stroke-width: 2; }
 @media (prefers-color-scheme: dark) { text { fill: #ddd; } }
"""

WIDTH, HEIGHT, LEFT, TOP = 210, 150, 42, 24


def panel(out, x, y, title, lines, loads, top, unit):
    def px(load):
        span = math.log(loads[-1] / loads[0]) or 1
        return x + LEFT + WIDTH * (math.log(load / loads[0]) / span
                                   if len(loads) > 1 else 0.5)

    def py(value):
        return y + TOP + HEIGHT * (1 - value / top)

    out.append('<text class="t" x="%d" y="%d">%s</text>'
               % (x + LEFT, y + 14, title))
    for i in range(5):
        v = top * i / 4
        out.append('<line class="g" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>'
                   % (x + LEFT, x + LEFT + WIDTH, py(v), py(v)))
        out.append('<text class="s" text-anchor="end" x="%d" y="%.1f">%g%s'
                   '</text>' % (x + LEFT - 4, py(v) + 3, round(v, 1), unit))
    for load in loads:
        out.append('<text class="s" text-anchor="middle" x="%.1f" y="%d">%gx'
                   '</text>' % (px(load), y + TOP + HEIGHT + 14, load))
    for policy, points in lines.items():
        colour = COLOURS[policy]
        points = [(px(a), py(b)) for a, b in sorted(points) if b is not None]
        out.append('<polyline class="l" stroke="%s" points="%s"/>' % (
            colour, " ".join("%.1f,%.1f" % p for p in points)))
        out.extend('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>'
                   % (p + (colour,)) for p in points)


def nice(value):
    base = 10 ** math.floor(math.log10(value or 1))
    return next(base * m for m in (1, 2, 4, 6, 8, 10) if base * m >= value)


def svg(out, rows):
    rows = load_rows(rows)
    mixes = list(dict.fromkeys(r["mix"] for r in rows))
    policies = list(dict.fromkeys(r["policy"] for r in rows))
    step_x, step_y = WIDTH + LEFT + 24, HEIGHT + TOP + 50
    most = max([len(r["classes"]) for r in rows] or [0]) + 2
    body = []

    for i, policy in enumerate(policies):
        x = LEFT + 150 * i
        body.append('<line class="l" stroke="%s" x1="%d" x2="%d" y1="14" '
                    'y2="14"/><text x="%d" y="18">%s</text>' % (
                        COLOURS[policy], x, x + 22, x + 28, policy))

    for n, name in enumerate(mixes):
        y = 34 + n * step_y
        here = [r for r in rows if r["mix"] == name]
        loads = sorted(set(r["load"] for r in here))

        def lines(value):
            return {p: [(r["load"], value(r)) for r in here
                        if r["policy"] == p] for p in policies}

        panels = [
            (name + ": good jobs a second", lambda r: r["good_per_second"],
             nice(max(r["good_per_second"] for r in here)), ""),
            ("core spent on good jobs", lambda r: 100 * r["good_work"], 100,
             "%"),
        ] + [
            (c + ", in budget", lambda r, c=c: 100 * r["classes"][c]["met"]
             if r["classes"][c]["met"] is not None else None, 100, "%")
            for c in here[0]["classes"]
        ]
        for i, (title, value, top, unit) in enumerate(panels):
            panel(body, i * step_x, y, title, lines(value), loads, top, unit)

    with open(out, "w") as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" '
                'role="img">\n<title>Goodput and met budgets against load, in '
                'multiples of the capacity</title>\n<style>%s</style>\n%s\n'
                '</svg>\n' % (most * step_x, 34 + len(mixes) * step_y, STYLE,
                              "\n".join(body)))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit("usage: overload.py %s ..." % "|".join(COMMANDS))
    globals()[sys.argv[1]](*sys.argv[2:])
