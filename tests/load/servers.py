# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers under load: started on one core, known by port and processes, ended for certain."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_SECONDS = 30
STOP_SECONDS = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment():
    """What a server is started with: nothing of ours that choird would take for a setting."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CHOIR_")}


class Server:
    """One server process; `with` starts and ends it. It says `listening on ADDRESS:PORT`, or `port`
    is given and answers once it is up."""

    def __init__(self, name, command, port=None, core=None, env=None, protocol="raw", options=()):
        self.name = name
        self.protocol = protocol
        self.options = list(options)
        self._command = command
        self._env = env
        self._core = core
        self._given_port = port
        self.port = port
        self.process = None

    def __enter__(self):
        self._log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={**clean_environment(), **(self._env or {})}, preexec_fn=self._pin)
        try:
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error):
        self.stop()

    def _pin(self):
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})

    def _wait_until_up(self):
        if self._given_port is None:
            for line in self.process.stdout:
                if line.startswith("listening on "):
                    self.port = int(line.rsplit(":", 1)[1])
                    return
            raise RuntimeError(f"{self.name} did not start: {self.complaint()}")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start: {self.complaint()}")

    def complaint(self):
        self._log.seek(0)
        return self._log.read()[-2000:].strip()

    def stop(self):
        """Asks, waits, insists. Returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._log.close()
        return self.process.returncode


class State:
    """A fresh directory with a key and an empty configuration; it keeps what a server stores. `under`
    is where a disk is wanted, which the place for temporary files may not be."""

    def __init__(self, under=None):
        self.path = tempfile.mkdtemp(prefix="choir-load-", dir=under)
        self.key = os.path.join(self.path, "hs256.key")
        self.config = os.path.join(self.path, "choir.conf")
        with open(os.open(self.key, os.O_CREAT | os.O_WRONLY, 0o600), "w") as key:
            key.write(secrets.token_hex(32))
        # what the generators publish to is compared with what other servers do
        with open(self.config, "w", encoding="utf-8") as config:
            config.write("[namespace chat]\npersist=no\n")

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def choird(self, program, *before, core=None, extra=()):
        """The daemon with every limit out of the way that a benchmark would meet."""
        settings = [
            "server.listen=127.0.0.1:0",
            "server.max-connections=15000",
            "server.max-connections-per-user=15000",
            "server.max-connections-per-address=15000",
            "server.drain-timeout=0s",
            "server.echo-path=/echo",
            "rate.default=65535/1s",
            "rate.connect-per-address=65535/1s",
            f"auth.key=HS256:load:{self.key}",
            "store.backend=memory",
            "bus.bus=none",
            "log.level=warning",
            *extra,
        ]
        command = [*before, program, "--config", self.config]
        for setting in settings:
            command += ["--set", setting]
        return Server("choird", command, core=core, protocol="choir",
                      env={"STATE_DIRECTORY": self.path}, options=["--key", self.key])


def run_load(program, server, mode, *options, core=None, protocol=None, timeout=150):
    """One run of choir-load; its figures as a dictionary, or None if it failed."""
    protocol = protocol or server.protocol
    command = [program, "--mode", mode, "--protocol", protocol, "--port", str(server.port),
               "--pid", str(server.process.pid), *options]
    if protocol.startswith("choir"):
        command += server.options

    def pin():
        if core is not None:
            os.sched_setaffinity(0, {core})

    try:
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             timeout=timeout, preexec_fn=pin)
    except subprocess.TimeoutExpired:
        return None, f"{mode} on {server.name}: no end after {timeout} s"
    if run.returncode != 0:
        return None, f"{mode} on {server.name}: {run.stderr.strip()[:400] or run.stdout.strip()}"
    return {key: float(value) for key, value in
            (pair.split("=") for pair in run.stdout.split())}, None
