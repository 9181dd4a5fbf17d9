# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts and pods in network namespaces, and what to measure on them. Shared by the benchmarks of this folder.

Names carry the process id, so that several runs do not meet. Everything made here is removed when the benchmark ends,
by a signal too. A benchmark that cannot run ends with status 1 and a sentence, see run().
"""
import argparse
import atexit
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LAUNCH = REPOSITORY / "packaging" / "weave-launch"
TICKS = os.sysconf("SC_CLK_TCK")
PIPE, STDOUT = subprocess.PIPE, subprocess.STDOUT
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class CannotRun(Exception):
    """Says why the benchmark could not run."""


def arguments(description, rounds):
    """The options all benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--rounds", type=int, default=rounds, help=f"rounds to take medians of ({rounds})")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the figures as JSON")
    parser.add_argument("-b", "--build", default=os.environ.get("WEAVE_BUILD", REPOSITORY / "build"),
                        help="build folder (WEAVE_BUILD, or build in the repository)")
    return parser


def run(main, options):
    """Runs a benchmark; the exit status is 1 only when it could not run."""
    for name in ENDING:
        signal.signal(name, lambda number, _: sys.exit(128 + number))
    try:
        main(options)
    except CannotRun as why:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {why}")
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {sentence(failed)}")


def sentence(failed):
    """What a command that failed was and said."""
    output = f"\n{failed.stderr or ''}{failed.stdout or ''}".rstrip()
    return f"{' '.join(map(str, failed.cmd))} failed{output}"


def call(*command, **more):
    """Runs a command to its end; its output. Raises when it fails."""
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **more).stdout


def machine():
    """Where this was measured, and how busy it was."""
    model = ""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"processors": os.cpu_count(), "model": model, "kernel": os.uname().release,
            "load": round(os.getloadavg()[0], 2)}


def until(seconds, true):
    """Waits until true() is, at most that long; whether it became so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# ---- What processes use ----------------------------------------------------------------------------------------------


def cpu_seconds(pids):
    """User and system time of processes, in seconds, exact: from the scheduler, not from ticks."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(task.read_text().split()[0])
    return total / 1e9


def thread_seconds(pid):
    """CPU seconds of each thread by its name."""
    out = {}
    for task in sorted(pathlib.Path(f"/proc/{pid}/task").iterdir()):
        name = (task / "comm").read_text().strip()
        out[name] = out.get(name, 0) + int((task / "schedstat").read_text().split()[0]) / 1e9
    return out


def machine_seconds():
    """CPU seconds the whole machine has been busy."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def status_of(pid, field):
    """A number of /proc/PID/status, e.g. VmRSS in kB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


# ---- Hosts and pods --------------------------------------------------------------------------------------------------


