#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Makes an image of one layer: `oci_image.py NAME < root-file-system.tar > image.tar` (OCI image layout 1.0 as an archive)."""
import hashlib
import io
import json
import platform
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def main(name):
    out = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")

    def add(path, content):
        entry = tarfile.TarInfo(path)
        entry.size = len(content)
        out.addfile(entry, io.BytesIO(content))

    def blob(kind, content):
        """Adds it under its digest; what others say of it."""
        digest = hashlib.sha256(content).hexdigest()
        add(f"blobs/sha256/{digest}", content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    layer = blob("layer.v1.tar", sys.stdin.buffer.read())
    config = blob("config.v1+json", json.dumps({
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux",
        "config": {"Env": ["PATH=/bin"]}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode())
    manifest = blob("manifest.v1+json", json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode())
    manifest["annotations"] = {"io.containerd.image.name": name}
    add("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
    add("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
    out.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
