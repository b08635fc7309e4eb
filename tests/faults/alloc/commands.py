# SPDX-License-Identifier: Apache-2.0
"""How every command of both programs is tried. A command that is in an option table and not here is a failure."""
from world import BOT, PLANE, TOP

KEYSTORES = TOP / "tests" / "fixtures" / "keystore"


class Case:
    """One command line: `argv` is made from the world; see judge.py for what is demanded of it."""

    def __init__(self, command, *argv, live=False, plane=False, before=None, after=None, points=None,
                 seconds=20):
        self.command, self.argv, self.live, self.plane = command, argv, live, plane
        # before(world) puts the world back; after(world, run) says what is wrong with it, None: nothing
        self.before, self.after = before, after
        self.points, self.seconds = points, seconds

    @property
    def name(self):
        program = "controlplane " if self.plane else ""
        return program + " ".join(a for a in map(str, (self.command, *self.argv)) if not a.startswith("{"))

    def line(self, world):
        """The words, with {names} of the world filled in."""
        values = {"target": world.server.target, "job": world.job, "cert": world.cert, "agent": world.agent.id,
                  "configuration": world.configuration, "host": world.server.name, "token": world.root / "fresh" / "token",
                  "password": world.password, "keystores": KEYSTORES, "tls": world.server.tls}
        words = [str(a).format(**values) if "{" in str(a) else str(a) for a in self.argv]
        command = [] if self.command.startswith("(") else self.command.split()
        if self.plane:
            return [PLANE, *command, *words, "--data", world.plane.data]
        config = world.fresh.config if self.command == "enroll" else world.agent.config
        return [BOT, *command, *words, *(["--config", config] if self.command != "(version)" else [])]


def both(*args, **options):
    """As text and as JSON."""
    return [Case(*args, **options), Case(*args, "--json", **options)]


def _after_rollback(world, run):
    why = world.is_whole()
    if why:
        return why
    installed = world.server.installed()
    new = installed != world.installed_before
    if run.status == 0 and not new:
        return "success without the earlier certificate at the target"
    # done all the same: the answer was lost, and that is said, or the command died of the TLS library
    if run.status != 0 and new and ("may have been done" in run.err or run.crash or run.status < 0):
        return None if world.server.served() == installed else "what was brought back is not served"
    if run.status != 0 and new and "prov" not in run.err + run.out:
        recovered = world.agent.run("recover", check=False)
        if world.server.installed() != world.installed_before:
            return f"failed ({run.status}: {run.err.strip()[-200:]!r}), but the target was changed ({recovered.stdout.strip()!r} of recover)"
    return None


def _before_rollback(world):
    world.restore()
    world.installed_before = world.server.installed()


def _after_enroll(world, run):
    if run.status == 0:
        return None if (world.fresh.state / "net" / "identity").exists() else "success without an identity"
    return None


BOT_CASES = [
    *both("status", live=True),
    *both("jobs", live=True),
    *both("job", "{job}", live=True),
    *both("doctor", live=True),
    Case("_job", "@scan", live=True),
    *both("scan"),
    Case("scan", "--no-probe"),
    Case("scan", "nginx", "--no-probe", "--json"),
    *both("certs"),
    Case("certs", "--in-use", "--problems", "--expiring", "30", "--path", "{tls}/*"),
    *both("explain", "{target}"),
    *both("verify"),
    Case("verify", "{target}"),
    *both("history"),
    *both("plan", "{target}"),
    Case("plan", "{target}", "--check"),
    *both("keystore show", "{keystores}/jdk17.p12"),
    Case("keystore show", "{keystores}/jdk17.p12", "--password-file", "{password}"),
    Case("enroll", "--token-file", "{token}", before=lambda w: w.fresh_enrolment(), after=_after_enroll),
    Case("enroll", "--token-file", "{token}", "--json", before=lambda w: w.fresh_enrolment(), after=_after_enroll,
         points=200),
    Case("rollback", "{target}", before=_before_rollback, after=_after_rollback, points=60, seconds=60),
    *both("config check"),
    Case("config doc"),
    Case("config doc", "--format", "mdoc"),
    Case("completion"),
    *both("version"),
    Case("recover"),
    Case("recover", "--boot"),
    Case("_job", "@courier"),
    Case("_loopback"),
    Case("_mdoc"),
    Case("(help)", "--help"),
    Case("(help)", "help", "scan"),
    Case("(version)", "--version"),
    Case("(mistake)", "scann"),
    Case("(mistake)", "scan", "--jsno"),
]

# Services: tried by services.py, with a world that asks them for something.
BOT_SERVICES = {"run", "host"}

PLANE_CASES = [
    Case("token create", "--uses", "2", "--ttl", "1h", "--json", plane=True),
    *both("token list", plane=True),
    Case("agents", plane=True),
    *both("agents list", plane=True),
    *both("agents show", "{agent}", plane=True),
    Case("agents approve", "{agent}", plane=True),
    Case("agents enable", "{agent}", plane=True),
    Case("agents disable", "agt_00000000000000000000000000", plane=True),
    *both("targets", plane=True),
    Case("certs", plane=True),
    *both("certs list", plane=True),
    *both("certs show", "{cert}", plane=True),
    Case("certs add", "--agent", "{agent}", "--target", "{target}", "--name", "{host}", "--name", "127.0.0.1",
         "--subject", "o=Example", "--json", plane=True),
    Case("action", "verify", "--cert", "{cert}", "--json", plane=True),
    Case("configs", plane=True),
    *both("configs list", plane=True),
    *both("configs show", "{configuration}", plane=True),
    Case("configs add", "--agent", "{agent}", "--target", "{target}", "--name", "{host}", "--json", plane=True),
    Case("configs edit", "{configuration}", "--renew-days", "20", plane=True),
    Case("configs delete", "cfg_00000000000000000000000000", plane=True),
    Case("configs run", "cfg_00000000000000000000000000", plane=True),
    Case("jobs", plane=True),
    *both("jobs list", plane=True),
    *both("jobs show", "{job}", plane=True),
    Case("jobs watch", "{job}", plane=True),
    Case("jobs cancel", "job_00000000000000000000000000", plane=True),
    Case("completion", plane=True),
    Case("_mdoc", plane=True),
    Case("routes", plane=True),
    Case("(help)", "--help", plane=True),
    Case("(mistake)", "agents", "shwo", plane=True),
]
PLANE_SERVICES = {"serve"}
