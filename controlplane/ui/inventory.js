// SPDX-License-Identifier: Apache-2.0
// What is on the hosts: what services serve, and every certificate file, with filters. Files are filtered and
// counted by the control plane, and come in parts of 100.
"use strict";

const problemNames = { expired: "Expired", expiring: "Ends soon", not_yet_valid: "Not valid yet", weak_key: "Weak key", weak_signature: "Weak signature",
  key_readable: "Key readable by others", key_mismatch: "Key does not fit", chain_broken: "Chain broken" };
const grave = ["expired", "key_readable", "key_mismatch", "weak_key"];
const SERVED_SHOWN = 100;

const shown = { files: [], next: null, total: 0, managers: [], asked: 0, servedAll: false };

function filterFields() {
  const any = (text, options) => select([["", text], ...options]);
  const parts = [
    ["f-q", "Search", input("", { type: "search", placeholder: "path, name, issuer, fingerprint…" })],
    ["f-status", "Status", any("Any", [["managed", "Managed"], ["monitored", "Monitored"], ["ignored", "Ignored"]])],
    ["f-problem", "Problems", any("Any or none", [["any", "With problems"], ...Object.entries(problemNames)])],
    ["f-days", "Ends within", any("Any time", [["0", "Already over"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "A year"]])],
    ["f-use", "In use", any("Either", [["1", "In use"], ["0", "Not in use"]])],
    ["f-agent", "Host", any("All hosts", [])],
    ["f-manager", "Manager", any("Any", [["none", "No other manager"]])],
    ["f-sort", "Order", select([["path", "By path"], ["expiry", "Soonest end first"]])],
  ];
  $("filters").replaceChildren(...parts.map(([id, label, control]) => {
    control.id = id;
    return el("div", { class: "filter" + (id === "f-q" ? " wide" : "") }, el("label", { for: id }, label), control);
  }), el("button", { type: "reset", class: "plain", id: "f-reset" }, "Clear"));
}

const filterOf = (id) => $(id) ? $(id).value.trim() : "";

// Keeps what is chosen when the options change.
function setOptions(id, fixed, options) {
  const node = $(id), value = node.value;
  node.replaceChildren(...[...fixed, ...options].map(([v, text]) => el("option", { value: v }, text)));
  node.value = [...node.options].some((o) => o.value === value) ? value : "";
}

// ---- what services serve ----

function servedProblems(t) {
  const c = t.certificate, found = [];
  if (!c) return found;
  const days = (Date.parse(c.not_after) - Date.now()) / 86400000;
  if (days < 0) found.push("expired");
  else if (days < 21) found.push("expiring");
  if (t.key_matches === false || c.key_matches === false) found.push("key_mismatch");
  if (t.chain_ok === false || c.chain_ok === false) found.push("chain_broken");
  return found;
}
const servedStatus = (t) => t.certificate_id ? "managed" : "monitored";

function servedFits(t) {
  const text = [t.target, ...(t.names || []), t.cert_path, t.certificate && [t.certificate.subject, t.certificate.issuer, t.certificate.sha256, t.certificate.serial, ...(t.certificate.sans || [])]].flat().join("\n").toLowerCase();
  const problem = filterOf("f-problem"), problems = servedProblems(t), days = filterOf("f-days"), manager = filterOf("f-manager");
  return text.includes(filterOf("f-q").toLowerCase()) &&
    (!filterOf("f-status") || servedStatus(t) === filterOf("f-status")) && (!filterOf("f-agent") || t.agent_id === filterOf("f-agent")) &&
    (!problem || (problem === "any" ? problems.length > 0 : problems.includes(problem))) &&
    (!days || (t.certificate && Date.parse(t.certificate.not_after) < Date.now() + Number(days) * 86400000)) &&
    (!manager || (manager === "none" ? !t.manager : t.manager === manager)) && filterOf("f-use") !== "0";
}

function problemBadges(problems) {
  return (problems || []).map((p) => el("span", { class: "badge " + (grave.includes(p) ? "bad" : "warn"), "data-problem": p }, problemNames[p] || p));
}

function showServed() {
  let list = state.targets.filter(servedFits);
  if (filterOf("f-sort") === "expiry") list = [...list].sort((a, b) => String((a.certificate || {}).not_after || "9").localeCompare(String((b.certificate || {}).not_after || "9")));
  $("served-title").textContent = "Served by services (" + list.length + ")";
  table("served-list", [
    { label: "Target", cls: "first", cell: (t) => [strong(targetName(t.target)), soft(targetKind(t.target) + " on " + hostOf(t.agent_id) + (t.running === false ? " · not running" : ""))] },
    { label: "State", cls: "state", cell: (t) => [el("div", { class: "badges" }, badge(servedStatus(t)), problemBadges(servedProblems(t)))] },
    { label: "Expires", cls: "expiry", cell: (t) => t.certificate ? daysLeft(t.certificate.not_after) : soft("no certificate") },
    { label: "", cls: "actions", cell: (t) => el("div", { class: "actions" }, t.certificate
      ? el("button", { type: "button", class: "plain", onclick: () => openCertificate(t.certificate.sha256, t.certificate), "aria-label": "Details of " + targetName(t.target) }, "Details") : null) },
  ], list.slice(0, SERVED_SHOWN), targetKey, "Nothing that is served fits these filters.");
}

