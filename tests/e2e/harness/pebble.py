# SPDX-License-Identifier: Apache-2.0
"""Pebble, a real ACME server, with a DNS that sends every name to this host. Standard library only."""
import json
import os
import pathlib
import ssl
import subprocess
import urllib.request

from harness.base import Process, free_port, listens, until


class Pebble:
    """The CA. Validates over HTTP on http_port of loopback; refuses nonce_reject % of good nonces."""

    def __init__(self, work, http_port, nonce_reject=5):
        self.work = pathlib.Path(work)
        self.http_port = http_port
        self.nonce_reject = nonce_reject
        self.port, self.management, self.dns, self.dns_control = (free_port() for _ in range(4))
        self.url = f"https://127.0.0.1:{self.port}/dir"
        self.ca = self.work / "pebble-tls.pem"  # the anchor of Pebble's own TLS, not of what it issues
        self.parts = []

    def connector(self, name="pebble"):
        """As the control plane's configuration wants it."""
        return {"name": name, "type": "acme", "directory": self.url, "ca_file": str(self.ca)}

    def _make_tls(self):
        key = self.work / "pebble-tls.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "30", "-subj", "/CN=pebble for tests", "-keyout", key, "-out", self.ca, "-addext",
             "subjectAltName=IP:127.0.0.1,DNS:localhost"],
            check=True, capture_output=True)
        return key

    def start(self):
        config = self.work / "pebble.json"
        config.write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.ca),
            "privateKey": str(self._make_tls()),
            "httpPort": self.http_port,
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "domainBlocklist": ["blocked-domain.example"],
        }}))
        dns = Process(
            ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "",
             "-https01", "", "-tlsalpn01", "", "-dns01", f"127.0.0.1:{self.dns}",
             "-management", f"127.0.0.1:{self.dns_control}"], self.work / "dns.log")
        self.parts.append(dns)
        env = dict(os.environ, PEBBLE_VA_ALWAYS_VALID="0", PEBBLE_VA_NOSLEEP="1",
                   PEBBLE_WFE_NONCEREJECT=str(self.nonce_reject), PEBBLE_AUTHZREUSE="0")
        pebble = Process(["pebble", "-config", config, "-dnsserver", f"127.0.0.1:{self.dns}"],
                         self.work / "pebble.log", env=env)
        self.parts.append(pebble)
        until(lambda: (listens(self.port) and listens(self.dns_control)) or self._dead(), 20, "pebble to listen")
        return self

    def _dead(self):
        for part in self.parts:
            assert part.is_running(), part.text()[-2000:]

    def roots(self):
        """PEM of the root under which this run issues."""
        context = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(f"https://127.0.0.1:{self.management}/roots/0", context=context) as answer:
            return answer.read()

    def log(self):
        return self.parts[-1].text()

    def stop(self):
        for part in reversed(self.parts):
            part.stop()
        self.parts = []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
