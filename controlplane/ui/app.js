// SPDX-License-Identifier: Apache-2.0
"use strict";

const state = { agents: [], targets: [], certificates: [], jobs: [], connectors: [], cursor: 0 };
const $ = (id) => document.getElementById(id);
const over = ["succeeded", "failed", "rolled_back", "rejected", "canceled", "skipped", "expired", "denied"];

function notice(text) {
  $("notice").textContent = text || "";
  $("notice").hidden = !text;
}

// Runs an operator's click: the button is off meanwhile, a failure is shown, the page is fresh after.
async function act(button, work) {
  button.disabled = true;
  notice("");
  try {
    await work();
    await refresh();
  } catch (error) {
    notice(error.message);
  } finally {
    button.disabled = false;
  }
}

function button(text, work, options) {
  return el("button", Object.assign({ type: "button", class: "quiet", onclick: (e) => act(e.target, work) }, options), text);
}

function allNames(names) { return [...(names.dns || []), ...(names.ip || [])].join(" "); }

// An agent that polls at the slowest pace (300 s, +20 %) is still online.
function isOnline(agent) { return agent.status === "active" && Date.now() - Date.parse(agent.seen_at) < 360000; }

function hostOf(agentId) {
  const agent = state.agents.find((a) => a.agent_id === agentId);
  return agent ? agent.host.hostname : agentId;
}

function showTiles() {
  const count = (list, test) => list.filter(test).length;
  const tiles = [
    ["agents online", count(state.agents, isOnline) + " / " + state.agents.length],
    ["targets that can be managed", count(state.targets, (t) => t.manageable) + " / " + state.targets.length],
    ["certificates proved in service", count(state.certificates, (c) => c.state === "verified") + " / " + state.certificates.length],
    ["jobs under way", String(count(state.jobs, (j) => !over.includes(j.state)))],
  ];
  $("tiles").replaceChildren(...tiles.map(([name, value]) => el("div", { class: "tile" }, el("b", {}, value), el("span", {}, name))));
}

function showAgents() {
  table("agents-list", [
    { label: "Host", cell: (a) => [a.host.hostname || "?", el("div", { class: "soft" }, short(a.agent_id))] },
    { label: "State", cell: (a) => [badge(a.status === "active" ? (isOnline(a) ? "online" : "offline") : a.status)] },
    { label: "Last seen", cell: (a) => [ago(a.seen_at)] },
    { label: "Version", cell: (a) => [(a.agent && a.agent.version) || ""] },
    { label: "", cell: (a) => [el("div", { class: "actions" },
      button("Scan", () => api.action("scan", { agent_id: a.agent_id })),
      a.status === "pending" ? button("Approve", () => api.post("/agents/" + a.agent_id + "/approve", {})) : null,
      a.status === "disabled" ? button("Enable", () => api.post("/agents/" + a.agent_id + "/enable", {})) : null)] },
  ], state.agents, "No agent yet. On a host: clmbot enroll --token-file FILE");
}

function showTargets() {
  table("targets-list", [
    { label: "Target", cell: (t) => [t.target, el("div", { class: "soft" }, (t.names || []).join(" "))] },
    { label: "Host", cell: (t) => [hostOf(t.agent_id)] },
    { label: "Certificate", cell: (t) => [daysLeft(t.certificate && t.certificate.not_after),
      el("div", { class: "soft" }, (t.certificate && t.certificate.issuer) || "")] },
    { label: "Can be managed", cell: (t) => t.manageable ? [badge("managed")] : [el("span", { class: "soft" }, (t.reasons || []).join("; ") || "no")] },
    { label: "", cell: (t) => [t.manageable ? el("button", { type: "button", class: "quiet", onclick: () => openOrder(t) }, "Order…") : ""] },
  ], state.targets, "Nothing found yet: scan an agent.");
}

function showCertificates() {
  table("certificates-list", [
    { label: "Names", cell: (c) => [allNames(c.names), el("div", { class: "soft" }, c.key_type + " · " + c.connector)] },
    { label: "Target", cell: (c) => [c.target, el("div", { class: "soft" }, hostOf(c.agent_id))] },
    { label: "State", cell: (c) => [badge(c.state), c.last_error ? el("div", { class: "soft bad" }, c.last_error) : null] },
    { label: "Expiry", cell: (c) => [daysLeft(c.not_after)] },
    { label: "", cell: (c) => [el("div", { class: "actions" },
      button("Order", () => api.action("order", { certificate_id: c.certificate_id })),
      button("Deploy", () => api.action("deploy", { certificate_id: c.certificate_id }), { disabled: !c.newest_sha256 }),
      button("Verify", () => api.action("verify", { certificate_id: c.certificate_id })),
      button("Roll back", () => api.action("rollback", { certificate_id: c.certificate_id }), { disabled: !c.newest_sha256 }))] },
  ], state.certificates, "No certificate is managed yet: order one for a target.");
}

