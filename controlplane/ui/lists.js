// SPDX-License-Identifier: Apache-2.0
// The four lists and the numbers above them.
"use strict";

const over = ["succeeded", "failed", "rolled_back", "rejected", "canceled", "skipped", "expired", "denied"];
const isOver = (job) => over.includes(job.state);

// An agent that polls at the slowest pace (300 s, +20 %) is still online.
function isOnline(agent) { return agent.status === "active" && Date.now() - Date.parse(agent.seen_at) < 360000; }

function hostOf(agentId) {
  const agent = state.agents.find((a) => a.agent_id === agentId);
  return (agent && agent.host.hostname) || "a host not known";
}
function allNames(names) { return [...(names.dns || []), ...(names.ip || [])]; }
function targetName(target) { return target.slice(target.indexOf(":") + 1); }
function targetKind(target) { return target.slice(0, Math.max(0, target.indexOf(":"))); }
function liveJob(certificateId) { return state.jobs.find((j) => j.certificate_id === certificateId && !isOver(j)); }

function button(text, work, options) {
  return el("button", Object.assign({ type: "button", onclick: (e) => act(e.currentTarget, work) }, options), text);
}

function showTiles() {
  const count = (list, test) => list.filter(test).length;
  const soon = Date.now() + 21 * 86400000;
  const tiles = [
    ["Proved in service", count(state.certificates, (c) => c.state === "verified"), state.certificates.length, "certificates"],
    ["Need attention", count(state.certificates, (c) => c.state === "failed" || c.state === "waiting_for_restart" || c.last_error || (c.not_after && Date.parse(c.not_after) < soon)), null, "certificates"],
    ["Jobs under way", count(state.jobs, (j) => !isOver(j)), null, "jobs"],
    ["Agents online", count(state.agents, isOnline), state.agents.length, "agents"],
  ];
  $("tiles").replaceChildren(...tiles.map(([name, value, total, href]) => el("a", { class: "tile", href: "#" + href },
    el("span", { class: "soft" }, name), el("b", {}, String(value), total === null ? "" : el("small", {}, " of " + total)))));
}

function configOf(t) { return state.configurations.find((c) => c.agent_id === t.agent_id && c.target === t.target); }

// What is to happen next, as it was set up.
function planOf(c) {
  const config = state.configurations.find((g) => g.certificate_id === c.certificate_id);
  if (!config) return soft("no schedule");
  if (!config.next_renewal_at) return null;
  return soft("renewal " + (Date.parse(config.next_renewal_at) < Date.now() ? "due" : "from " + dayText.format(Date.parse(config.next_renewal_at))));
}

function certificateState(c) {
  const job = liveJob(c.certificate_id);
  if (job) return [badge(c.state), progress(job)];
  const text = { verified: "Seen in a handshake", rolled_back: "The one before is in service",
    waiting_for_restart: "Installed; in service once the server is restarted" }[c.state] || "";
  return [badge(c.state), c.last_error ? el("div", { class: "soft bad" }, c.last_error) : soft(text)];
}

function showCertificates() {
  const ask = (type, c) => api.action(type, { certificate_id: c.certificate_id });
  table("certificates-list", [
    { label: "Certificate", cls: "first", cell: (c) => [c.newest_sha256
      ? el("button", { type: "button", class: "linklike name", title: "Everything about this certificate",
        onclick: () => openCertificate(c.current_sha256 || c.newest_sha256, { sha256: c.current_sha256 || c.newest_sha256, sans: allNames(c.names), not_after: c.served_not_after || c.not_after, key: c.key_type }) }, allNames(c.names).join(" "))
      : strong(allNames(c.names).join(" ")),
      soft((allNames(c.names).includes(targetName(c.target)) ? targetKind(c.target) : c.target) + " on " + hostOf(c.agent_id) + " · " + c.key_type + " · " + c.connector)] },
    { label: "State", cls: "state", cell: certificateState },
    { label: "Expires", cls: "expiry", cell: (c) => [daysLeft(c.served_not_after || c.not_after),
      c.newest_sha256 && c.current_sha256 !== c.newest_sha256 ? soft(c.served_version ? "a newer one is not in service" : "issued, not in service") : null, planOf(c)].flat() },
    { label: "", cls: "actions", cell: (c) => el("div", { class: "actions" },
      button("Order", () => ask("order", c), { title: "A new certificate with a new key, deployed when it is issued" }),
      button("Deploy", () => ask("deploy", c), { disabled: !c.newest_sha256, title: "Install the newest certificate" }),
      button("Verify", () => ask("verify", c), { disabled: !c.current_sha256 && !c.waiting_sha256, title: "Prove by handshakes what is served" }),
      el("button", { type: "button", disabled: !c.deployed_version, title: "Back to the certificate before",
        onclick: (e) => openConfirm(e.currentTarget, "Roll back " + allNames(c.names)[0] + "?",
          "The certificate that was in service before is installed again, and proved by a handshake.", "Roll back", () => ask("rollback", c)) }, "Roll back")) },
  ], state.certificates, (c) => c.certificate_id, el("span", {}, "No certificate is managed yet. ", el("a", { class: "inline", href: "#configure" }, "Set up a target"), "."));
}

