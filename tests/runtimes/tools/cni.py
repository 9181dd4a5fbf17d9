#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""A container runtime's side of CNI 1.1, the verbs that runtimes of Debian 12 do not call included.

As a program it works on one network and prints what the plugins answer: the result of ADD as JSON, an error as
"CODE: SENTENCE" with exit status 1. Results are kept for the later verbs, as runtimes keep them.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

PLUGIN_PATH = "/opt/cni/bin:/usr/lib/cni"


class PluginError(Exception):
    """What a plugin answered, code and sentence (CNI specification 1.1, section 5)."""

    def __init__(self, plugin, code, sentence):
        super().__init__(f"{code}: {sentence}")
        self.plugin, self.code, self.sentence = plugin, code, sentence


def call(verb, plugin, config, path=PLUGIN_PATH, **variables):
    """One call of one plugin; its answer. Raises PluginError."""
    program = next((f"{folder}/{plugin}" for folder in path.split(":") if os.access(f"{folder}/{plugin}", os.X_OK)), None)
    if program is None:
        raise PluginError(plugin, 999, f"no plugin {plugin} in {path}")
    environment = {"PATH": os.environ["PATH"], "CNI_COMMAND": verb, "CNI_PATH": path}
    environment |= {f"CNI_{name}": value for name, value in variables.items()}
    done = subprocess.run([program], input=json.dumps(config).encode(), env=environment, capture_output=True, check=False)
    try:
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
    except ValueError:
        raise PluginError(plugin, 999, f"its answer is no JSON: {done.stdout!r} {done.stderr!r}") from None
    if done.returncode != 0:
        raise PluginError(plugin, answer.get("code"), answer.get("msg", done.stderr.decode(errors="replace")))
    return answer


class Network:
    """A network configuration list, as a runtime works through it."""

    def __init__(self, config, path=PLUGIN_PATH):
        self.config = config
        self.path = path

    def _plugin_config(self, plugin, previous=None, runtime=None, **more):
        """The configuration for one plugin of the list (section 3, "Deriving request configuration")."""
        out = plugin | {"cniVersion": self.config["cniVersion"], "name": self.config["name"]} | more
        offered = {name: value for name, value in (runtime or {}).items() if plugin.get("capabilities", {}).get(name)}
        if offered:
            out["runtimeConfig"] = offered
        if previous is not None:
            out["prevResult"] = previous
        return out

    def add(self, container, netns, ifname="eth0", runtime=None, args=""):
        result = None
        for plugin in self.config["plugins"]:
            result = call("ADD", plugin["type"], self._plugin_config(plugin, result, runtime), self.path,
                          CONTAINERID=container, NETNS=netns, IFNAME=ifname, ARGS=args)
        return result

    def check(self, container, netns, result, ifname="eth0", runtime=None, args=""):
        for plugin in self.config["plugins"]:
            call("CHECK", plugin["type"], self._plugin_config(plugin, result, runtime), self.path,
                 CONTAINERID=container, NETNS=netns, IFNAME=ifname, ARGS=args)

    def delete(self, container, netns, result=None, ifname="eth0", runtime=None, args=""):
        for plugin in reversed(self.config["plugins"]):
            call("DEL", plugin["type"], self._plugin_config(plugin, result, runtime), self.path,
                 CONTAINERID=container, NETNS=netns, IFNAME=ifname, ARGS=args)

    def collect(self, valid):
        """GC; `valid` are the (container, ifname) that are there."""
        listed = [{"containerID": container, "ifname": ifname} for container, ifname in valid]
        for plugin in self.config["plugins"]:
            call("GC", plugin["type"], self._plugin_config(plugin, **{"cni.dev/valid-attachments": listed}), self.path)

    def status(self):
        for plugin in self.config["plugins"]:
            call("STATUS", plugin["type"], self._plugin_config(plugin), self.path)


def many(network, verb, count, store):
    """ADD, or DEL, of containers c0 to cN at once; they are in namespaces of the same names."""
    def one(i):
        began = time.monotonic()
        name = f"c{i}"
        if verb == "add":
            result = network.add(name, f"/run/netns/{name}")
            store(name).write_text(json.dumps(result), encoding="utf-8")
        else:
            network.delete(name, f"/run/netns/{name}", json.loads(store(name).read_text(encoding="utf-8")))
        return time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        times = sorted(pool.map(one, range(count)))
    print(f"{count} at once: median {times[count // 2] * 1000:.0f} ms, the slowest {times[-1] * 1000:.0f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="file with a network configuration list")
    parser.add_argument("verb", choices=["add", "check", "del", "gc", "status", "add-many", "del-many"])
    parser.add_argument("words", nargs="*", help="CONTAINER [NETNS]; of gc, the containers that are there; of ...-many, how many")
    parser.add_argument("--ifname", default="eth0")
    parser.add_argument("--runtime", type=json.loads, default={}, help="what the runtime offers for capabilities, as JSON")
    parser.add_argument("--args", default="", help="CNI_ARGS")
    parser.add_argument("--forget", action="store_true", help="call without the result of the ADD")
    options = parser.parse_args()
    network = Network(json.loads(pathlib.Path(options.config).read_text(encoding="utf-8")))
    words = options.words
    store = lambda name: pathlib.Path(f"/run/cni-result.{network.config['name']}.{name}.{options.ifname}")  # noqa: E731
    more = {"ifname": options.ifname, "runtime": options.runtime, "args": options.args}
    kept = None
    if options.verb in ("check", "del") and not options.forget and store(words[0]).exists():
        kept = json.loads(store(words[0]).read_text(encoding="utf-8"))
    try:
        if options.verb == "add":
            result = network.add(*words, **more)
            store(words[0]).write_text(json.dumps(result), encoding="utf-8")
            print(json.dumps(result))
        elif options.verb == "check":
            network.check(*words, kept, **more)
        elif options.verb == "del":
            network.delete(words[0], words[1] if len(words) > 1 else "", kept, **more)
        elif options.verb == "gc":
            network.collect([(name, options.ifname) for name in words])
        elif options.verb == "status":
            network.status()
        else:
            many(network, options.verb.removesuffix("-many"), int(words[0]), store)
    except PluginError as error:
        sys.exit(f"{error.plugin}: {error}")


if __name__ == "__main__":
    main()
