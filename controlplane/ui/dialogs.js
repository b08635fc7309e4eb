// SPDX-License-Identifier: Apache-2.0
// Confirm, everything about one job, and proof of control by hand.
"use strict";

function openConfirm(button, title, text, yes, work) {
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  $("confirm-yes").onclick = () => {
    $("confirm").close();
    act(button, work);
  };
  $("confirm").showModal();
}

function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

const stepKind = (status) => status === "failed" ? "bad" : status === "warning" ? "warn" : "good";
function stepList(steps) {
  return el("ol", { class: "steps" }, steps.map((s) => el("li", { class: stepKind(s.status) },
    el("span", {}, s.name, s.status === "ok" ? el("span", { class: "hide" }, " ok") : " — " + s.status),
    el("span", { class: "soft" }, s.detail || ""), el("span", { class: "soft ms" }, s.ms === undefined ? "" : s.ms + " ms"))));
}

// What real handshakes showed, before and after.
function proof(observations) {
  const leaf = (seen) => seen ? (seen.leaf_sha256 ? hex(seen.leaf_sha256) : seen.detail || seen.result || "—") : "—";
  const rolled = observations.some((o) => o.rollback);
  const heads = ["Endpoint", "Before", "After", rolled ? "After going back" : null].filter(Boolean);
  return el("table", { class: "proof" }, el("thead", {}, el("tr", {}, heads.map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", {}, observations.map((o) => el("tr", {}, el("td", { "data-label": "Endpoint" }, (o.sni || o.addr) + ":" + o.port),
      el("td", { "data-label": "Before" }, leaf(o.before)), el("td", { "data-label": "After" }, leaf(o.after)),
      rolled ? el("td", { "data-label": "After going back" }, leaf(o.rollback)) : null))));
}

function showJob(job) {
  const result = job.result || {};
  const steps = result.steps && result.steps.length ? result.steps : job.events.filter((e) => e.kind === "step");
  const seen = (result.effects && result.effects.observations) || [];
  const error = result.error || job.error;
  const open = $("details-body").querySelector("details[open]") !== null && $("details").dataset.job === job.job_id;
  $("details").dataset.job = job.job_id;
  $("details-title").textContent = jobName(job.type) + (job.target === "host" ? "" : " · " + targetName(job.target));
  $("details-body").replaceChildren(...[
    el("p", {}, badge(job.state)),
    isOver(job) ? null : progress(job),
    el("div", { id: "details-dcv" }),
    error ? el("p", { class: "callout" }, error.message, error.hint ? soft(error.hint) : null) : null,
    facts([["Host", hostOf(job.agent_id)], ["Asked for", timeText.format(Date.parse(job.created_at))],
      ["Took", result.duration_ms ? (result.duration_ms / 1000).toFixed(1) + " s" : ""],
      ["Attempt", job.attempt > 1 ? job.attempt + " of " + job.max_attempts : ""], ["Job", el("code", {}, job.job_id)]]),
    seen.length ? [el("h3", {}, "Seen in handshakes"), proof(seen)] : null,
    steps.length ? [el("h3", {}, "Steps"), stepList(steps)] : null,
    el("details", open ? { open: true } : {}, el("summary", {}, "Everything, as JSON"), el("pre", {}, JSON.stringify(job, null, 2))),
  ].flat().filter(Boolean));
  $("details-cancel").hidden = isOver(job);
  $("details-cancel").onclick = (e) => act(e.currentTarget, () => api.post("/jobs/" + job.job_id + "/cancel", { reason: "operator" }));
}

// Where a person proves control, the job shows what must be served where.
async function showDcv(job) {
  const config = state.configurations.find((c) => c.certificate_id === job.certificate_id);
  if (job.type !== "order" || isOver(job) || !config || config.dcv.method !== "manual") return;
  const place = $("details-dcv"), path = "/certificates/" + job.certificate_id + "/dcv";
  const dcv = await api.get(path).catch(() => null);
  if (!dcv || dcv.state !== "dcv_pending") return;
  place.replaceChildren(el("h3", {}, "Serve these files"),
    el("p", { class: "soft" }, "Each address must answer with exactly this text, over plain HTTP. Then say so."),
    el("ul", { class: "plainlist" }, dcv.challenges.map((c) => el("li", {}, el("code", {}, c.url), el("pre", { class: "short" }, c.content)))),
    el("button", { type: "button", class: "primary", id: "dcv-ready", onclick: (e) => act(e.currentTarget, () => api.post(path + "/ready", {})) }, "They are served"));
}

async function openJob(id) {
  try {
    const job = await api.get("/jobs/" + id);
    showJob(job);
    await showDcv(job);
    if (!$("details").open) {
      $("details").showModal();
      $("details-body").scrollTop = 0;
    }
  } catch (error) {
    notice(error.message);
  }
}

// The job that is shown may just have gone on.
async function renewDetails(ids) {
  if ($("details").open && ids.includes($("details").dataset.job)) await openJob($("details").dataset.job);
}

for (const [close, dialog] of [["confirm-no", "confirm"], ["details-close", "details"]]) {
  $(close).addEventListener("click", () => $(dialog).close());
}
