# SPDX-License-Identifier: Apache-2.0
"""What somebody does at the worst moment: shell text, run as the service's user (attackers) or as root (administrators).

In it: $D the directory he owns, $O one of root's that he must not reach, $T the names of the targets.
"""
import os
import subprocess

ATTACKER = 4242

# In a web root: $D is the directory above, $D/public the root, $W is "$D/public/.well-known".
WEB = {
    "root is a link to root's directory": 'mv -T "$D/public" "$D/p"; ln -s "$O" "$D/public"',
    "root is a relative link up": 'mv -T "$D/public" "$D/p"; ln -s ../outside "$D/public"',
    "root is a link to /etc": 'mv -T "$D/public" "$D/p"; ln -s /etc "$D/public"',
    "root is a chain of links": 'mv -T "$D/public" "$D/p"; ln -s "$O" "$D/1"; ln -s 1 "$D/2"; ln -s 2 "$D/public"',
    "root is a link to itself": 'mv -T "$D/public" "$D/p"; ln -s public "$D/public"',
    "root is a private directory of root's": 'mv -T "$D/public" "$D/p"; mv -T "$D/private" "$D/public"',
    "root is gone": 'mv -T "$D/public" "$D/p"',
    "root is a file": 'mv -T "$D/public" "$D/p"; echo >"$D/public"',
    "root is another directory of his": 'mv -T "$D/public" "$D/p"; mkdir "$D/public"',
    "the way is a link": 'mv -T "$W" "$D/w"; ln -s "$O" "$W"',
    "the way is a link to a way": 'mv -T "$W" "$D/w"; ln -s "$O/.well-known" "$W"',
    "the way is a relative link": 'mv -T "$W" "$D/w"; ln -s ../../outside "$W"',
    "the way is a private directory of root's": 'mv -T "$W" "$D/public/w"; mv -T "$D/public/hidden" "$W"',
    "the way is a file": 'mv -T "$W" "$D/w"; echo >"$W"',
    "the way is a pipe": 'mv -T "$W" "$D/w"; mkfifo "$W"',
    "the way is gone": 'rm -rf "$W" || mv -T "$W" "$D/w"',
    "the end of the way is a link": 'mkdir -p "$W"; mv -T "$W/acme-challenge" "$W/a"; ln -s "$O/.well-known/acme-challenge" "$W/acme-challenge"',
    "the end of the way is a link up": 'mkdir -p "$W"; mv -T "$W/acme-challenge" "$W/a"; ln -s ../../.. "$W/acme-challenge"',
    "the file is a link": 'mkdir -p "$W/acme-challenge"; ln -sfn "$O/victim" "$W/acme-challenge/$F"',
    "the file is a link to nothing": 'mkdir -p "$W/acme-challenge"; ln -sfn "$O/new" "$W/acme-challenge/$F"',
    "the file is another name of root's": 'mkdir -p "$W/acme-challenge"; rm -f "$W/acme-challenge/$F"; ln "$O/public" "$W/acme-challenge/$F"',
    "the file is a pipe": 'mkdir -p "$W/acme-challenge"; rm -f "$W/acme-challenge/$F"; mkfifo "$W/acme-challenge/$F"',
    "the file is a directory": 'mkdir -p "$W/acme-challenge"; rm -f "$W/acme-challenge/$F"; mkdir "$W/acme-challenge/$F"',
    "the file is his": 'mkdir -p "$W/acme-challenge"; rm -f "$W/acme-challenge/$F"; echo his >"$W/acme-challenge/$F"',
    "what is new inherits rights": 'command -v setfacl >/dev/null && setfacl -d -m u:4242:rwx "$D/public"',
}

# In the directory of a target or a keystore: $D is that directory, its parent is like /tmp.
TARGET = {
    "targets are links to root's": 'for t in $T; do mv -T "$D/$t" "$D/$t.was"; ln -s "$O/victim" "$D/$t"; done',
    "targets are links to nothing": 'for t in $T; do mv -T "$D/$t" "$D/$t.was"; ln -s "$O/new" "$D/$t"; done',
    "targets are links to each other": 'for t in $T; do mv -T "$D/$t" "$D/$t.was"; ln -s "$t" "$D/$t"; done',
    "targets are other names of root's": 'for t in $T; do mv -T "$D/$t" "$D/$t.was"; ln "$O/public" "$D/$t"; done',
    "targets are pipes": 'for t in $T; do mv -T "$D/$t" "$D/$t.was"; mkfifo "$D/$t"; done',
    "targets are directories": 'for t in $T; do mv -T "$D/$t" "$D/$t.was"; mkdir "$D/$t"; done',
    "targets are gone": 'for t in $T; do rm -f "$D/$t"; done',
    "targets are his": 'for t in $T; do mv -T "$D/$t" "$D/$t.was"; echo his >"$D/$t"; chmod 644 "$D/$t"; done',
    "targets are his, with an ACL": 'for t in $T; do mv -T "$D/$t" "$D/$t.was"; echo his >"$D/$t"; '
                                    'setfacl -m u:4242:rw "$D/$t"; done',
    "temporary files are links": 'for t in "$D"/.*.clmbot.*; do mv -T "$t" "$D/was" && ln -s "$O/victim" "$t"; done',
    "temporary files are links to nothing": 'for t in "$D"/.*.clmbot.*; do mv -T "$t" "$D/was" && ln -s "$O/new" "$t"; done',
    "temporary files are his": 'for t in "$D"/.*.clmbot.*; do mv -T "$t" "$D/was" && echo his >"$t"; done',
    "temporary files are gone": 'rm -f "$D"/.*.clmbot.*',
    "temporary files are the targets": 'for t in "$D"/.*.clmbot.*; do for u in $T; do mv -T "$t" "$D/$u"; done; done',
    "the directory is a link to root's": 'mv -T "$D" "$D.was"; ln -s "$O" "$D"',
    "the directory is a relative link": 'mv -T "$D" "$D.was"; ln -s ../outside "$D"',
    "the directory is another one of his": 'mv -T "$D" "$D.was"; mkdir "$D"; for t in $T; do echo his >"$D/$t"; done',
    "the directory is gone": 'mv -T "$D" "$D.was"',
    "everybody may write in it": 'chmod 777 "$D"',
    "nobody may write in it": 'chmod 0 "$D"',
}

# An administrator, Puppet or certbot; root, and right by definition.
EDITS = {
    "replaced": 'for t in $E; do echo "edited by root" >"$D/edit.tmp"; mv -T "$D/edit.tmp" "$D/$t"; done',
    "written over": 'for t in $E; do echo "edited by root" >"$D/$t"; done',
    "appended to": 'for t in $E; do echo "edited by root" >>"$D/$t"; done',
    "renewed as a link": 'for t in $E; do echo "edited by root" >"$D/$t.1"; ln -sfn "$t.1" "$D/$t"; done',
}


def environment(**names):
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **{name: str(value) for name, value in names.items()}}


def as_program(path, text, env, uid=ATTACKER):
    """A script that does it, for the tracer, which wants it to end well."""
    quoted = "".join(f"{name}='{value}'; export {name}\n" for name, value in env.items())
    who = f"setpriv --reuid {uid} --regid {uid} --clear-groups " if uid else ""
    with open(path, "w", encoding="utf-8") as script:
        script.write(f"#!/bin/sh\n{quoted}{who}sh -c '{text}' 2>/dev/null\nexit 0\n")
    os.chmod(path, 0o755)
    return path


def act(path):
    subprocess.run([path], check=True, stdin=subprocess.DEVNULL)
