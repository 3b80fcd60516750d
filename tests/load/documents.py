# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What editing documents costs, beside ShareDB under the same load and beside what is wanted.

    /usr/bin/python3 tests/load/documents.py BUILD [quick]

The server has one core, the generator another. choird stores on the disk that BUILD is on, and
acknowledges what is there (durability=full); ShareDB is as it comes, in memory. Rounds alternate between the
two and medians count, since a noisy machine hits both: compare within one table, not times of two days.
It reports and asserts nothing about times: it fails only if something could not be measured, or an
editor missed a change.
"""

import os
import statistics
import subprocess
import sys
import time

from servers import Server, State, run_load

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, "peers")
PAGE = 4096
MEGABYTE = 1000000
# choird gives memory back some seconds after documents have left it
IDLE_SECONDS = 7


def cores():
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def read_rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def sync_rate(path, overwrite, seconds):
    """Pages written and synced one by one in a second: what a commit of its own for each change costs."""
    name = os.path.join(path, "sync-rate")
    count = 0
    with open(name, "wb", buffering=0) as out:
        if overwrite:
            out.write(bytes(256 * PAGE))
            os.fdatasync(out.fileno())
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if overwrite:
                out.seek(count % 256 * PAGE)
            out.write(bytes(PAGE))
            os.fdatasync(out.fileno())
            count += 1
    os.remove(name)
    return count / seconds


def file_system(path):
    run = subprocess.run(["stat", "--file-system", "--format=%T", path], capture_output=True, text=True, check=True)
    return run.stdout.strip()


class Table:
    """Rows of a figure, what is wanted of it, and the same of ShareDB."""

    def __init__(self):
        self.met = self.missed = 0

    def head(self, title):
        print(f"\n{title}\n{'':58}{'choird':>12}{'wanted':>14}{'ShareDB':>12}", flush=True)

    def row(self, what, figure, unit="", most=None, least=None, other=None, digits=None):
        wanted, verdict = "", ""
        if figure is None:
            print(f"  {what:56}{'-':>12}", flush=True)
            return
        if most is not None or least is not None:
            good = figure <= most if most is not None else figure >= least
            wanted = f"<= {most:,g}" if most is not None else f">= {least:,g}"
            verdict = "" if good else "  missed"
            self.met += good
            self.missed += not good
        digits = digits if digits is not None else (0 if abs(figure) >= 100 else 2)
        beside = f"{other:,.{digits}f}" if other is not None else ""
        print(f"  {what + (', ' + unit if unit else ''):56}{figure:>12,.{digits}f}{wanted:>14}{beside:>12}{verdict}",
              flush=True)


class Documents:
    def __init__(self, build, quick):
        self.core, self.load_core = cores()
        self.build = build
        self.choird_path = os.path.join(build, "src/daemon/choird")
        self.load_path = os.path.join(build, "tests/load/choir-edit")
        self.rounds = 1 if quick else 3
        self.time = ["-t", "2", "-u", "0.5"] if quick else ["-t", "5", "-u", "1"]
        self.scale = 10 if quick else 1
        self.states = []
        self.problems = []
        self.table = Table()

    def new_state(self):
        self.states.append(State(under=self.build))
        return self.states[-1]

    def remove(self):
        for state in self.states:
            state.remove()

    def choird(self, state=None, *extra):
        return (state or self.new_state()).choird(self.choird_path, core=self.core, extra=[
            "store.backend=sqlite", "store.durability=full", "rate.document=65535/100ms",
            "session.max-subscriptions=20000", *extra])

    def sharedb(self):
        if not os.path.isdir(os.path.join(PEERS, "node_modules", "sharedb")):
            return None
        return Server("sharedb", ["node", os.path.join(PEERS, "sharedb-server.js")], core=self.core,
                      protocol="sharedb", env={"NODE_ENV": "production"})

    def load(self, server, mode, *options):
        figures, problem = run_load(self.load_path, server, mode, *options, core=self.load_core, timeout=600)
        if problem:
            self.problems.append(problem)
        return figures

    def once(self, make, mode, options):
        server = make()
        if server is None:
            return None
        try:
            with server:
                return self.load(server, mode, *options)
        except (RuntimeError, OSError) as error:
            self.problems.append(str(error))
            return None

    def medians(self, mode, options, peer_options=None, settings=()):
        """Figures by name of choird, and of ShareDB if there are options for it; empty if all failed."""
        makes = [(lambda: self.choird(None, *settings), options), (self.sharedb, peer_options)]
        runs = [[], []]
        for _round in range(self.rounds):
            for (make, its_options), its_runs in zip(makes, runs):
                figures = self.once(make, mode, its_options) if its_options is not None else None
                if figures is not None:
                    its_runs.append(figures)
        return [{name: statistics.median(run[name] for run in good) for name in good[0]} if good else {}
                for good in runs]

    # Sections

    def durable(self):
        table = self.table
        state = self.new_state()
        table.head(f"Stored and acknowledged ({file_system(state.path)})")
        seconds = 3 / self.scale
        appended, overwritten = sync_rate(state.path, False, seconds), sync_rate(state.path, True, seconds)
        table.row("a page appended and synced", appended, "1/s")
        table.row("a page overwritten and synced", overwritten, "1/s")

        load = ["--replace", "-s", "10000", *self.time]
        one, other_one = self.medians("durable", ["-n", "1", *load], ["-n", "1", *load])
        table.row("1 client, one change in flight", one.get("per_s"), "1/s", other=other_one.get("per_s"))
        many, other = self.medians("durable", ["-n", "20", *load], ["-n", "20", *load])
        if many and one:
            rate, base = many["per_s"], other.get("per_s")
            table.row("20 clients on one document, one in flight each", rate, "1/s",
                      least=round(12 * base) if base else None, other=base)
            if base:
                table.row("  times ShareDB's rate", rate / base, least=12)
            for name, what in (("cpu_us", "CPU a change, us"), ("ack_p50_us", "acknowledged p50, us"),
                               ("ack_p99_us", "acknowledged p99, us")):
                table.row(f"  {what}", many[name], other=other.get(name), digits=0)
            table.row("  group commit: times a sync for each change (appended)", rate / appended)
            table.row("  group commit: times one client alone", rate / one["per_s"])
        apart, other = self.medians("durable", ["-n", "20", "-d", "20", *load], ["-n", "20", "-d", "20", *load])
        if apart:
            table.row("20 clients, a document each", apart["per_s"], "1/s", other=other.get("per_s"))
            if other:
                table.row("  times ShareDB's rate", apart["per_s"] / other["per_s"])
            for name, what in (("cpu_us", "CPU a change, us"), ("ack_p99_us", "acknowledged p99, us")):
                table.row(f"  {what}", apart[name], other=other.get(name), digits=0)
        deep, _ = self.medians("durable", ["-n", "20", "-w", "16", *load])
        table.row("20 clients on one document, 16 in flight each", deep.get("per_s"), "1/s")

    def paced(self):
        table = self.table
        for n, busy, p99 in ((100, 0.15, 5), (500, 0.80, 50)):
            table.head(f"{n} editors of one document, 2 changes a second each")
            load = ["-n", str(n), "-r", "2", "--replace", "-s", "10000", *self.time]
            ours, other = self.medians("paced", ["-w", "64", *load], load)
            if not ours:
                table.row("failed", None)
                continue
            table.row("server, cores", ours["busy"], most=busy, other=other.get("busy"), digits=3)
            table.row("everybody has it, p50, ms", ours["all_p50_us"] / 1000, other=milli(other, "all_p50_us"))
            table.row("everybody has it, p99, ms", ours["all_p99_us"] / 1000, most=p99,
                      other=milli(other, "all_p99_us"))
            table.row("everybody has it, longest, ms", ours["all_max_us"] / 1000, other=milli(other, "all_max_us"))
            table.row("delivered, 1/s", ours["delivered_per_s"], other=other.get("delivered_per_s"))
            table.row("changes held back", ours["skipped"], other=other.get("skipped"))
            table.row("CPU for a change and reader, us", ours["reader_us"], other=other.get("reader_us"),
                      most=7 if n == 100 else None)
            table.row("generator, cores", ours["self_busy"], other=other.get("self_busy"), digits=3)
        table.head("16 of 100 editors at a moment, 2 changes a second each")
        ours, _ = self.medians("paced", ["-n", "100", "-r", "2", "-b", "16", "-w", "64", "--replace", "-s", "10000",
                                         *self.time])
        table.row("CPU for a change and reader, us", ours.get("reader_us"), most=1.5)

    def big(self):
        table = self.table
        for what, window, settings, peer in (
                ("one change in flight", "1", (), False), ("16 in flight", "16", (), False),
                ("one in flight, stored in memory", "1", ("store.backend=memory",), True)):
            table.head(f"A change of 1 MB beside one of 10 KB, {what}")
            cost = {}
            for size in (10000, MEGABYTE):
                load = ["-n", "1", "-w", window, "--replace", "-s", str(size), *self.time]
                ours, other = self.medians("durable", load, load if peer else None, settings)
                cost[size] = ours.get("cpu_us")
                table.row(f"CPU a change, {size // 1000:,} KB, us", cost[size],
                          most=40 if size == MEGABYTE else None, other=other.get("cpu_us"))
            if all(cost.values()):
                table.row("1 MB : 10 KB", cost[MEGABYTE] / cost[10000], most=1.5)

    def opening(self):
        table = self.table
        changes = 100000 // self.scale
        table.head(f"Opening 1 MB with {changes:,} operations behind it")
        state = self.new_state()
        with self.choird(state) as server:
            empty = read_rss_kib(server.process.pid)
            made = self.load(server, "create", "-w", "128", "-s", str(MEGABYTE - 9 * changes), "--changes",
                             str(changes))
            time.sleep(IDLE_SECONDS)
            kept = read_rss_kib(server.process.pid) - empty
            table.row("idle after it was closed, KiB more than when it started", kept)
            if made:
                table.row("making it, changes a second", made["per_s"])
                table.row("making it, CPU a change, us", made["cpu_us"])
        if not made:
            return
        cold = []
        for _round in range(self.rounds):
            with self.choird(state) as server:
                empty = read_rss_kib(server.process.pid)
                figures = self.load(server, "open", "--changes", "1", "-s", str(MEGABYTE), "--idle", "1.5")
                again = self.load(server, "open", "--changes", "10", "-s", str(MEGABYTE), "--idle",
                                  str(IDLE_SECONDS))
                kept = read_rss_kib(server.process.pid) - empty
                if figures and again:
                    cold.append((figures["cpu_us"] / 1000, again["cpu_us"] / 1000, kept))
        if cold:
            first, again, kept = (statistics.median(column) for column in zip(*cold))
            table.row("CPU of the first opening after a start, ms", first, most=50)
            table.row("CPU of an opening later on, ms", again, most=50)
            table.row("idle after that, KiB more than when it started", kept)

    def hold(self, state, *options):
        """What is resident once all are connected, and once all have opened."""
        with self.choird(state) as server:
            figures = self.load(server, "hold", *options)
        if not figures:
            raise RuntimeError("not held")
        return figures["present_kib"], figures["open_kib"], figures["closed_kib"]

    def memory(self):
        """By the difference between many and few: what a process takes for the first cancels out."""
        table = self.table
        few, many = 1000, 5000
        table.head(f"Memory, KiB ({many:,} editors of one document less {few:,})")
        runs = [self.hold(None, "-n", str(n), "-s", "1000") for n in (few, many)]
        present, opened, _closed = ((b - a) / (many - few) for a, b in zip(*runs))
        table.row("a connection", present)
        table.row("more for a document that it has open", opened - present)
        table.row("an editor: both together", opened, most=1.5)
        for size, few, many in ((1000, 1000, 5000), (100000, 40, 240)):
            table.head(f"Memory, KiB ({many:,} documents of {size:,} characters open less {few:,})")
            state = self.new_state()
            with self.choird(state) as server:
                if not self.load(server, "create", "-n", "4", "-d", str(many), "-s", str(size)):
                    continue
            # slowly, for what a client is sent stays for a second, and is not the document's
            pace = "25" if size > 10000 else "1000"
            runs = [self.hold(state, "-n", "4", "-d", str(n), "--idle", str(IDLE_SECONDS), "-r", pace)
                    for n in (few, many)]
            _present, opened, closed = ((b - a) / (many - few) for a, b in zip(*runs))
            table.row("a document", opened, most=round(2 * size / 1024 + 1, 1))
            table.row("kept of it when all are closed", closed)


def milli(figures, name):
    return figures[name] / 1000 if name in figures else None


def main(build, *words):
    bench = Documents(os.path.abspath(build), "quick" in words)
    sections = ("durable", "paced", "big", "opening", "memory")
    try:
        for name in [word for word in words if word in sections] or sections:
            try:
                getattr(bench, name)()
            except (RuntimeError, OSError) as error:
                bench.problems.append(f"{name}: {error}")
    finally:
        bench.remove()
    print(f"\n{bench.table.met} as wanted, {bench.table.missed} missed")
    for problem in dict.fromkeys(bench.problems):
        print(f"! {problem}", file=sys.stderr)
    return 1 if bench.problems else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: documents.py BUILD [quick] [durable|paced|big|opening|memory ...]")
    sys.exit(main(*sys.argv[1:]))
