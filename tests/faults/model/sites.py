# SPDX-License-Identifier: Apache-2.0
"""Who flushes, and whether it is noticed when that flush does nothing: one row per call site, over all scenarios."""
import dataclasses
import re
import subprocess

# Where a chain of callers is cut: below this function it is plumbing, above it the step of the transaction.
PLUMBING = re.compile(r"^(clm_fs(at)?_|clm_txn_log_append|sync_place|fill$|below|say$|try_to_say|write_record$)")


@dataclasses.dataclass
class Site:
    chain: str
    label: str
    caught: bool
    flushes: int

    def __str__(self):
        verdict = "necessary" if self.caught else "NOT NOTICED"
        return f"flush {verdict}: {self.chain} ({self.label}, {self.flushes} times)"


def functions(program, addresses):
    """Names of the functions these addresses are in."""
    if not addresses:
        return {}
    done = subprocess.run(["addr2line", "-f", "-e", str(program), *map(hex, addresses)], capture_output=True, text=True,
                          check=True)
    return dict(zip(addresses, done.stdout.splitlines()[::2]))


def chain_of(frames, names):
    """Innermost first, up to the first function that is no plumbing."""
    chain = []
    for frame in frames:
        chain.append(names[frame])
        if not PLUMBING.match(names[frame]):
            break
    return " < ".join(chain)


def general(label):
    """Without what is another one each time."""
    return re.sub(r"txn_[0-9A-HJKMNP-TV-Z]{26}", "TXID", re.sub(r"clmbot\.[0-9a-f]{16}", "clmbot.RANDOM", label))


def table(program, reports):
    """A Site for each chain of callers; necessary if that was noticed in one scenario."""
    names = functions(program, sorted({frame for one in reports for site in one["sites"] for frame in site["frames"]}))
    found = {}
    for site in (site for one in reports for site in one["sites"]):
        chain = chain_of(site["frames"], names)
        row = found.setdefault(chain, Site(chain, general(site["label"]), False, 0))
        row.flushes += site["flushes"]
        if site["caught"] and not row.caught:
            row.caught, row.label = True, general(site["label"])
    return sorted(found.values(), key=lambda row: (not row.caught, row.chain))
