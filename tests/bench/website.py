# SPDX-License-Identifier: Apache-2.0
"""One nginx that serves the webroot and the certificate, the same for every tool that is measured."""
import os
import pathlib
import subprocess
import time

from harness.base import Process, free_port, leaf_sha256, listens, served, until

NAME = f"www.{os.getpid()}.bench.test"  # a scan sees the whole host, and other runs on it
PROOF_S = 0.3  # design.md 6
CONF = """error_log {root}/error.log;
pid {root}/nginx.pid;
worker_processes 2;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {root}/tmp; proxy_temp_path {root}/tmp; fastcgi_temp_path {root}/tmp;
    uwsgi_temp_path {root}/tmp; scgi_temp_path {root}/tmp;
    server {{
        listen 127.0.0.1:{http};
        server_name {name};
        root {root}/www;
    }}
    server {{
        listen 127.0.0.1:{https} ssl;
        server_name {name};
        ssl_certificate {root}/tls/www.pem;
        ssl_certificate_key {root}/tls/www.key;
        root {root}/www;
    }}
}}
"""


class Website:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.http, self.https = free_port(), free_port()
        self.www, self.tls = self.root / "www", self.root / "tls"
        self.cert, self.key = self.tls / "www.pem", self.tls / "www.key"
        self.conf = self.root / "nginx.conf"
        for folder in (self.root, self.www, self.tls, self.root / "tmp"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        self.conf.write_text(CONF.format(root=self.root, http=self.http, https=self.https, name=NAME))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
             "30", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", self.key, "-out",
             self.cert], check=True, capture_output=True)
        self.process = None

    def start(self):
        self.process = Process(["/usr/sbin/nginx", "-c", self.conf, "-g", "daemon off;"], self.root / "nginx.out")
        until(lambda: listens(self.http) and listens(self.https), what="nginx to listen")
        return self

    def leaf(self):
        return served(self.https, NAME)

    def install(self, chain, key):
        """What an operator's hook does after a tool: copy, reload, and look until it is served."""
        self.cert.write_bytes(pathlib.Path(chain).read_bytes())
        self.key.write_bytes(pathlib.Path(key).read_bytes())
        subprocess.run(["/usr/sbin/nginx", "-c", self.conf, "-s", "reload"], check=True, capture_output=True)
        self.wait_served(leaf_sha256(self.cert))

    def wait_served(self, leaf, seconds=20):
        end = time.monotonic() + seconds
        while self.leaf() != leaf:
            if time.monotonic() > end:
                raise AssertionError(f"the new certificate is not served after {seconds} s")
            time.sleep(0.005)

    def prove(self, leaf, seconds=20):
        """What clmbot calls proof: three fresh handshakes in a row, over 300 ms at least, that show it."""
        end, since, seen = time.monotonic() + seconds, None, 0
        while seen < 3 or time.monotonic() - since < PROOF_S:
            if time.monotonic() > end:
                raise AssertionError(f"the new certificate is not served without a break after {seconds} s")
            if self.leaf() != leaf:
                since, seen = None, 0
                continue
            seen += 1
            if since is None:
                since = time.monotonic()
            time.sleep(max(0, min(PROOF_S / 2, since + PROOF_S - time.monotonic())))

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
