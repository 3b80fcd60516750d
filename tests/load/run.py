# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every scenario on every server, one table.

The server has one core, the generator another. The figure is the server's CPU time per message, which a
faster or idler generator does not change; rounds alternate between the floor and choird, so that a noisy
machine hits both, and the median counts. Compare the ratios within one table, not times of two days.
"""

import glob
import os
import statistics
import sys
import time

from servers import Server, State, free_port, run_load

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, "peers")
QUICK_BUDGET_SECONDS = 240
FULL_BUDGET_SECONDS = 1500

# title, mode, options, unit, choird's protocol where it is not its own, worth the peers' time when quick
SCENARIOS = [
    ("fan-out to 100", "fanout", ["-n", "100"], "us", None, False),
    ("fan-out to 1,000", "fanout", ["-n", "1000"], "us", None, True),
    ("fan-out to 10,000", "fanout", ["-n", "10000"], "us", None, False),
    ("fan-out to 100, 16 in flight", "fanout", ["-n", "100", "-w", "16"], "us", None, False),
    ("fan-out to 1,000, 16 in flight", "fanout", ["-n", "1000", "-w", "16"], "us", None, True),
    ("fan-out to 10,000, 16 in flight", "fanout", ["-n", "10000", "-w", "16"], "us", None, False),
    ("echo, 100 of 100 talk", "echo", ["-n", "100", "-k", "100"], "us", "raw", True),
    ("echo, 100 of 10,000 talk", "echo", ["-n", "10000", "-k", "100"], "us", "raw", False),
    ("ping/pong, 100 of 100 talk", "echo", ["-n", "100", "-k", "100"], "us", None, False),
    ("ping/pong, 100 of 10,000 talk", "echo", ["-n", "10000", "-k", "100"], "us", None, False),
    ("idle connection, KiB", "idle", ["-n", "5000"], "kib", None, True),
    ("connect, token, greeting", "connect", ["-n", "64"], "us", None, True),
]


def cores():
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


class Bench:
    def __init__(self, build, quick):
        self.core, self.load_core = cores()
        self.state = State()
        self.choird_path = os.path.join(build, "src/daemon/choird")
        self.floor_path = os.path.join(build, "tests/load/choir-floor")
        self.load_path = os.path.join(build, "tests/load/choir-load")
        self.quick = quick
        self.rounds = 3
        self.time = ["-t", "0.7", "-u", "0.2"] if quick else ["-t", "3", "-u", "1"]
        self.deadline = time.monotonic() + (QUICK_BUDGET_SECONDS if quick else FULL_BUDGET_SECONDS)
        self.problems = []

    def choird(self):
        return self.state.choird(self.choird_path, core=self.core)

    def floor(self):
        return Server("floor", [self.floor_path], core=self.core)

    def nchan(self):
        module = glob.glob("/usr/lib/nginx/modules/ngx_nchan_module.so")
        if not module:
            return None
        port = free_port()
        with open(os.path.join(PEERS, "nchan.conf"), encoding="utf-8") as template:
            text = template.read()
        for name, value in (("MODULE", module[0]), ("STATE", self.state.path), ("PORT", str(port))):
            text = text.replace(f"@{name}@", value)
        path = os.path.join(self.state.path, "nginx.conf")
        with open(path, "w", encoding="utf-8") as conf:
            conf.write(text)
        return Server("nchan", ["nginx", "-e", "stderr", "-p", self.state.path, "-c", path],
                      port=port, core=self.core)

    def node(self, package, script, protocol):
        if not os.path.isdir(os.path.join(PEERS, "node_modules", package)):
            return None
        return Server(package, ["node", os.path.join(PEERS, script)], core=self.core,
                      protocol=protocol, env={"NODE_ENV": "production"})

    def fastapi(self):
        if not glob.glob("/usr/lib/python3/dist-packages/fastapi"):
            return None
        return Server("fastapi", ["/usr/bin/python3", os.path.join(PEERS, "fastapi_server.py")],
                      core=self.core)

    def peers(self):
        return {
            "nchan": self.nchan,
            "ws": lambda: self.node("ws", "ws-server.js", "raw"),
            "socket.io": lambda: self.node("socket.io", "socketio-server.js", "socketio"),
            "fastapi": self.fastapi,
        }

    def run(self, make, scenario):
        """One figure on a fresh server, or None."""
        _title, mode, options, unit, protocol, _peers = scenario
        server = make()
        if server is None or (server.name == "nchan" and mode == "echo"):
            return None
        if server.name != "choird":
            protocol = None
        try:
            with server:
                figures, problem = run_load(self.load_path, server, mode, *options, *self.time,
                                            core=self.load_core, protocol=protocol)
        except (RuntimeError, OSError) as error:
            figures, problem = None, str(error)
        if problem:
            self.problems.append(problem)
            return None
        return figures["kib" if unit == "kib" else "cpu_us"]

    def measure(self, scenario):
        """The figures of one row by server: medians for the floor and choird, peers once."""
        pairs = {"floor": [], "choird": []}
        for _round in range(self.rounds):
            for name, make in (("floor", self.floor), ("choird", self.choird)):
                pairs[name].append(self.run(make, scenario))
        row = {name: median(values) for name, values in pairs.items()}
        for name, make in self.peers().items():
            wanted = scenario[5] or not self.quick
            in_time = time.monotonic() < self.deadline
            row[name] = self.run(make, scenario) if wanted and in_time else None
        return row


def median(values):
    good = [value for value in values if value is not None]
    return statistics.median(good) if good else None


def show_cell(value, floor, unit):
    if value is None:
        return "-"
    if unit == "kib" or not floor:
        return f"{value:.2f}"
    return f"{value:.2f} ({value / floor:.2f})"


def main(build, *words):
    bench = Bench(build, "quick" in words)
    names = ["floor", "choird", *bench.peers()]
    print("Server CPU in microseconds per message delivered, answered, or per connection "
          "(ratio to the floor); 200-byte messages")
    print(f"{'':32}" + "".join(f"{name:>16}" for name in names), flush=True)
    failed = False
    try:
        for scenario in SCENARIOS:
            row = bench.measure(scenario)
            failed |= row["floor"] is None or row["choird"] is None
            cells = (show_cell(row[name], row["floor"], scenario[3]) for name in names)
            print(f"{scenario[0]:32}" + "".join(f"{cell:>16}" for cell in cells), flush=True)
    finally:
        bench.state.remove()
    for problem in dict.fromkeys(bench.problems):
        print(f"! {problem}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
