# SPDX-License-Identifier: Apache-2.0
"""The three servers of the machine: Debian's units and programs, one certificate each."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Server:
    """files: (path, mode), the certificate first; key: the file with the private key."""
    name: str
    unit: str
    target: str
    host: str
    port: int
    files: tuple
    key: str
    conf: dict

    @property
    def folder(self):
        return self.files[0].rpartition("/")[0]


NGINX = Server(
    name="nginx", unit="nginx.service", target="nginx:www.clmbot.test", host="www.clmbot.test", port=443,
    files=("/etc/nginx/tls/www.pem", "/etc/nginx/tls/www.key"), key="/etc/nginx/tls/www.key",
    conf={"/etc/nginx/nginx.conf": """user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { worker_connections 64; }
http {
    access_log off;
    server {
        listen 127.0.0.1:80;
        server_name www.clmbot.test mail.clmbot.test shop.clmbot.test;
        root /var/www/html;
    }
    server {
        listen 127.0.0.1:443 ssl;
        server_name www.clmbot.test;
        ssl_certificate /etc/nginx/tls/www.pem;
        ssl_certificate_key /etc/nginx/tls/www.key;
    }
}
"""})

APACHE = Server(
    name="apache", unit="apache2.service", target="apache:mail.clmbot.test", host="mail.clmbot.test", port=444,
    files=("/etc/apache2/tls/mail.pem", "/etc/apache2/tls/mail.key"), key="/etc/apache2/tls/mail.key",
    conf={"/etc/apache2/apache2.conf": """ServerName mail.clmbot.test
PidFile ${APACHE_PID_FILE}
DefaultRuntimeDir ${APACHE_RUN_DIR}
ErrorLog ${APACHE_LOG_DIR}/error.log
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 16
MinSpareThreads 2
MaxSpareThreads 8
Listen 127.0.0.1:81
Listen 127.0.0.1:444
<VirtualHost 127.0.0.1:81>
    ServerName mail.clmbot.test
    DocumentRoot /var/www/html
</VirtualHost>
<VirtualHost 127.0.0.1:444>
    ServerName mail.clmbot.test
    DocumentRoot /var/www/html
    SSLEngine on
    SSLCertificateFile /etc/apache2/tls/mail.pem
    SSLCertificateKeyFile /etc/apache2/tls/mail.key
</VirtualHost>
"""})

HAPROXY = Server(
    name="haproxy", unit="haproxy.service", target="file:shop", host="shop.clmbot.test", port=445,
    files=("/etc/haproxy/tls/shop.pem",), key="/etc/haproxy/tls/shop.pem",
    conf={"/etc/haproxy/haproxy.cfg": """global
    user haproxy
    group haproxy
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend shop
    bind 127.0.0.1:445 ssl crt /etc/haproxy/tls/shop.pem
    http-request return status 200
"""})

SERVERS = (NGINX, APACHE, HAPROXY)

POLICY = """scan: {interval: 0, files: {mode: "off"}}
control_plane: {poll_wait: 5}
policy:
  names: {allow: ["*.clmbot.test"]}
  limits: {deploys_per_target_per_day: 10000, orders_per_day: 10000}
  write_roots: [/etc/nginx/tls, /etc/apache2/tls, /etc/haproxy/tls]
deploy: {deadline: 2}
files:
  shop:
    outputs:
      - {path: /etc/haproxy/tls/shop.pem, content: key_fullchain}
    reload: unit
    unit: haproxy.service
    verify: {address: 127.0.0.1, port: 445, sni: shop.clmbot.test}
"""