// ---- certificate files ----

// A long path breaks behind a slash.
function pathText(path) {
  return el("div", { class: "name path" }, path.split("/").flatMap((part, i) => i === 0 ? [part] : ["/", el("wbr"), part]));
}

function leafOf(file) {
  const entries = file.entries.filter((e) => e.certificate);
  return entries.find((e) => !e.certificate.is_ca) || entries[0];
}
const firstName = (c) => (c.sans && c.sans[0]) || c.subject.replace(/^CN=/, "") || c.serial;

function fileContents(f) {
  const leaf = leafOf(f), more = f.entries.length - 1;
  if (f.locked && !leaf) return soft("Locked: the host does not know its password");
  if (!leaf) return soft(f.entries.length ? "A key, no certificate" : "Empty");
  return [el("div", {}, firstName(leaf.certificate)), soft((issuerText(leaf.certificate) || "issuer not known") + (more > 0 ? " · and " + more + " more" : ""))];
}

function showFiles() {
  $("files-title").textContent = "Certificate files";
  $("files-count").textContent = shown.total === 0 ? "" : shown.files.length + " of " + shown.total.toLocaleString() + (shown.total === 1 ? " file" : " files");
  $("files-more").hidden = !shown.next;
  table("files-list", [
    { label: "File", cls: "first", cell: (f) => [pathText(f.path), soft(hostOf(f.agent_id) + " · " + f.format.toUpperCase() + " · " + f.perm)] },
    { label: "Certificate", cls: "holds", cell: fileContents },
    { label: "State", cls: "state", cell: (f) => [el("div", { class: "badges" }, badge(f.status), f.in_use ? badge("in use") : null, problemBadges(f.problems)), f.manager ? soft("kept by " + f.manager) : null] },
    { label: "Expires", cls: "expiry", cell: (f) => f.not_after ? daysLeft(f.not_after) : soft("—") },
    { label: "", cls: "actions", cell: (f) => el("div", { class: "actions" },
      el("button", { type: "button", class: "plain", onclick: () => openFile(f), "aria-label": "Details of " + f.path }, "Details")) },
  ], shown.files, (f) => f.agent_id + " " + f.path, "No certificate file fits these filters.");
}

function fileQuery(cursor) {
  const pairs = [["q", "f-q"], ["status", "f-status"], ["problem", "f-problem"], ["days", "f-days"], ["in_use", "f-use"], ["agent_id", "f-agent"], ["manager", "f-manager"], ["sort", "f-sort"]];
  const query = new URLSearchParams(pairs.map(([k, id]) => [k, filterOf(id)]).filter(([, v]) => v !== ""));
  if (cursor) query.set("cursor", cursor);
  return "/inventory/files?" + query;
}

// An answer to an older question must not overwrite that to a newer one.
async function loadFiles(cursor) {
  const asked = ++shown.asked;
  try {
    const answer = await api.get(fileQuery(cursor));
    if (asked !== shown.asked) return;
    shown.files = cursor ? [...shown.files, ...answer.files] : answer.files;
    shown.next = answer.next;
    if (!cursor) {
      shown.total = answer.total;
      setOptions("f-manager", [["", "Any"], ["none", "No other manager"]], answer.managers.map((m) => [m, m]));
    }
    showFiles();
  } catch (error) {
    if (error.status === 401) signOut("That token is not valid any more.");
    else notice(error.message);
  }
}

function showInventory() {
  if ($("inventory-view").hidden) return;
  setOptions("f-agent", [["", "All hosts"]], state.agents.map((a) => [a.agent_id, a.host.hostname || a.agent_id]));
  showServed();
}

function openInventory() {
  if (!$("f-q")) filterFields();
  showInventory();
  return loadFiles();
}

let typing = 0;
$("filters").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => { showServed(); loadFiles(); }, event.target.id === "f-q" ? 250 : 0);
});
$("filters").addEventListener("reset", () => setTimeout(() => { showServed(); loadFiles(); }, 0));
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("files-more").addEventListener("click", async (event) => {
  event.currentTarget.disabled = true;
  await loadFiles(shown.next);
  $("files-more").disabled = false;
});
