# SPDX-License-Identifier: Apache-2.0
"""Let's Encrypt's test CA from the distribution, with a resolver that answers 127.0.0.1."""
import json

from . import pki
from .base import Process, free_port, listens, until


class Pebble:
    def __init__(self, root, http_port):
        self.root = root
        root.mkdir()
        self.port = free_port()
        self.management = free_port()
        self.dns = free_port()
        self.dns_management = free_port()
        self.ca_file = root / "ca.pem"
        self.parts = []
        self.http_port = http_port

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.port}/dir"

    def connector(self, name="pebble"):
        return {"name": name, "type": "acme", "directory": self.directory, "ca_file": str(self.ca_file)}

    def start(self):
        ca, ca_key = pki.make_cert(["pebble test ca"], is_ca=True)
        cert, key = pki.make_cert(["127.0.0.1", "localhost"], issuer=(ca, ca_key))
        self.ca_file.write_bytes(pki.cert_pem(ca))
        (self.root / "tls.pem").write_bytes(pki.cert_pem(cert))
        (self.root / "tls.key").write_bytes(pki.key_pem(key))
        config = self.root / "pebble.json"
        config.write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.root / "tls.pem"), "privateKey": str(self.root / "tls.key"),
            "httpPort": self.http_port, "tlsPort": free_port(), "ocspResponderURL": "",
            "externalAccountBindingRequired": False}}))
        self.parts.append(Process(
            ["/usr/bin/pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
             "-dns01", f"127.0.0.1:{self.dns}", "-http01", "", "-https01", "", "-tlsalpn01", "",
             "-management", f"127.0.0.1:{self.dns_management}"], self.root / "dns.log"))
        until(lambda: listens(self.dns_management), what="the resolver")
        env = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "10", "PEBBLE_VA_ALWAYS_VALID": "0"}
        self.parts.append(Process(["/usr/bin/pebble", "-config", config, "-dnsserver", f"127.0.0.1:{self.dns}",
                                   "-strict"], self.root / "pebble.log", env=env))
        until(lambda: listens(self.port), what="Pebble")

    def log(self):
        return (self.root / "pebble.log").read_text()

    def stop(self):
        for part in reversed(self.parts):
            part.stop()
        self.parts = []
