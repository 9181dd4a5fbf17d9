#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""A container runtime as far as CNI goes (specification 1.1, sections 3 and 5).

cni.py CONFLIST CACHE-FOLDER VERB [ID NETNS IFNAME]
Runs the plugins of the list in their order, in the reverse one for all verbs but ADD and CHECK; each gets the result of
the one before it, and after the ADD that of the last one. CNI_PATH and CNI_ARGS are the environment's, RUNTIME_CONFIG is
JSON of which each plugin gets what it has a capability for, VALID is JSON of the attachments that GC leaves. Prints the
last output; exits like the first plugin that failed, after the error it printed.
"""
import json
import os
import subprocess
import sys

conflist, cache, verb = sys.argv[1:4]
container, netns, ifname = (sys.argv[4:] + ["", "", ""])[:3]
config = json.load(open(conflist))
runtime = json.loads(os.environ.get("RUNTIME_CONFIG", "{}"))
cached = os.path.join(cache, f"{config['name']}-{container}-{ifname}.json")
result = json.load(open(cached)) if verb != "ADD" and container and os.path.exists(cached) else None
environment = {**os.environ, "CNI_COMMAND": verb}
for name, value in (("CNI_CONTAINERID", container), ("CNI_NETNS", netns), ("CNI_IFNAME", ifname)):
    if container:
        environment[name] = value


def call(plugin):
    given = {**plugin, "name": config["name"], "cniVersion": config["cniVersion"]}
    wanted = {key: runtime[key] for key, yes in plugin.get("capabilities", {}).items() if yes and key in runtime}
    if wanted:
        given["runtimeConfig"] = wanted
    if result is not None:
        given["prevResult"] = result
    if verb == "GC":
        given["cni.dev/valid-attachments"] = json.loads(os.environ["VALID"])
    program = next(path for folder in os.environ["CNI_PATH"].split(":")
                   if os.access(path := os.path.join(folder, plugin["type"]), os.X_OK))
    done = subprocess.run([program], input=json.dumps(given).encode(), env=environment, stdout=subprocess.PIPE)
    if done.returncode:
        print(done.stdout.decode())
        sys.exit(done.returncode)
    return json.loads(done.stdout) if done.stdout else None


for plugin in config["plugins"] if verb in ("ADD", "CHECK") else reversed(config["plugins"]):
    said = call(plugin)
    if verb == "ADD":
        result = said
if verb == "ADD":
    json.dump(result, open(cached, "w"))
    print(json.dumps(result))
if verb == "DEL" and os.path.exists(cached):
    os.remove(cached)
