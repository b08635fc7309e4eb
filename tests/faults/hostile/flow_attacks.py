# SPDX-License-Identifier: Apache-2.0
"""Answers to a job under way: leases, orders, challenges, acknowledgements."""
import json

import http_attacks
import json_attacks
import papers
import wire
from job_attacks import JobAttack, order

ACME, PKI = "/.well-known/acme-challenge/", "/.well-known/pki-validation/"
TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
CONTENT = TOKEN + ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"


def at(step, name, trap, says, code="", ends="failed", slow=0, **spec):
    def make(world):
        return order(world, traps={step: trap}, **spec)
    return JobAttack(f"{step}/{name}", make, says, code, ends, slow)


def says_json(**body):
    return lambda conn, request, plane: wire.answer(body)


def changed(**changes):
    """The right answer with other members; None takes one away."""
    def trap(conn, request, plane):
        step, job = plane._route(request)
        head, text = plane.normal(step, job, request).split(b"\r\n\r\n", 1)
        body = {key: value for key, value in (json.loads(text) | changes).items() if value is not None}
        status = int(head.split(b" ")[1])
        return wire.answer(body, status)
    return trap


def once(trap):
    """The first time only: afterwards the answer is right, and the job goes on."""
    done = []

    def first(conn, request, plane):
        if done:
            step, job = plane._route(request)
            return plane.normal(step, job, request)
        done.append(1)
        return trap(conn, request, plane)
    return first


# ---- challenges ----

PATHS = [
    "/etc/passwd", "/../../../../etc/passwd", "../../etc/cron.d/owned", "", "/", ".", "..", "/.well-known", "/.well-known/",
    "/.well-known/acme-challenge", ACME, ACME + "..", ACME + ".", ACME + "../../decoy/passwd", ACME + "../" + TOKEN,
    ACME + "....//....//etc/passwd", ACME + "..\\..\\etc\\passwd", ACME + "%2e%2e%2fpasswd" + "a" * 16,
    ACME + "..%2f..%2fetc%2fpasswd", ACME + "%252e%252e%252f" + "a" * 16, ACME + "/" + TOKEN, ACME + "x/" + TOKEN,
    ACME + TOKEN + "/../../x", ACME + TOKEN + "/", ACME + "." + TOKEN, ACME + "-" * 15, ACME + "a" * 129, ACME + "a" * 400,
    ACME + TOKEN + ".php", ACME + TOKEN + "\n", ACME + TOKEN + "\r\nX: y", ACME + TOKEN + "\t", ACME + " " + TOKEN,
    ACME + "\u2025/\u2025/" + TOKEN, ACME + "\uff0e\uff0e\uff0f" + TOKEN, ACME + "~root" + TOKEN, ACME + "$(id)" + TOKEN,
    ACME + "*" + TOKEN, ACME + ".htaccess", ACME + "../.htaccess", "/.well-known/acme-challenge\0/" + TOKEN,
    ACME.upper() + TOKEN, "//" + ACME[1:] + TOKEN, "/./" + ACME[1:] + TOKEN, "/x/.." + ACME + TOKEN, "http://x" + ACME + TOKEN,
    "file://" + ACME + TOKEN, PKI + "..", PKI + "../../x.txt", PKI + "shell.php", PKI + "a.txt.php", PKI + ".htaccess",
    PKI + "a" * 65 + ".txt", PKI + "a b.txt", PKI + "a.js", PKI + "a.svg", PKI, "/.well-known/security.txt", "/index.html",
]
CONTENTS = {
    "line-feed": "a\nb", "carriage-return": "a\r\nSet-Cookie: x", "html": "<script>alert(1)</script>", "php": "<?php system('id'); ?>",
    "asp": "<% x %>", "percent": "%n%s", "escape-sequence": "\x1b[2J", "empty": "", "tab": "a\tb", "not-ascii": "\u00e9",
    "4097-bytes": "a" * 4097, "100-kib": "a" * 100000,
}
DOMAINS = {
    "not-of-the-order": "other.clmbot.test", "not-allowed": "bank.example.org", "a-path": "../../etc", "an-address": "127.0.0.1",
    "metadata": "169.254.169.254", "with-a-port": "alpha.clmbot.test:22", "with-a-user": "a@alpha.clmbot.test",
    "line-feed": "alpha.clmbot.test\r\nHost: x", "empty": "", "wildcard": "*.clmbot.test", "long": "a" * 254,
}


