# SPDX-License-Identifier: Apache-2.0
"""Names that would lead somewhere else, in every member that takes part in a path."""
from sign import new_id
from stage import ACME

PKI = "/.well-known/pki-validation/"
TOKEN = "tOkEn-" + "a" * 20

# Behind "/.well-known/acme-challenge/"; none of them is 16 to 128 characters of base64url.
TOKENS = [
    "", ".", "..", "-", "a", "a" * 15, "a" * 129, "a" * 300, "../" + TOKEN, "../../" + TOKEN, "../../../../../../etc/cron.d/x",
    "..%2f" + TOKEN, "%2e%2e%2f" + TOKEN, "%2e%2e/" + TOKEN, "..%252f" + TOKEN, "..%c0%af" + TOKEN, "..\\" + TOKEN, "..%5c" + TOKEN,
    TOKEN + "%00.html", TOKEN + "/", TOKEN + "/x", "/" + TOKEN, "//etc/passwd", "./" + TOKEN, TOKEN + "/../../x", TOKEN + ".html",
    TOKEN + ".php", TOKEN + " ", " " + TOKEN, TOKEN + "\n", TOKEN + "\r\nX: y", TOKEN + "\t", TOKEN + "~", TOKEN + "*", TOKEN + ";id",
    TOKEN + "$(id)", "`id`" + TOKEN, TOKEN + "|x", TOKEN + "&x", TOKEN + "?x", TOKEN + "#x", TOKEN + "'", TOKEN + '"', TOKEN + "<",
    ".htaccess", ".htaccess" + "a" * 10, "....//....//" + TOKEN, "\u2025/" + TOKEN, "\u2215" + TOKEN, "\uff0e\uff0e/" + TOKEN,
    TOKEN + "\u00e9", TOKEN + "=", "con" + "\u202e" + TOKEN, TOKEN + "\x7f",
]
# Whole paths.
PATHS = [
    "", "/", TOKEN, "/" + TOKEN, "/etc/passwd", "/.well-known/" + TOKEN, "/.well-known/acme-challenge", "/.well-known/acme-challengeX/" + TOKEN,
    "/.WELL-KNOWN/acme-challenge/" + TOKEN, "/x/../.well-known/acme-challenge/" + TOKEN, "//.well-known/acme-challenge/" + TOKEN,
    ".well-known/acme-challenge/" + TOKEN, "/.well-known/../.well-known/acme-challenge/" + TOKEN, "/index.html",
    "http://localhost" + ACME + TOKEN, "file:///etc/passwd", "\\.well-known\\acme-challenge\\" + TOKEN, ACME * 20 + TOKEN,
    "/.well-known/openid-configuration", PKI, PKI + ".htaccess", PKI + "../x.txt", PKI + "a/b.txt", PKI + "x.php", PKI + "x.txt.cgi",
    PKI + "a" * 65, PKI + "x.shtml", PKI + "x.HTML", PKI + "web.config", PKI + "x.txt%00", PKI + "..", PKI + "x .txt",
]
CONTENTS = {
    "none": "", "a page": "<html>", "a template": "<%= 7*7 %>", "percent": "100%", "a line more": "a.b\nRequire all granted",
    "carriage return": "a\rb", "escape": "\x1b[2J", "too long": "a" * 4097, "letters of others": "t\u00e9st", "DEL": "a\x7f",
}
DOMAINS = ["", ".", "..", "bank.example.org", "clmbot.test", "www.clmbot.test.evil.org", "*.clmbot.test", "127.0.0.1", "a" * 254,
           "www..clmbot.test", "www.clmbot.test/..", "www.clmbot.test%2f", "www.clmbot.test\x01", "-x.clmbot.test", "[::1]",
           "www.clmbot.test\n", "w\u00fcrzburg.clmbot.test", "www.clmbot.test:80", "user@www.clmbot.test"]
IDS = ["", ".", "..", "{0}", "{0}_", "{0}_..", "{0}_../../../../../../etc/passwd", "../{0}_01ARZ3NDEKTSV4RRFFQ69G5FAV",
       "{0}_01ARZ3NDEKTSV4RRFFQ69G5FA/", "{0}_01ARZ3NDEKTSV4RRFFQ69G5FAVV", "{0}_01arz3ndektsv4rrffq69g5fav",
       "{0}_01ARZ3NDEKTSV4RRFFQ69G5F..", "{0}_01ARZ3NDEKTSV4RRFFQ69G5F%2", "/{0}_01ARZ3NDEKTSV4RRFFQ69G5FA", "{0}_" + "A" * 300,
       "x{0}_01ARZ3NDEKTSV4RRFFQ69G5FAV", "seq", "{0}_01ARZ3NDEKTSV4RRFFQ69G5FA\n", "{0}_01ARZ3NDEKTSV4RRFFQ69G5F\u00e9"]


def put_body(stage, **changes):
    """A dcv_put that would be done, but for the changes."""
    if not hasattr(stage, "dcv_job"):
        stage.dcv_job = stage.accept("get_dcv", {"order_id": new_id("ord")})
    body = {"job_id": stage.dcv_job, "order_id": new_id("ord"), "challenge_id": new_id("chl"), "domain": stage.server.name,
            "path": ACME + TOKEN, "content": "a.b"}
    body.update(changes)
    return body


def refuse_put(problem, **changes):
    def case(stage):
        stage.refused("dcv_put", put_body(stage, **changes), problem)
        assert not (stage.server.www / ".well-known").exists(), "something was made"
    return case


def refuse_id(op, member, value):
    def case(stage):
        body = put_body(stage, chain_pem="x", result={})
        body[member] = value
        stage.refused(op, body)
    return case


def good_put(stage):
    """What is allowed is done and undone: else nothing above would mean anything."""
    body = put_body(stage)
    made = stage.granted("dcv_put", body)
    assert open(made["file"], encoding="ascii").read() == "a.b"
    assert stage.granted("dcv_remove", body)["removed"] == 1
    assert not (stage.server.www / ".well-known").exists(), "what was made is not removed"


def cases():
    yield "path: one that is good", good_put
    for token in TOKENS:
        yield f"token {token[:40]!r} of {len(token)}", refuse_put("E_PATH", path=ACME + token)
    for path in PATHS:
        yield f"path {path[:60]!r} of {len(path)}", refuse_put("E_PATH", path=path)
    for name, content in CONTENTS.items():
        yield f"content: {name}", refuse_put("E_PATH", content=content)
    for domain in DOMAINS:
        yield f"domain {domain[:30]!r}", refuse_put(None, domain=domain)
    for shape in IDS:
        yield f"order id {shape[:40]!r}", refuse_id("dcv_put", "order_id", shape.format("ord"))
        yield f"order id to remove {shape[:40]!r}", refuse_id("dcv_remove", "order_id", shape.format("ord"))
        for op in ("csr", "dcv_put", "cert_put", "deploy", "rollback", "recheck", "close"):
            yield f"job id of {op} {shape[:40]!r}", refuse_id(op, "job_id", shape.format("job"))