class Rig:
    """`count` hosts on one underlay with a pod namespace each; host i is 192.168.78.i, its pod p<i>."""

    def __init__(self, count, programs=()):
        if os.geteuid() != 0:
            raise CannotRun("needs root, for network namespaces")
        for program in ("ip", "ping", *programs):
            if not shutil.which(program):
                raise CannotRun(f"the program {program} is missing")
        self.prefix = f"wb{os.getpid()}"
        self.count = count
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weavemesh-bench."))
        self.namespaces = []
        self.processes = []
        self.litter = []  # files elsewhere that programs may leave behind
        atexit.register(self.close)
        self._underlay()

    def _namespace(self, name):
        self.namespaces.append(name)  # first: who is told to end meanwhile removes it, too
        call("ip", "netns", "add", f"{self.prefix}-{name}")
        self.link(name, "set", "lo", "up")

    def _underlay(self):
        for i in self.hosts():
            self._namespace(f"h{i}")
        if self.count == 2:  # back to back, nothing else costs
            self.link("h1", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", f"{self.prefix}-h2")
        else:
            self._namespace("lan")
            self.link("lan", "add", "lan", "type", "bridge")
            self.link("lan", "set", "lan", "up")
            for i in self.hosts():
                self.link("lan", "add", f"to{i}", "type", "veth", "peer", "name", "eth0",
                          "netns", f"{self.prefix}-h{i}")
                self.link("lan", "set", f"to{i}", "master", "lan", "up")
        for i in self.hosts():
            self.ip(f"h{i}", "address", "add", f"192.168.78.{i}/24", "dev", "eth0")
            self.link(f"h{i}", "set", "eth0", "up")

    def close(self):
        """Ends and removes everything; who tells it to end meanwhile is not heard."""
        handlers = {name: signal.signal(name, signal.SIG_IGN) for name in ENDING}
        for process in self.processes:
            process.terminate()
        for name in self.namespaces:
            name = f"{self.prefix}-{name}"
            listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
            for pid in listed.stdout.split():
                # Whatever still runs in there was started by this benchmark.
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        for process in self.processes:
            process.wait()
        for path in self.litter:
            path.unlink(missing_ok=True)
        self.namespaces, self.processes, self.litter = [], [], []
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)
        for name, handler in handlers.items():
            signal.signal(name, handler)

    def hosts(self):
        return range(1, self.count + 1)

    def pod(self, i):
        self._namespace(f"p{i}")

    def remove_pod(self, i):
        call("ip", "netns", "delete", f"{self.prefix}-p{i}")
        self.namespaces.remove(f"p{i}")

    def ip(self, name, *words):
        return call("ip", "-n", f"{self.prefix}-{name}", *words)

    def link(self, name, *words):
        return self.ip(name, "link", *words)

    def memory(self, name):
        """MB that the processes of a namespace have resident."""
        listed = call("ip", "netns", "pids", f"{self.prefix}-{name}").split()
        return sum(status_of(pid, "VmRSS") for pid in listed) / 1024

    def inside(self, name, *command):
        """The command line that runs a command in a namespace."""
        return ["ip", "netns", "exec", f"{self.prefix}-{name}", *map(str, command)]

    def call(self, name, *command, **more):
        return call(*self.inside(name, *command), **more)

    def start(self, name, *command, **more):
        """Starts a process in a namespace."""
        more.setdefault("stdout", subprocess.DEVNULL)
        more.setdefault("stderr", subprocess.DEVNULL)
        # pylint: disable-next=consider-using-with # it outlives this function
        process = subprocess.Popen(self.inside(name, *command), stdin=subprocess.DEVNULL, text=True, **more)
        self.processes.append(process)
        return process

    def end(self, process):
        """Ends a process; one that does not obey within 5 s is killed."""
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes.remove(process)

    def first_ping(self, name, address, seconds=10):
        """Pings until the first reply, 50 times a second."""
        end = time.monotonic() + seconds
        while True:
            # With a deadline ping sends until it has one reply, but gives up when an error comes back.
            done = subprocess.run(self.inside(name, "ping", "-n", "-q", "-c", "1", "-w", "1", "-i", "0.02", address),
                                  capture_output=True, check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > end:
                raise CannotRun(f"no ping from pod {name} to {address} within {seconds} s")


# ---- Weavemesh -------------------------------------------------------------------------------------------------------


class Weavemesh:
    """Daemons with default settings on the hosts of a rig, pods attached."""

    def __init__(self, rig, build):
        self.rig = rig
        self.build = pathlib.Path(build).resolve()
        self.weavectl = self.build / "src" / "cli" / "weavectl"
        self.running = []
        for program in (self.weavectl, self.build / "src" / "daemon" / "weaved"):
            if not os.access(program, os.X_OK):
                raise CannotRun(f"{program} is not built: meson setup build && ninja -C build")
        self.token = rig.folder / "token"
        self.token.touch(0o600)
        self.token.write_text(call(self.weavectl, "genkey"), encoding="ascii")

    def _folders(self, i):
        folder = self.rig.folder / f"h{i}"
        return ["--run-dir", folder / "run", "--state-dir", folder / "state"]

    def launch(self, command, i, *more):
        self.rig.call(f"h{i}", LAUNCH, command, *self._folders(i), *more, env={**os.environ, "WEAVE_BUILD": self.build})

    def start(self, i, *more):
        """Starts host i's router with these options and peers."""
        self.launch("start", i, "--name", f"h{i}", "--token-file", self.token, *more)
        self.running.append(i)

    def restart(self, i):
        """A planned one: the new process takes over from the old one."""
        self.launch("restart", i)

    def kill_and_start(self, i):
        """kill -9, and at once the same command line again, as a service manager does. Returns when it answers."""
        pid = self.pid(i)
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
        end = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([end], [], [], 10)  # what it held is free then
        os.close(end)
        with open(self.rig.folder / f"h{i}" / "run" / "weaved.log", "a", encoding="utf-8") as log:
            process = self.rig.start(f"h{i}", *(word for word in command if word != "--takeover"), stdout=log, stderr=log)
        (self.rig.folder / f"h{i}" / "run" / "weaved.pid").write_text(f"{process.pid}\n")
        if not until(10, lambda: self._answers(i)):
            raise CannotRun(f"weaved on host {i} does not answer after kill -9 and a new start")

    def _answers(self, i):
        asked = self.rig.inside(f"h{i}", self.weavectl, "--run-dir", self.rig.folder / f"h{i}" / "run", "status")
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def stop(self):
        while self.running:
            self.launch("reset", self.running.pop())

    def attach(self, i, address=None):
        """Attaches pod i, as 10.32.0.i if no address is given."""
        self.rig.call(f"h{i}", self.weavectl, "--run-dir", self.rig.folder / f"h{i}" / "run", "attach",
                      f"/run/netns/{self.rig.prefix}-p{i}", f"{address or f'10.32.0.{i}'}/12")

    def control(self, i, *words):
        return self.rig.call(f"h{i}", self.weavectl, "--run-dir", self.rig.folder / f"h{i}" / "run", *words)

    def pid(self, i):
        return int((self.rig.folder / f"h{i}" / "run" / "weaved.pid").read_text())

    def pids(self):
        return [self.pid(i) for i in self.running]