def challenge(**changes):
    return {"challenge_id": papers.ident("chl", 1), "method": "http-01", "domain": "alpha.clmbot.test", "path": ACME + TOKEN,
            "content": CONTENT, "state": "pending", **changes}


def dcv(name, says, code="", ends="refused", challenges=None, slow=0, **changes):
    def make(world):
        job = order(world, dcv={"method": "http-01"}, envelope={"timeout_s": slow} if slow else None)
        job.dcv = challenges or [challenge(**({"domain": world.name} | changes))]
        return job
    return JobAttack(f"dcv/{name}", make, says, code, ends, slow)


def challenges():
    found = [dcv(f"path-{n:02}", "", path=path) if "\0" not in path else dcv(f"path-{n:02}", "u0000", slow=10, path=path)
             for n, path in enumerate(PATHS)]
    found += [dcv(f"content-{name}", "", content=text) for name, text in CONTENTS.items()]
    found += [dcv(f"domain-{name}", "", domain=text) for name, text in DOMAINS.items()]
    found += [
        dcv("two-hundred-and-one", "challenges", challenges=[challenge()] * 201),
        dcv("no-list", "challenges", challenges={"a": 1}),
        dcv("no-object", "", challenges=["x"]),
        dcv("id-of-1-kib", "challenge_id", challenge_id="x" * 1000),
        dcv("method-unknown", "", slow=10, method="exec"),
    ]
    return found


# ---- leases, orders, acknowledgements ----

