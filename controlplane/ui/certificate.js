// SPDX-License-Identifier: Apache-2.0
// One certificate with everything known of it: what it is, where it lies, where it is served, who looks after it.
"use strict";

const yes = (value, good, bad) => value === true ? el("span", { class: "badge good" }, good) : value === false ? el("span", { class: "badge bad" }, bad) : null;

function certificateFacts(c, keeper) {
  return facts([["Names", (c.sans || []).join(" ")], ["Subject", c.subject], ["Issuer", issuerText(c)], ["Serial", c.serial && el("code", {}, c.serial)],
    ["Valid", c.not_after && [c.not_before ? dayText.format(Date.parse(c.not_before)) + " to " : "until ", dayText.format(Date.parse(c.not_after)), " (", daysLeft(c.not_after)[0].textContent, ")"]],
    ["Key", c.key], ["SHA-256", c.sha256 && el("code", {}, c.sha256)], ["Kept by", keeper]]);
}

function fileCard(f, sha256) {
  const entry = f.entries.find((e) => e.certificate && e.certificate.sha256 === sha256) || leafOf(f) || {};
  return el("li", {}, pathText(f.path),
    soft(hostOf(f.agent_id) + " · " + f.format.toUpperCase() + " · " + f.perm + (entry.alias ? " · alias " + entry.alias : "")),
    el("div", { class: "badges" }, badge(f.status), yes(entry.key_matches, "key fits", "key does not fit"), yes(entry.chain_ok, "chain whole", "chain broken"), problemBadges((f.problems || []).filter((p) => p !== "chain_broken" && p !== "key_mismatch"))),
    f.used_by && f.used_by.length ? soft("Used by " + f.used_by.join(", ")) : soft("Nothing that runs uses it"));
}

function servedOf(sha256) {
  return state.targets.filter((t) => [t.served].flat().filter(Boolean).some((s) => (s.leaf_sha256 || s.sha256) === sha256));
}
const installedAt = (sha256) => state.targets.filter((t) => t.certificate && t.certificate.sha256 === sha256);

function targetLine(t, isServed, isInstalled) {
  const seen = [t.served].flat().filter(Boolean).map((s) => s.checked || (s.addr ? s.addr + ":" + s.port : "")).filter(Boolean);
  return el("li", {}, el("div", { class: "name" }, targetName(t.target)), soft(targetKind(t.target) + " on " + hostOf(t.agent_id) + (t.cert_path && isInstalled ? " · " + t.cert_path : "")),
    el("div", { class: "badges" }, isServed ? el("span", { class: "badge good" }, "served" + (seen.length ? " at " + [...new Set(seen)].join(", ") : "")) : el("span", { class: "badge warn" }, "not seen in a handshake"),
      isInstalled ? null : el("span", { class: "badge warn" }, "not what is configured")));
}

function keeperText(sha256, files) {
  const ours = state.certificates.filter((c) => c.current_sha256 === sha256 || c.newest_sha256 === sha256);
  const others = [...new Set(files.map((f) => f.manager).filter(Boolean))];
  const lines = ours.map((c) => {
    const config = state.configurations.find((g) => g.certificate_id === c.certificate_id);
    return "clmbot, for " + allNames(c.names)[0] + (c.current_sha256 === sha256 ? ", in service" : ", issued, not in service") +
      (config && config.next_renewal_at ? "; next renewal " + dayText.format(Date.parse(config.next_renewal_at)) : config ? "" : "; no schedule");
  });
  return [...lines, ...others].join(" · ") || "Nobody that is known";
}

function showDialog(title, parts) {
  delete $("details").dataset.job;
  $("details-cancel").hidden = true;
  $("details-title").textContent = title;
  $("details-body").replaceChildren(...parts.flat().filter(Boolean));
  if (!$("details").open) $("details").showModal();
  $("details-body").scrollTop = 0;
}

async function openCertificate(sha256, known) {
  try {
    const answer = await api.get("/inventory/files?limit=100&sha256=" + sha256);
    const entry = answer.files.flatMap((f) => f.entries).find((e) => e.certificate && e.certificate.sha256 === sha256);
    const c = (entry && entry.certificate) || known || { sha256 };
    const served = servedOf(sha256), installed = installedAt(sha256), places = [...new Set([...served, ...installed])];
    const problems = [...new Set([...answer.files.flatMap((f) => f.problems || []), ...installed.flatMap(servedProblems)])];
    showDialog(c.subject || c.sans ? firstName(c) : "Certificate", [
      problems.length ? el("div", { class: "badges" }, problemBadges(problems)) : null,
      certificateFacts(c, keeperText(sha256, answer.files)),
      el("h3", {}, "At services"), places.length ? el("ul", { class: "plainlist" }, places.map((t) => targetLine(t, served.includes(t), installed.includes(t)))) : soft("At no service that a scan found"),
      el("h3", {}, "Files" + (answer.total ? " (" + answer.total + ")" : "")),
      answer.files.length ? el("ul", { class: "plainlist" }, answer.files.map((f) => fileCard(f, sha256))) : soft("In no file that a scan of files found"),
    ]);
  } catch (error) {
    notice(error.message);
  }
}

// A file, and what is in it: each certificate leads on to its own page.
function openFile(f) {
  const leaf = leafOf(f);
  if (leaf && f.entries.length === 1) { openCertificate(leaf.certificate.sha256, leaf.certificate); return; }
  showDialog(f.path, [
    el("div", { class: "badges" }, badge(f.status), f.in_use ? badge("in use") : null, problemBadges(f.problems)),
    facts([["Host", hostOf(f.agent_id)], ["Format", f.format.toUpperCase()], ["Rights", f.perm], ["Used by", f.used_by.join(", ") || "nothing that runs"],
      ["Kept by", f.manager], ["Password", f.locked ? "The host does not know it" : ""], ["Found", timeText.format(Date.parse(f.found_at))]]),
    el("h3", {}, "In it"),
    f.entries.length ? el("ul", { class: "plainlist" }, f.entries.map((e) => el("li", {},
      e.certificate ? el("button", { type: "button", class: "linklike", onclick: () => openCertificate(e.certificate.sha256, e.certificate) }, firstName(e.certificate)) : el("div", { class: "name" }, e.kind === "key" ? "A private key" : "Something else"),
      soft([e.alias ? "alias " + e.alias : "", { certificate: "certificate", key: "key with its certificate", trusted: "trusted certificate", other: "" }[e.certificate ? e.kind : "other"], e.certificate ? daysLeft(e.certificate.not_after)[0].textContent : ""].filter(Boolean).join(" · ")),
      el("div", { class: "badges" }, yes(e.key_matches, "key fits", "key does not fit"), yes(e.chain_ok, "chain whole", "chain broken"))))) : soft("Nothing that can be read"),
  ]);
}