function showJobs() {
  table("jobs-list", [
    { label: "Job", cell: (j) => [el("a", { href: "#jobs", onclick: (e) => { e.preventDefault(); openJob(j.job_id); } }, j.type.replaceAll("_", " ")),
      el("div", { class: "soft" }, short(j.job_id))] },
    { label: "Target", cell: (j) => [j.target, el("div", { class: "soft" }, hostOf(j.agent_id))] },
    { label: "State", cell: (j) => [badge(j.state), over.includes(j.state) ? null : el("div", {}, el("progress", { max: 100, value: j.pct || 0 }), " ",
      el("span", { class: "soft" }, j.phase || ""))] },
    { label: "What happened", cell: (j) => [el("span", { class: "bad" }, j.error ? j.error.message : "")] },
    { label: "When", cell: (j) => [ago(j.updated_at)] },
  ], state.jobs, "No job yet.");
}

function show() {
  showTiles();
  showAgents();
  showTargets();
  showCertificates();
  showJobs();
}

async function openJob(id) {
  try {
    const job = await api.get("/jobs/" + id);
    const result = job.result || {};
    const steps = (result.steps || []).map((s) => el("li", { class: s.status === "failed" ? "bad" : s.status === "warning" ? "warn" : "" },
      s.name + " — " + s.status + (s.ms !== undefined ? ", " + s.ms + " ms" : "") + (s.detail ? ": " + s.detail : "")));
    $("details-title").textContent = job.type.replaceAll("_", " ") + " " + job.target;
    $("details-body").replaceChildren(el("p", {}, badge(job.state), " ", el("code", {}, job.job_id)),
      result.error ? el("p", { class: "bad" }, result.error.message, result.error.hint ? " — " + result.error.hint : "") : "",
      steps.length ? el("ol", { class: "steps" }, ...steps) : "",
      el("details", {}, el("summary", {}, "Everything"), el("pre", {}, JSON.stringify(job, null, 2))));
    if (!$("details").open) $("details").showModal();
  } catch (error) {
    notice(error.message);
  }
}

function openOrder(target) {
  $("order-target").textContent = target.target;
  $("order-names").value = (target.names || []).join(" ");
  $("order-connector").replaceChildren(...state.connectors.map((c) => el("option", {}, c.name)));
  $("order-connector").value = state.default_connector;
  $("order-form").onsubmit = (event) => {
    event.preventDefault();
    $("order").close();
    act(event.submitter, async () => {
      const cert = await api.post("/certificates", {
        agent_id: target.agent_id, target: target.target, names: $("order-names").value.trim().split(/\s+/),
        key_type: $("order-key").value, connector: $("order-connector").value, on_issue: "deploy",
      });
      await api.action("order", { certificate_id: cert.certificate_id });
    });
  };
  $("order").showModal();
}

const lists = [["agents", "/agents"], ["targets", "/targets"], ["certificates", "/certificates"], ["jobs", "/jobs?limit=50"], ["connectors", "/connectors"]];
async function refresh() {
  const answers = await Promise.all(lists.map(([, path]) => api.get(path)));
  lists.forEach(([name], i) => { state[name] = answers[i][name]; });
  state.default_connector = answers[4].default_connector;
  show();
}

function link(kind, text) {
  $("link").className = "link " + kind;
  $("link").textContent = text;
}

// Waits for changes; a lost connection is shown and tried again, ever more slowly.
async function follow() {
  let wait = 1000;
  while (api.token) {
    try {
      const answer = await api.get("/events?after=" + state.cursor + "&wait=25");
      link("on", "live");
      wait = 1000;
      if (answer.last !== state.cursor) {
        state.cursor = answer.last;
        await refresh();
      }
    } catch (error) {
      if (error.status === 401) return signOut("That token is not valid (any more).");
      link("off", "no connection to the control plane; trying again");
      await new Promise((done) => { setTimeout(done, wait); });
      wait = Math.min(wait * 2, 30000);
    }
  }
}

function signOut(why) {
  api.remember("");
  $("main").hidden = true;
  $("signout").hidden = true;
  $("signin").hidden = false;
  $("signin-error").textContent = why || "";
  link("", "signed out");
}

async function start() {
  try {
    await refresh();
  } catch (error) {
    return signOut(error.status === 401 ? "That token is not valid." : error.message);
  }
  $("signin").hidden = true;
  $("main").hidden = false;
  $("signout").hidden = false;
  link("on", "live");
  follow();
}

$("signin").addEventListener("submit", (event) => {
  event.preventDefault();
  api.remember($("token").value.trim());
  $("token").value = "";
  start();
});
$("signout").addEventListener("click", () => signOut(""));
$("order-cancel").addEventListener("click", () => $("order").close());
$("details-close").addEventListener("click", () => $("details").close());
setInterval(() => { if (!$("main").hidden) show(); }, 30000); // keeps "5 min ago" true

if (api.token) start();
else signOut("");
