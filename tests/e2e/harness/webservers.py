# SPDX-License-Identifier: Apache-2.0
"""The distribution's nginx and Apache, with private configurations on loopback ports."""
import os
import shutil
import signal

from . import pki
from .base import Process, free_port, leaf_sha256, listens, served, until


class WebServer:
    kind = ""
    # lines of the error log that are normal
    normal = ()

    def __init__(self, root, name=None, names=None):
        self.root = root
        self.http = free_port()
        self.https = free_port()
        # a name of its own, so that servers of other tests on this host are never taken for it
        self.name = name or f"www{self.https}.clmbot.test"
        self.names = names or [self.name]
        self.www = root / "www"
        self.tls = root / "tls"
        self.cert = self.tls / "www.pem"
        self.key = self.tls / "www.key"
        self.conf = root / f"{self.kind}.conf"
        self.error_log = root / "error.log"
        self.process = None
        root.mkdir()
        root.chmod(0o755)
        self.www.mkdir()
        self.tls.mkdir()
        (self.www / "index.html").write_text("hello\n")
        pki.write_pair(self.cert, self.key, self.names)
        self.write_conf()

    @property
    def target(self):
        return f"{self.kind}:{self.name}"

    def served(self, name=None):
        return served(self.https, name or self.name)

    def installed(self):
        return leaf_sha256(self.cert)

    def stop(self):
        if self.process:
            self.process.popen.send_signal(signal.SIGCONT)
            self.process.stop()
            self.process = None

    def hang(self):
        """Reloads do nothing from now on: the main process is stopped, its workers go on."""
        self.process.popen.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.popen.send_signal(signal.SIGCONT)

    def unexpected_log(self, expected=()):
        lines = self.error_log.read_text(errors="replace").splitlines() if self.error_log.exists() else []
        levels = ("[emerg]", "[alert]", "[crit]", "[error]", ":emerg]", ":alert]", ":crit]", ":error]")
        return [line for line in lines if any(level in line for level in levels)
                and not any(text in line for text in (*self.normal, *expected))]


class Nginx(WebServer):
    kind = "nginx"
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "/usr/sbin/nginx"

    def write_conf(self, http_extra="", tls_extra="", server_extra="", workers=2):
        tmp = self.root / "tmp"
        tmp.mkdir(exist_ok=True)
        self.conf.write_text(f"""user www-data;
worker_processes {workers};
pid {self.root}/nginx.pid;
error_log {self.error_log} notice;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {tmp}/a; proxy_temp_path {tmp}/b; fastcgi_temp_path {tmp}/c;
    uwsgi_temp_path {tmp}/d; scgi_temp_path {tmp}/e;
    {http_extra}
    server {{
        listen 127.0.0.1:{self.http};
        server_name {' '.join(self.names)};
        root {self.www};
        {server_extra}
    }}
    server {{
        listen 127.0.0.1:{self.https} ssl;
        server_name {' '.join(self.names)};
        ssl_certificate {self.cert};
        ssl_certificate_key {self.key};
        root {self.www};
        {tls_extra}
    }}
}}
""")

    def start(self):
        self.process = Process([self.program, "-c", self.conf, "-p", self.root, "-g", "daemon off;"],
                               self.root / "stdout.log")
        until(lambda: self.served() or not self.process.is_running(), what="nginx")
        assert self.process.is_running(), self.process.text()


class Apache(WebServer):
    kind = "apache"
    program = shutil.which("apache2", path="/usr/sbin:/usr/bin") or "/usr/sbin/httpd"
    normal = ("AH00558",)

    def write_conf(self, vhost_extra="", tls_extra="", global_extra=""):
        modules = "/usr/lib/apache2/modules"
        aliases = "".join(f"    ServerAlias {n}\n" for n in self.names[1:])
        self.conf.write_text(f"""ServerRoot {self.root}
ServerName {self.name}
PidFile {self.root}/apache.pid
ErrorLog {self.error_log}
LogLevel notice
DefaultRuntimeDir {self.root}
Mutex file:{self.root} default
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
Listen 127.0.0.1:{self.http}
Listen 127.0.0.1:{self.https}
User www-data
Group www-data
{global_extra}
<Directory {self.www}>
    Require all granted
</Directory>
<VirtualHost 127.0.0.1:{self.http}>
    ServerName {self.name}
{aliases}    DocumentRoot {self.www}
    {vhost_extra}
</VirtualHost>
<VirtualHost 127.0.0.1:{self.https}>
    ServerName {self.name}
{aliases}    DocumentRoot {self.www}
    SSLEngine on
    SSLCertificateFile {self.cert}
    SSLCertificateKeyFile {self.key}
    {tls_extra}
</VirtualHost>
""")

    def start(self):
        env = {"PATH": os.environ["PATH"], "LANG": "C"}
        self.process = Process([self.program, "-f", self.conf, "-d", self.root, "-D", "FOREGROUND"],
                               self.root / "stdout.log", env=env)
        until(lambda: self.served() or not self.process.is_running(), what="apache2")
        assert self.process.is_running(), self.process.text()


SERVERS = {"nginx": Nginx, "apache": Apache}

__all__ = ["Apache", "Nginx", "SERVERS", "WebServer", "listens"]