LONG = "x" * 5000
FLOWS = [
    at("lease", "fence-0", changed(fence=0), "fence", ends="later"),
    at("lease", "fence-negative", changed(fence=-1), "fence", ends="later"),
    at("lease", "fence-a-text", changed(fence="7"), "fence", ends="later"),
    at("lease", "fence-missing", changed(fence=None), "fence", ends="later"),
    at("lease", "fence-too-large", changed(fence=2**60), "", ends="later", slow=62),
    at("lease", "attempt-1001", changed(attempt=1001), "attempt", ends="later"),
    at("lease", "of-another-job", changed(job_id=papers.ident("job", 1)), "", ends="succeeded"),
    at("lease", "unknown-job", lambda c, r, p: wire.problem(404, "job-unknown", "\x1b[2Jgone\n%n"), "gave this job up", ends="dropped"),
    at("lease", "conflict-for-ever", lambda c, r, p: wire.problem(409, "conflict", "taken"), "taken", ends="dropped"),
    at("lease", "forbidden", lambda c, r, p: wire.problem(403, "forbidden", "no"), "no", ends="dropped"),
    at("lease", "wait-136-years", lambda c, r, p: wire.answer({"code": "waiting", "status": 423, "type": "x"}, 423, wire.PROBLEM,
                                                            [("Retry-After", "4294967295")]), "", ends="waits"),
    at("lease", "wait-until-9999", lambda c, r, p: wire.answer({"code": "waiting", "status": 423, "type": "x"}, 423, wire.PROBLEM,
                                                             [("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")]), "", ends="waits"),
    at("csr", "order-id-a-path", changed(order_id="../../../etc/passwd"), "order_id"),
    at("csr", "order-id-with-line-feeds", changed(order_id="ord_\r\nHost: x"), "order_id"),
    at("csr", "order-id-a-query", changed(order_id="ord_1?x=y#"), "order_id"),
    at("csr", "order-id-of-5-kb", changed(order_id=LONG), "order_id"),
    at("csr", "order-id-missing", changed(order_id=None), "order_id"),
    at("csr", "order-id-a-number", changed(order_id=7), "order_id"),
    at("csr", "conflict", lambda c, r, p: wire.problem(409, "conflict", "open"), "open", "E_ORDER_OPEN"),
    at("csr", "refused-with-escape-sequences", lambda c, r, p: wire.problem(422, "invalid-csr", "\x1b]0;x\x07\n%s%n"), "invalid-csr"),
    at("csr", "gone", lambda c, r, p: wire.problem(410, "expired", "gone"), "gave this job up", ends="dropped"),
    at("order", "state-unknown-characters", changed(state="../issued"), "state"),
    at("order", "state-too-long", changed(state="a" * 100), "state"),
    at("order", "state-missing", changed(state=None), "state"),
    at("order", "state-a-list", changed(state=["issued"]), "state"),
    at("order", "failed-with-escape-sequences", says_json(state="failed", error={"message": "\x1b[2J\r\nclmbot: succeeded\u2028x %n %s"}),
       "is failed", "E_ORDER_FAILED"),
    at("order", "failed-with-a-long-reason", says_json(state="failed", error={"message": "\u20ac" * 20000}), "is failed", "E_ORDER_FAILED"),
    at("order", "failed-with-no-text", says_json(state="failed", error=["x"]), "is failed", "E_ORDER_FAILED"),
    at("order", "canceled", says_json(state="canceled"), "is canceled", "E_ORDER_FAILED"),
    at("order", "certificate-id-a-path", changed(certificate_id="../../../operator/secret"), "certificate_id"),
    at("order", "certificate-id-with-line-feeds", changed(certificate_id="x\r\nHost: y"), "certificate_id"),
    at("order", "certificate-id-a-number", changed(certificate_id=7), "certificate_id"),
    at("order", "certificate-id-missing", changed(certificate_id=None), "certificate_id"),
    at("order", "certificate-id-of-5-kb", changed(certificate_id=LONG), "certificate_id"),
    at("events", "garbage", lambda c, r, p: wire.answer(b"\0\0", kind="text/html"), "", ends="succeeded"),
    at("events", "interval-a-text", changed(min_interval_s="x"), "", ends="succeeded"),
    at("events", "refused", lambda c, r, p: wire.problem(400, "schema", "no"), "", ends="succeeded"),
    at("result", "refused", lambda c, r, p: wire.problem(400, "schema", "never"), "", ends="spooled"),
    at("result", "gone", lambda c, r, p: wire.problem(410, "agent-unknown", "never"), "", ends="spooled"),
    at("result", "conflict", lambda c, r, p: wire.problem(409, "stale-fence", "older"), "", ends="spooled"),
    at("fetch", "html", once(lambda c, r, p: wire.answer("<html>", kind="text/html")), "", ends="succeeded"),
    at("fetch", "not-found", lambda c, r, p: wire.problem(404, "job-unknown", "no"), "", ends="dropped"),
    at("fetch", "other-shape", says_json(x=1), "", "E_SIGNATURE", "rejected"),
    at("fetch", "empty", says_json(), "", "E_SIGNATURE", "rejected"),
    at("fetch", "200-kib", says_json(jws={"payload": "A" * 200000, "signatures": []}), "", "", "rejected"),
]


def unsigned(attack):
    """fetch is asked only if the offer came without the job itself."""
    def make(world):
        job = attack.make(world)
        job.is_inline = False
        return job
    return JobAttack(attack.name, make, attack.says, attack.code, attack.ends, attack.slow)


def attacks():
    found = [unsigned(one) if one.name.startswith("fetch/") else one for one in FLOWS] + challenges()
    for name, (text, _) in json_attacks.texts("order_id", papers.ident("ord", 1)).items():
        found.append(at("csr", f"json-{name}", once(lambda c, r, p, text=text: wire.answer(text)), "", ends="any"))
    for name, how in http_attacks.TABLE.items():
        found.append(at("order", f"http-{name}", once(how[0]), "", ends="any", slow=how[2] if len(how) > 2 else 0))
    return found
