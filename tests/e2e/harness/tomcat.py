# SPDX-License-Identifier: Apache-2.0
"""The distribution's Tomcat from a private base, as its unprivileged user, on loopback ports."""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from . import pki
from .base import Process, free_port, leaf_sha256, served, until

HOME = pathlib.Path("/usr/share/tomcat10")
MANAGER = pathlib.Path("/usr/share/tomcat10-admin/manager")
STORE_PASSWORD = "st0re&pass|w"
KEY_PASSWORD = "an entry of its own"
MANAGER_PASSWORD = "only for tests"


class Tomcat:
    """One JVM with a connector for every form in which Tomcat takes a certificate."""
    kind = "tomcat"

    def __init__(self, root):
        self.root = root
        self.base = root / "base"
        self.conf = self.base / "conf" / "server.xml"
        self.tls = self.base / "conf" / "tls"
        self.http, self.https, self.p12, self.jks, self.multi, self.bare = (free_port() for _ in range(6))
        self.name = f"www{self.https}.clmbot.test"
        self.cert = self.tls / "www.pem"
        self.key = self.tls / "www.key"
        self.stores = {self.p12: self.tls / "store.p12", self.jks: self.tls / "store.jks"}
        self.process = None
        root.mkdir()
        root.chmod(0o755)
        self.user = pwd.getpwnam("tomcat")
        for name in ("conf/tls", "logs", "temp", "work", "webapps/ROOT", "conf/Catalina/localhost"):
            (self.base / name).mkdir(parents=True)
        for name in ("logs", "temp", "work"):
            shutil.chown(self.base / name, "tomcat", "tomcat")
        self._write_conf()
        self._write_certificates()

    @property
    def target(self):
        return f"tomcat:{self.https}"

    def _write_conf(self):
        for name in ("web.xml", "catalina.properties"):
            shutil.copy(HOME / "etc" / name, self.base / "conf" / name)
        with (self.base / "conf" / "catalina.properties").open("a") as out:
            out.write(f"tls.dir=conf/tls\nhttps.port={self.https}\n"
                      f"store.password={STORE_PASSWORD}\n")
        (self.base / "webapps" / "ROOT" / "index.html").write_text("hello\n")
        self._place_manager(MANAGER)
        (self.base / "conf" / "tomcat-users.xml").write_text(
            f'<tomcat-users><user username="clmbot" password="{MANAGER_PASSWORD}" '
            'roles="manager-script"/></tomcat-users>\n')
        self.conf.write_text(f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- written by a test: <Connector port="1" SSLEnabled="true"/> -->
<Server port="-1" shutdown="SHUTDOWN">
  <Service name="Catalina">
    <Connector port="{self.http}" address="127.0.0.1" connectionTimeout="20000" />
    <Connector port="${{https.port:-1}}" address="127.0.0.1" SSLEnabled="true">
      <SSLHostConfig>
        <Certificate certificateFile="${{tls.dir}}/www.pem"   certificateKeyFile='conf/tls/www.key' />
      </SSLHostConfig>
    </Connector>
    <Connector port="{self.p12}" address="127.0.0.1" SSLEnabled="true">
      <SSLHostConfig>
        <Certificate certificateKeystoreFile="conf/tls/store.p12" certificateKeyAlias="Www"
                     certificateKeystorePassword="${{store.password}}" />
      </SSLHostConfig>
    </Connector>
    <Connector port="{self.jks}" address="127.0.0.1" SSLEnabled="true">
      <SSLHostConfig>
        <Certificate certificateKeystoreFile="conf/tls/store.jks" certificateKeystoreType="JKS" certificateKeyAlias="Www"
                     certificateKeystorePassword="${{store.password}}" certificateKeyPassword="{KEY_PASSWORD}" />
      </SSLHostConfig>
    </Connector>
    <Connector port="{self.multi}" address="127.0.0.1" SSLEnabled="true"
               defaultSSLHostConfigName="a.{self.name}">
      <SSLHostConfig hostName="a.{self.name}">
        <Certificate type="RSA" certificateFile="conf/tls/rsa.pem" />
        <Certificate type="EC" certificateFile="conf/tls/ec.pem" certificateKeyFile="conf/tls/ec.key"
                     certificateKeyPassword="{STORE_PASSWORD.replace('&', '&amp;')}" />
      </SSLHostConfig>
      <SSLHostConfig hostName="*.b.{self.name}">
        <Certificate certificateFile="conf/tls/b.pem" />
      </SSLHostConfig>
    </Connector>
    <Connector port="{self.bare}" address="127.0.0.1" SSLEnabled="true">
      <SSLHostConfig />  <!-- keep -->
    </Connector>
    <Engine name="Catalina" defaultHost="localhost" backgroundProcessorDelay="1">
      <Realm className="org.apache.catalina.realm.MemoryRealm" pathname="conf/tomcat-users.xml" />
      <Host name="localhost" appBase="webapps" deployOnStartup="true" autoDeploy="true">
        <Alias>{self.name}</Alias>
        <Alias>a.{self.name}</Alias>
      </Host>
    </Engine>
  </Service>
</Server>
""")

    def _write_certificates(self):
        pki.write_pair(self.cert, self.key, [self.name])
        self._write_both("rsa.pem", f"a.{self.name}", rsa.generate_private_key(65537, 2048))
        cert, key = pki.make_cert([f"a.{self.name}"])
        (self.tls / "ec.pem").write_bytes(pki.cert_pem(cert))
        (self.tls / "ec.key").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(STORE_PASSWORD.encode())))
        self._write_both("b.pem", f"*.b.{self.name}")
        self._write_stores()
        for path in self.tls.iterdir():
            shutil.chown(path, "root", "tomcat")
            path.chmod(0o640)

    def _write_stores(self):
        """Both with the entry that is served and a second one, which Java wrote itself."""
        p12, jks = self.stores[self.p12], self.stores[self.jks]
        cert, key = pki.make_cert([self.name])
        p12.write_bytes(pkcs12.serialize_key_and_certificates(
            b"www", key, cert, None, serialization.BestAvailableEncryption(STORE_PASSWORD.encode())))
        self._keytool("-genkeypair", "-alias", "other", "-keyalg", "EC", "-dname", "CN=other",
                      "-keystore", p12, "-storepass:env", "STORE_PASSWORD")
        for alias, word in (("www", "KEY_PASSWORD"), ("other", "STORE_PASSWORD")):
            self._keytool("-importkeystore", "-srckeystore", p12, "-srcstorepass:env", "STORE_PASSWORD",
                          "-srcalias", alias, "-destkeystore", jks, "-deststoretype", "JKS",
                          "-deststorepass:env", "STORE_PASSWORD", "-destkeypass:env", word)

    @staticmethod
    def _keytool(*args):
        env = {**os.environ, "STORE_PASSWORD": STORE_PASSWORD, "KEY_PASSWORD": KEY_PASSWORD, "LC_ALL": "C"}
        return subprocess.run(["keytool", *map(str, args)], env=env, check=True, capture_output=True, text=True).stdout

    def _write_both(self, file, name, key=None):
        cert, key = pki.make_cert([name], key=key)
        (self.tls / file).write_bytes(pki.cert_pem(cert) + pki.key_pem(key))

    def start(self):
        argv = ["/usr/bin/java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m",
                "-Djava.io.tmpdir=" + str(self.base / "temp"),
                "-cp", f"{HOME}/bin/bootstrap.jar:{HOME}/bin/tomcat-juli.jar",
                f"-Dcatalina.base={self.base}", f"-Dcatalina.home={HOME}",
                f"-Duser.home={self.base}", "org.apache.catalina.startup.Bootstrap", "start"]
        self.process = Process(["/usr/sbin/runuser", "-u", "tomcat", "--", *argv], self.root / "tomcat.log")
        until(lambda: "Server startup in" in self.process.text() or not self.process.is_running(), seconds=60,
              what="tomcat")
        assert self.process.is_running(), self.process.text()
        until(self.served, what="tomcat to serve")

    def stop(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.popen.wait()
            self.process = None

    def restart(self):
        self.stop()
        (self.root / "tomcat.log").unlink()
        self.start()

    def served(self, port=None, name=None):
        return served(port or self.https, name or self.name)

    def installed(self):
        return leaf_sha256(self.cert)

    def aliases(self, port):
        """{alias: SHA-256 of its first certificate}, as Java reads the keystore of this connector."""
        text = self._keytool("-list", "-keystore", self.stores[port], "-storepass:env", "STORE_PASSWORD")
        entries, alias = {}, None
        for line in text.splitlines():
            if line.startswith("Certificate fingerprint"):
                entries[alias] = line.split("): ")[1].replace(":", "").lower()
            else:
                alias = line.split(",")[0]
        return entries

    def _place_manager(self, docbase):
        path = self.base / "conf" / "Catalina" / "localhost" / "manager.xml"
        path.write_text(f'<Context docBase="{docbase}" privileged="true"/>\n')
        # Tomcat compares times in whole seconds
        seen = getattr(self, "_placed", 0)
        self._placed = max(int(time.time()), seen + 2)
        os.utime(path, (self._placed, self._placed))

    def _manager_status(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/manager/text/serverinfo", timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as err:
            return err.code
        except OSError:
            return None

    @contextlib.contextmanager
    def manager_that_does_nothing(self):
        """In the manager's place an application that says OK to everything and changes nothing."""
        fake = self.base / "fake"
        (fake / "text").mkdir(parents=True, exist_ok=True)
        for name in ("serverinfo", "sslReload"):
            (fake / "text" / name).write_text("OK - so they say\n")
        self._place_manager(fake)
        until(lambda: self._manager_status() == 200, what="another application in the manager's place")
        try:
            yield
        finally:
            self._place_manager(MANAGER)
            until(lambda: self._manager_status() == 401, what="the manager")

    def severe(self):
        """Lines of the log that tell of trouble, but for the connector that has no certificate."""
        return [line for line in self.process.text().splitlines() if "SEVERE" in line
                and str(self.bare) not in line]
