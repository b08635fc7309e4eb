// SPDX-License-Identifier: Apache-2.0
// A configuration in five steps and a summary. What is typed lives in `draft`, in the form the API takes; each
// step reads its fields back when it is left.
"use strict";

let draft = null; // { agent_id, target, id, revision, deployment, issuer, csr, dcv, schedule }
let able = [];    // what the host's agent can do
let step = 0;

const keyTypes = [["ec-p256", "EC P-256 (small and fast)"], ["ec-p384", "EC P-384"], ["rsa-2048", "RSA 2048"], ["rsa-3072", "RSA 3072"], ["rsa-4096", "RSA 4096"]];
const keyName = (type) => (keyTypes.find(([v]) => v === type) || [type, type])[1].replace(/ \(.*/, "");
const subjectFields = [["o", "Organisation"], ["ou", "Unit"], ["l", "Place"], ["st", "State or province"], ["c", "Country (two letters)"], ["email", "E-mail"]];
// The members each mode has, docs/csr.md. What belongs to another one stays in the form and is not sent.
const csrModes = [
  ["template", "A new request", "With the names and the key below.", ["sans", "key_type", "subject", "template", "hash", "must_staple", "key"]],
  ["installed", "Like the installed certificate", "Names, subject and kind of key are those of what is installed at the target.", ["key"]],
  ["override", "Like the installed one, with changes", "What is left empty stays as it is.", ["sans", "key_type", "subject", "hash", "must_staple", "key"]],
  ["uploaded", "A finished request", "Made elsewhere, with a key that is elsewhere, too.", ["csr_pem"]],
  ["reuse_csr", "The request of the last order", "Again as it was, with the same key.", []],
];
const modeOf = (csr) => csr.mode || "template";
const has = (member) => csrModes.find(([v]) => v === modeOf(draft.csr))[3].includes(member);
const plainMembers = ["sans", "key_type", "subject"]; // what every agent understands without a mode

const scanned = () => state.targets.find((t) => t.agent_id === draft.agent_id && t.target === draft.target);
const connectorOf = () => state.connectors.find((c) => c.name === draft.issuer.connector) || {};
const asksForProof = () => connectorOf().dcv === "http-01";
const splitNames = (text) => text.split(/[\s,]+/).filter(Boolean);
const isAddress = (name) => /^[0-9.]+$/.test(name) || name.includes(":");
function toSans(names) { return { dns: names.filter((n) => !isAddress(n)), ip: names.filter(isAddress) }; }
const sansOf = () => allNames(draft.csr.sans || {});

function newDraft(agentId, target) {
  const found = state.targets.find((t) => t.agent_id === agentId && t.target === target);
  return {
    agent_id: agentId, target, deployment: { source: found || !target ? "scan" : "declared" },
    issuer: { connector: state.default_connector, profile: null },
    csr: { sans: toSans((found && found.names) || []), key_type: "ec-p256" },
    dcv: { method: null, webroot_ref: null },
    schedule: { renew_days: 30, deploy: "now", on_failure: "rollback", retain: null },
  };
}

function oldDraft(config) {
  const copy = structuredClone(config);
  const found = state.targets.find((t) => t.agent_id === config.agent_id && t.target === config.target);
  if (!copy.csr.sans) copy.csr.sans = toSans((found && found.names) || []);
  copy.csr.key_type = copy.csr.key_type || "ec-p256";
  return copy;
}

// ---- the five steps: what they show, and how they are read back; read() gives [field, what is wrong] ----

const manageable = () => state.targets.filter((t) => t.manageable);
const targetKey = (t) => t.agent_id + " " + t.target;

function targetFacts(t) {
  if (!t) return null;
  return facts([["Names", (t.names || []).join(" ")], ["Certificate file", t.cert_path && el("code", {}, t.cert_path)],
    ["Key file", t.key_path && el("code", {}, t.key_path)],
    ["Now", t.certificate ? [issuerText(t.certificate) || "a certificate", ", until ", dayText.format(Date.parse(t.certificate.not_after))] : "no certificate"],
    ["Other manager", t.manager ? t.manager + " looks after these files, too: it must stop, or both will renew" : ""]]);
}

const stepTarget = {
  name: "Target", title: "Where does the certificate go?",
  text: "To a place that the host found by itself, or to files that root declared on the host.",
  show() {
    const isFixed = Boolean(draft.id);
    const list = manageable();
    const place = el("div", { id: "w-target-facts" });
    const pick = select(list.map((t) => [targetKey(t), targetName(t.target) + " — " + targetKind(t.target) + " on " + hostOf(t.agent_id)]),
      targetKey(draft), () => { this.take(); place.replaceChildren(targetFacts(scanned()) || ""); });
    pick.disabled = isFixed || list.length === 0;
    place.replaceChildren(targetFacts(scanned()) || "");
    const host = select(state.agents.filter((a) => a.status === "active").map((a) => [a.agent_id, a.host.hostname || a.agent_id]), draft.agent_id);
    host.disabled = isFixed;
    const path = input(draft.deployment.source === "declared" ? draft.target : "", { placeholder: "file:/srv/app/tls", disabled: isFixed });
    return [
      choices("w-source", "How is the target known?", [["scan", "Found by the scan", "Where its files are is known; nothing has to be typed.", isFixed && draft.deployment.source !== "scan"],
        ["declared", "Declared on the host", "A file target in clmbot.yaml, for programs that the scan does not know.", isFixed && draft.deployment.source !== "declared"]],
      draft.deployment.source, (v) => { draft.deployment.source = v; showStep(true); }),
      draft.deployment.source === "scan"
        ? [field("w-target", "Target", pick, list.length ? null : "No host has reported a target that can be managed. Scan a host, or declare a target."), place]
        : [field("w-host", "Host", host), field("w-declared", "Target", path, "As it is called in clmbot.yaml, with file: in front.")],
    ];
  },
  take() {
    if (draft.id) return;
    const before = targetKey(draft);
    if (draft.deployment.source === "scan" && $("w-target") && $("w-target").value) [draft.agent_id, draft.target] = splitTarget($("w-target").value);
    if (draft.deployment.source === "declared" && $("w-declared")) { draft.agent_id = $("w-host").value; draft.target = $("w-declared").value.trim(); }
    if (before !== targetKey(draft)) draft.csr.sans = toSans((scanned() && scanned().names) || []);
  },
  check() {
    this.take();
    if (draft.deployment.source === "scan") return scanned() || draft.id ? null : ["w-target", "Choose a target."];
    return /^file:\S/.test(draft.target) ? null : ["w-declared", "Begins with file:, e.g. file:/srv/app/tls"];
  },
  fields: { "/target": () => draft.deployment.source === "scan" ? "w-target" : "w-declared", "/deployment": () => "w-source" },
  sum: () => [["Target", targetName(draft.target) + " (" + targetKind(draft.target) + " on " + hostOf(draft.agent_id) + ")"]],
};
function splitTarget(key) { const at = key.indexOf(" "); return [key.slice(0, at), key.slice(at + 1)]; }

const stepIssuer = {
  name: "Issuer", title: "Who issues it?",
  text: "Connectors are set up where the control plane runs.",
  show() {
    const about = (c) => (c.type === "acme" ? "A CA that speaks ACME: " + c.directory : "The built-in issuer, for tests and inner networks; valid for " + c.days + " days") +
      (c.dcv === "http-01" ? ". Control of the names is proved first." : ". It issues at once.");
    return [choices("w-connector", "Connector", state.connectors.map((c) => [c.name, c.name, about(c)]), draft.issuer.connector,
      (v) => { draft.issuer.connector = v; draft.issuer.profile = null; draft.dcv.method = null; showStep(true); }),
    connectorOf().type === "acme" ? field("w-profile", "Profile", input(draft.issuer.profile), "One the CA offers, such as tlsserver or shortlived. Empty: the CA's default.") : null];
  },
  check() {
    draft.issuer.connector = chosen("w-connector");
    draft.issuer.profile = $("w-profile") ? $("w-profile").value.trim() || null : null;
    return draft.issuer.connector ? null : ["w-connector", "Choose a connector."];
  },
  fields: { "/issuer/connector": () => "w-connector", "/issuer/profile": () => "w-profile" },
  sum: () => [["Issuer", draft.issuer.connector + (draft.issuer.profile ? ", profile " + draft.issuer.profile : "")]],
};

const stepRequest = {
  name: "Request", title: "What is in the certificate?",
  text: "The key is made on the host and never leaves it.",
  show() {
    const csr = draft.csr, mode = modeOf(csr), subject = csr.subject || {};
    const area = el("textarea", { rows: 4, spellcheck: "false", autocapitalize: "none" });
    area.value = sansOf().join("\n");
    const pem = el("textarea", { rows: 8, spellcheck: "false", class: "mono", placeholder: "-----BEGIN CERTIFICATE REQUEST-----" });
    pem.value = csr.csr_pem || "";
    const other = ["uploaded", "reuse_csr"];
    const radio = (list) => list.map(([v, title, text]) => [v, title, text]);
    const group = choices("w-mode", "How is it made?", radio(csrModes), mode, (v) => { this.take(); csr.mode = v; showStep(true); });
    const more = el("details", { class: "extra", open: other.includes(mode) }, el("summary", {}, "Other ways"));
    group.querySelectorAll(".choice").forEach((c) => { if (other.includes(c.querySelector("input").value)) more.append(c); });
    group.insertBefore(more, group.lastChild);
    const hasExtras = csr.template || csr.hash || csr.must_staple || csr.key === "reuse" || Object.keys(subject).some((k) => k !== "cn");
    return [
      group,
      has("csr_pem") ? field("w-pem", "Request", pem, "PEM, as it was made.") : null,
      has("sans") ? field("w-names", "Names", area, mode === "override" ? "One a line. Empty: those of the installed certificate." : "One a line: DNS names and addresses. Those of the target are filled in.") : null,
      has("key_type") ? field("w-key", "Key", select(mode === "override" ? [["", "As it is"], ...keyTypes] : keyTypes, csr.key_type)) : null,
      has("key") ? el("details", { class: "extra", open: hasExtras }, el("summary", {}, "More"),
        field("w-reuse", "Key material", select([["new", "A new key each time"], ["reuse", "The key that is installed now"]], csr.key || "new"), "A new key is what most want: a lost one is worth nothing after the next renewal."),
        has("hash") ? field("w-hash", "Signature hash of the request", select([["", "As is usual for the key"], ["sha256", "SHA-256"], ["sha384", "SHA-384"], ["sha512", "SHA-512"]], csr.hash || "")) : null,
        has("template") ? field("w-template", "Template", input(csr.template), "Of a template that root declared on the host; what is said here goes before it.") : null,
        has("must_staple") ? el("label", { class: "check" }, el("input", { type: "checkbox", id: "w-staple", checked: Boolean(csr.must_staple) }), "Must-staple: only with a stapled OCSP answer") : null,
        has("subject") ? [el("p", { class: "hint" }, "Subject. Public CAs ignore it; private ones may want it."),
          el("div", { class: "pair" }, subjectFields.map(([k, label]) => field("w-subject-" + k, label, input([subject[k]].flat()[0]))))] : null) : null,
    ];
  },
  take() {
    const csr = draft.csr;
    const keep = (key, value) => { if (value) csr[key] = value; else delete csr[key]; };
    if ($("w-template")) keep("template", $("w-template").value.trim());
    if ($("w-pem")) csr.csr_pem = $("w-pem").value;
    if ($("w-names")) csr.sans = Object.assign({}, csr.sans, toSans(splitNames($("w-names").value)));
    if ($("w-key")) keep("key_type", $("w-key").value);
    if ($("w-hash")) keep("hash", $("w-hash").value);
    if ($("w-reuse")) keep("key", $("w-reuse").value === "reuse" ? "reuse" : "");
    if ($("w-staple")) keep("must_staple", $("w-staple").checked);
    if ($("w-subject-o")) {
      const given = Object.fromEntries(subjectFields.map(([k]) => [k, $("w-subject-" + k).value.trim()]));
      const old = csr.subject || {}, next = {};
      for (const k of Object.keys(Object.assign({}, old, given))) {
        if (!(k in given)) next[k] = old[k]; // the common name
        else if (given[k]) next[k] = [old[k]].flat()[0] === given[k] ? old[k] : given[k];
      }
      keep("subject", Object.keys(next).length ? next : null);
    }
  },
  check() {
    this.take();
    if (has("csr_pem") && !/BEGIN (NEW )?CERTIFICATE REQUEST/.test(draft.csr.csr_pem || "")) return ["w-pem", "This is not a certificate request in PEM."];
    if (modeOf(draft.csr) === "template" && sansOf().length === 0) return ["w-names", "At least one name is needed."];
    const bad = has("sans") && sansOf().find((n) => !isAddress(n) && !/^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i.test(n));
    return bad ? ["w-names", "“" + bad + "” is not a DNS name."] : null;
  },
  fields: { "/csr/sans": () => "w-names", "/csr/key_type": () => "w-key", "/csr/template": () => "w-template", "/csr/csr_pem": () => "w-pem", "/csr/hash": () => "w-hash",
    "/csr/key": () => "w-reuse", "/csr/subject": (rest) => "w-subject-" + (rest || "o").replace("/", ""), "/csr": () => "w-mode" },
  sum() {
    const csr = cleanCsr(draft.csr), names = allNames(csr.sans || {}).join(" ");
    return [["Request", csrModes.find(([v]) => v === modeOf(draft.csr))[1] + (csr.template ? ", template “" + csr.template + "”" : "")],
      ["Names", names || (has("sans") ? "as installed" : "")],
      ["Key", has("key") ? [csr.key_type ? keyName(csr.key_type) : "of the kind that is installed", csr.key === "reuse" ? "the one that is installed now" : "made on the host"].join(", ") : ""],
      ["Subject", subjectFields.map(([k]) => (csr.subject || {})[k]).filter(Boolean).join(", ")],
      ["Also", [csr.hash && csr.hash.toUpperCase().replace("SHA", "SHA-"), csr.must_staple && "must-staple"].filter(Boolean).join(", ")]];
  },
};

const stepProof = {
  name: "Proof", title: "How is control of the names proved?",
  text: "The CA fetches a small file from each name over HTTP before it issues.",
  show() {
    if (!draft.dcv.method) draft.dcv.method = asksForProof() ? "http-01" : "none";
    const own = draft.dcv.webroot_ref;
    return [
      choices("w-dcv", "Who places the files?", [
        ["http-01", "The host, by itself", "It writes them to the web root, checks that they are served, and removes them after."],
        ["manual", "A person", "The job waits for up to a day. The dashboard shows what must be served where."],
        ["none", "Nobody: no proof is asked for", asksForProof() ? "Not with this connector: it asks for proof." : "This connector issues without.", asksForProof()],
      ], draft.dcv.method, (v) => { draft.dcv.method = v; if (v !== "http-01") draft.dcv.webroot_ref = null; showStep(true); }),
      draft.dcv.method === "http-01" ? field("w-webroot", "Web root", input(own, { placeholder: "as the scan found it" }),
        "Empty: where the web server itself looks. Or the name of a web root that root declared in clmbot.yaml.") : null,
    ];
  },
  check() {
    draft.dcv.method = chosen("w-dcv");
    draft.dcv.webroot_ref = $("w-webroot") ? $("w-webroot").value.trim() || null : null;
    return null;
  },
  fields: { "/dcv/method": () => "w-dcv", "/dcv/webroot_ref": () => "w-webroot" },
  sum: () => [["Proof", { "http-01": "The host places files" + (draft.dcv.webroot_ref ? " in the web root “" + draft.dcv.webroot_ref + "”" : ""), manual: "A person places files", none: "None is asked for" }[draft.dcv.method]]],
};

const stepSchedule = {
  name: "Schedule", title: "When is it renewed, and what if something fails?",
  text: "A certificate with a short life is renewed when two thirds of it are over, whatever stands here.",
  show() {
    const s = draft.schedule;
    const days = input(s.renew_days, { type: "number", min: 1, max: 120, inputmode: "numeric" });
    const retain = input(s.retain, { type: "number", min: 1, max: 20, inputmode: "numeric", placeholder: "as the host says", disabled: !able.includes("deploy.retain/1") });
    return [
      field("w-days", "Renew so many days before it ends", days, "1 to 120"),
      choices("w-deploy", "Deploy", [["now", "As soon as it is issued", "Proved by a handshake at once."],
        ["approval", "When somebody approves it", "It waits, ready, until you choose Deploy."]], s.deploy),
      choices("w-failure", "If the new one is not served", [["rollback", "Put back what was there before", "And prove by a handshake that it is in service again."],
        ["leave", "Leave everything as it is", able.includes("deploy.leave/1") ? "For those who want to look at it first." : "The agent of this host always puts back.", !able.includes("deploy.leave/1")]], s.on_failure),
      field("w-retain", "Versions to keep on the host", retain, able.includes("deploy.retain/1") ? "To roll back to." : "This host decides itself: deploy.retain in its clmbot.yaml."),
    ];
  },
  check() {
    const days = Number($("w-days").value), retain = $("w-retain").value;
    Object.assign(draft.schedule, { deploy: chosen("w-deploy"), on_failure: chosen("w-failure"), retain: retain ? Number(retain) : null });
    if (!Number.isInteger(days) || days < 1 || days > 120) return ["w-days", "A whole number from 1 to 120."];
    draft.schedule.renew_days = days;
    return null;
  },
  fields: { "/schedule/renew_days": () => "w-days", "/schedule/deploy": () => "w-deploy", "/schedule/on_failure": () => "w-failure", "/schedule/retain": () => "w-retain" },
  sum: () => [["Renewal", draft.schedule.renew_days + (draft.schedule.renew_days === 1 ? " day" : " days") + " before it ends"],
    ["Deployment", draft.schedule.deploy === "now" ? "As soon as it is issued" : "When somebody approves it"],
    ["If it fails", draft.schedule.on_failure === "rollback" ? "The one before is put back" : "It is left as it is"],
    ["Versions kept", draft.schedule.retain ? String(draft.schedule.retain) : ""]],
};

const steps = [stepTarget, stepIssuer, stepRequest, stepProof, stepSchedule];

// ---- the frame around them ----

function stepBar() {
  return el("ol", { class: "stepbar", "aria-label": "Steps" }, [...steps.map((s) => s.name), "Summary"].map((name, i) =>
    el("li", { class: i < step ? "done" : "", "aria-current": i === step ? "step" : null }, el("span", { class: "num" }, i < step ? "✓" : String(i + 1)), el("span", { class: "label" }, name))));
}

function summary() {
  return el("div", { class: "card summary" }, steps.map((s, i) => el("div", { class: "sumrow" },
    facts(s.sum()), el("button", { type: "button", class: "plain", "aria-label": "Change: " + s.name, onclick: () => { step = i; showStep(); } }, "Change"))));
}

// keep: the same step is drawn again because a choice changed what it asks; the focus stays on that choice.
function showStep(keep) {
  const focused = keep && document.activeElement && document.activeElement.name ? [document.activeElement.name, document.activeElement.value] : null;
  const isLast = step === steps.length, s = steps[step];
  const body = el("form", { id: "wizard-form", novalidate: true, onsubmit: (e) => { e.preventDefault(); next(); } },
    isLast ? summary() : el("div", { class: "card pad-in" }, s.show()),
    el("p", { id: "wizard-fault", class: "callout", role: "alert", hidden: true }),
    el("div", { class: "foot wizard-foot" },
      el("button", { type: "button", id: "wizard-cancel", class: "plain", onclick: leaveWizard }, "Cancel"),
      el("span", { class: "gap" }),
      step > 0 ? el("button", { type: "button", id: "wizard-back", onclick: back }, "Back") : null,
      isLast ? el("button", { type: "button", id: "wizard-save", onclick: (e) => save(e.currentTarget, false) }, "Save") : null,
      el("button", { type: "submit", id: "wizard-next", class: "primary" }, isLast ? "Save and order" : "Next")));
  $("wizard-view").replaceChildren(
    el("p", { class: "soft" }, draft.id ? "Change what happens at a target" : "Set up a target", draft.target ? " · " + targetName(draft.target) : ""),
    stepBar(),
    el("h2", { id: "wizard-title", tabindex: "-1" }, isLast ? "Is this right?" : s.title),
    el("p", { class: "soft lead" }, isLast ? "Nothing has happened yet." : s.text), body);
  if (!keep) { $("wizard-title").focus({ preventScroll: true }); scrollTo(0, 0); }
  if (focused) { const same = [...body.elements].find((e) => e.name === focused[0] && e.value === focused[1]); if (same) same.focus(); }
}

function complain([id, text]) {
  setFault(id, text);
  const control = $(id);
  if (!control || !$(id + "-fault")) { wizardFault(text); return; }
  (control.matches("fieldset") ? control.querySelector("input:not(:disabled)") : control).focus();
}
function wizardFault(text) { $("wizard-fault").textContent = text; $("wizard-fault").hidden = !text; }
function clearFaults() { document.querySelectorAll("#wizard-form .fault").forEach((f) => setFault(f.id.replace(/-fault$/, ""), "")); wizardFault(""); }

async function next() {
  if (step === steps.length) { save($("wizard-next"), true); return; }
  clearFaults();
  const wrong = steps[step].check();
  if (wrong) { complain(wrong); return; }
  if (step === 0) await learn();
  step++;
  showStep();
}
function back() {
  if (step < steps.length) steps[step].check(); // keeps what was typed, right or wrong
  step--;
  showStep();
}

// Faults of the server, at the fields they are about: the first step that has one is shown.
function placeFaults(faults, fallback) {
  const placed = faults.map((f) => {
    for (const [i, s] of steps.entries()) {
      const key = Object.keys(s.fields).sort((a, b) => b.length - a.length).find((k) => f.pointer === k || f.pointer.startsWith(k + "/"));
      if (key) return [i, key, f.pointer.slice(key.length), f.detail];
    }
    return null;
  });
  const first = placed.filter(Boolean).sort((a, b) => a[0] - b[0])[0];
  if (!first) { wizardFault(fallback); return; }
  step = first[0];
  showStep();
  for (const p of placed.filter((x) => x && x[0] === step).reverse()) complain([steps[step].fields[p[1]](p[2]), p[3]]);
  if (placed.includes(null)) wizardFault(fallback);
}

function body() {
  const { deployment, issuer, csr, dcv, schedule } = draft;
  return Object.assign(draft.id ? {} : { agent_id: draft.agent_id, target: draft.target }, { deployment, issuer, csr: cleanCsr(csr), dcv, schedule });
}
// Only what belongs to the mode is sent: what was typed for another one stays in the form.
function cleanCsr(csr) {
  const known = new Set(["mode", ...csrModes.flatMap(([, , , m]) => m)]);
  const kept = Object.entries(csr).filter(([k, v]) => v !== undefined && (has(k) || !known.has(k)));
  const clean = Object.fromEntries(kept);
  if (clean.sans && allNames(clean.sans).length === 0) delete clean.sans;
  const isPlain = modeOf(csr) === "template" && kept.every(([k]) => plainMembers.includes(k));
  return isPlain ? clean : Object.assign({ mode: modeOf(csr) }, clean);
}

async function save(button, run) {
  button.disabled = true;
  wizardFault("");
  try {
    const made = draft.id ? await api.put("/configurations/" + draft.id, body(), draft.revision) : await api.post("/configurations", body());
    Object.assign(draft, { id: made.id, revision: made.revision });
    const job = run ? await api.post("/configurations/" + made.id + "/run", {}) : null;
    await refresh(Object.keys(paths));
    location.hash = "#targets";
    if (job) openJob(job.job_id);
  } catch (error) {
    if (error.status === 401) signOut("That token is not valid any more.");
    else if (error.faults && error.faults.length) placeFaults(error.faults, error.message);
    else if (error.status === 412) wizardFault("Somebody else changed this meanwhile. Cancel, and look at it again.");
    else wizardFault(error.message);
  } finally {
    button.disabled = false;
  }
}

async function learn() {
  able = [];
  try { able = (await api.get("/agents/" + draft.agent_id)).capabilities || []; } catch (error) { /* then it can less */ }
}

function leaveWizard() { location.hash = "#targets"; }

// "#configure": from nothing; "#configure/AGENT/TARGET": for that one, as it is configured now.
async function openWizard(agentId, target) {
  const config = state.configurations.find((c) => c.agent_id === agentId && c.target === target);
  const first = manageable()[0] || {};
  draft = config ? oldDraft(config) : newDraft(agentId || first.agent_id || "", target || first.target || "");
  step = 0;
  showStep();
  await learn();
}
const wizardLink = (t) => "#configure/" + t.agent_id + "/" + encodeURIComponent(t.target);