function targetCertificate(t) {
  const managed = state.certificates.find((c) => c.certificate_id === t.certificate_id);
  if (managed && managed.current_sha256 && managed.current_sha256 === managed.newest_sha256) return daysLeft(managed.not_after);
  if (!t.certificate) return soft("none found");
  if (managed && managed.current_sha256 && managed.current_sha256 !== t.certificate.sha256) return soft("not scanned since the last change");
  const [left, date] = daysLeft(t.certificate.not_after);
  date.append(issuerText(t.certificate) ? " · " + issuerText(t.certificate) : "");
  return [left, date];
}

function targetState(t) {
  const reasons = (t.reasons || []).map((r) => soft(r));
  if (!t.manageable) return [badge("not manageable"), ...(reasons.length ? reasons : [soft("the agent gave no reason")])];
  return [t.certificate_id ? badge("managed") : badge("unmanaged", "not managed yet"), t.manager ? soft("kept by " + t.manager) : null, ...reasons];
}

function showTargets() {
  table("targets-list", [
    { label: "Target", cls: "first", cell: (t) => {
      const others = (t.names || []).filter((n) => n !== targetName(t.target)).join(" ");
      return [strong(targetName(t.target)), soft(targetKind(t.target) + " on " + hostOf(t.agent_id) + (t.running === false ? " · not running" : "")),
        others ? soft("also " + others) : null];
    } },
    { label: "State", cls: "state", cell: targetState },
    { label: "Expires", cls: "expiry", cell: targetCertificate },
    { label: "", cls: "actions", cell: (t) => t.manageable ? el("div", { class: "actions" },
      el("a", { class: "button" + (configOf(t) ? "" : " accent"), href: wizardLink(t) }, configOf(t) ? "Change…" : "Set up…")) : null },
  ], state.targets, (t) => t.agent_id + " " + t.target, "Nothing found yet. An agent reports what it finds soon after it starts; Scan asks it again.");
}

function jobState(j) {
  if (!isOver(j)) return [badge(j.state), progress(j), j.error ? soft("attempt " + j.attempt + " of " + j.max_attempts + ": " + j.error.message) : null];
  const text = j.error ? j.error.message : j.cancel_reason || (j.state === "skipped" ? "There was nothing to change" : "");
  return [badge(j.state), text ? el("div", { class: "soft" + (j.error ? " bad" : "") }, text) : null];
}

function showJobs() {
  table("jobs-list", [
    { label: "Job", cls: "first", cell: (j) => [strong(jobName(j.type) + (j.target === "host" ? "" : " · " + targetName(j.target))),
      soft((targetKind(j.target) ? targetKind(j.target) + " on " : "") + hostOf(j.agent_id))] },
    { label: "State", cls: "state", cell: jobState },
    { label: "Changed", cls: "expiry", cell: (j) => soft(when(j.updated_at)) },
    { label: "", cls: "actions", cell: (j) => el("div", { class: "actions" },
      el("button", { type: "button", class: "plain", onclick: () => openJob(j.job_id) }, "Details")) },
  ], state.jobs, (j) => j.job_id, "No job yet. Whatever you ask for appears here, with its progress.");
}

function agentActions(a) {
  const change = (what) => () => api.post("/agents/" + a.agent_id + "/" + what, {});
  if (a.status === "pending") return [button("Approve", change("approve"), { class: "accent" }), button("Deny", change("disable"))];
  if (a.status === "disabled" || a.status === "quarantined") return [button("Enable", change("enable"))];
  if (a.status !== "active") return [];
  return [button("Scan", () => api.action("scan", { agent_id: a.agent_id })),
    el("button", { type: "button", onclick: (e) => openConfirm(e.currentTarget, "Disable " + a.host.hostname + "?",
      "The host gets no more work until it is enabled again. What it serves stays as it is.", "Disable", change("disable")) }, "Disable")];
}

function showAgents() {
  table("agents-list", [
    { label: "Agent", cls: "first", cell: (a) => [strong(a.host.hostname || "a host without a name"),
      soft([(a.host.os_version || "").replace("GNU/Linux ", "") || (a.agent && a.agent.os_version), a.agent && a.agent.version && "clmbot " + a.agent.version].filter(Boolean).join(" · "))] },
    { label: "State", cls: "state", cell: (a) => [badge(a.status === "active" ? (isOnline(a) ? "online" : "offline") : a.status),
      a.status === "pending" ? soft("Compare before you approve: ", el("code", {}, a.fingerprint)) : a.health && a.health !== "ok" ? soft(a.health) : null] },
    { label: "Last seen", cls: "expiry", cell: (a) => soft(when(a.seen_at)) },
    { label: "", cls: "actions", cell: (a) => el("div", { class: "actions" }, ...agentActions(a)) },
  ], state.agents, (a) => a.agent_id, el("span", {}, "No agent yet. Make a join token here with ", el("code", {}, "clmbot-controlplane token create"),
    ", then run on the host ", el("code", {}, "clmbot enroll --token-file FILE"), "."));
}

function show() {
  showTiles();
  showCertificates();
  showTargets();
  showJobs();
  showAgents();
  showInventory();
}
