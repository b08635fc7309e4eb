// SPDX-License-Identifier: Apache-2.0
// From values to elements. Text is always set as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);

function el(tag, fields, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(fields || {})) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

const soft = (...children) => el("div", { class: "soft" }, ...children);
const strong = (text) => el("div", { class: "name" }, text);

// Puts rows in place of those that look different, so that what an operator points at stays where it is.
function putRows(body, rows) {
  const old = new Map([...body.children].map((row) => [row.dataset.id, row]));
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const focusRow = focused && focused.closest("tr").dataset.id;
  rows.forEach((row, i) => {
    const before = old.get(row.dataset.id);
    const keep = before && before.isEqualNode(row) ? before : row;
    if (body.children[i] !== keep) body.insertBefore(keep, body.children[i] || null);
    if (before && keep !== before) before.remove();
    old.delete(row.dataset.id);
  });
  old.forEach((row) => row.remove());
  if (focused && !focused.isConnected) {
    const row = [...body.children].find((r) => r.dataset.id === focusRow);
    const same = row && [...row.querySelectorAll("button, a")].find((b) => b.textContent === focused.textContent);
    if (same) same.focus();
  }
}

// table("agents-list", columns, rows, key, empty): columns are {label, cls, cell(row)}; key(row) is unique.
function table(id, columns, rows, key, empty) {
  const place = $(id);
  if (rows.length === 0) {
    place.replaceChildren(el("p", { class: "empty" }, empty));
    return;
  }
  if (!place.querySelector("table")) {
    const head = el("tr", {}, columns.map((c) => el("th", { scope: "col", class: c.cls }, c.label || el("span", { class: "hide" }, "Actions"))));
    place.replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {})));
  }
  putRows(place.querySelector("tbody"), rows.map((row) => el("tr", { "data-id": key(row) },
    columns.map((c) => el("td", { class: c.cls, "data-label": c.label }, ...[c.cell(row)].flat())))));
}

const kinds = {
  good: ["active", "verified", "succeeded", "online", "managed"], still: ["in use"],
  bad: ["failed", "rejected", "lost", "expired", "denied", "quarantined", "offline"],
  warn: ["rolled_back", "waiting_for_restart", "pending", "scheduled", "not manageable", "canceling"],
  busy: ["ordering", "dcv", "issued", "deploying", "leased", "running", "queued"],
};
function badge(state, text) {
  const kind = Object.keys(kinds).find((k) => kinds[k].includes(state)) || "";
  return el("span", { class: "badge " + kind, "data-state": state }, (text || String(state)).replaceAll("_", " "));
}

const dayText = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const timeText = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function ago(time) {
  if (!time) return "never";
  const s = Math.round((Date.now() - Date.parse(time)) / 1000);
  if (s < 60) return "just now";
  const [, unit, name] = [[3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]].find(([limit]) => s < limit);
  return Math.floor(s / unit) + " " + name + " ago";
}
function when(time) { return el("span", { title: time ? timeText.format(Date.parse(time)) : null }, ago(time)); }

function daysLeft(time) {
  if (!time) return soft("none yet");
  const days = Math.floor((Date.parse(time) - Date.now()) / 86400000);
  const kind = days < 0 ? "bad" : days < 21 ? "warn" : "";
  return [el("div", { class: kind }, days < 0 ? "expired" : days === 1 ? "1 day left" : days + " days left"), soft(dayText.format(Date.parse(time)))];
}

const jobNames = { order: "Order", deploy: "Deploy", recheck_pinning: "Verify", rollback: "Roll back", scan: "Scan",
  get_dcv: "Place validation files", dcv_cleanup: "Remove validation files" };
function jobName(type) { return jobNames[type] || type.replaceAll("_", " "); }

// What an agent says it is doing, and about how far that is.
const phases = {
  scan: ["Scanning", 30], csr: ["Making the key", 10], dcv: ["Proving control of the names", 25], certificate: ["Waiting for the CA", 40],
  deploy: ["Deploying", 50], preflight: ["Checking the server", 55], prepare: ["Preparing", 60], stage: ["Writing files", 65],
  swap: ["Swapping files", 70], reload: ["Reloading the server", 78], verify: ["Proving by handshake", 88], recheck: ["Proving by handshake", 50],
  rolling_back: ["Putting the old one back", 85], commit: ["Finishing", 97],
};
function progress(job) {
  const waits = job.state === "scheduled" ? "Tries again soon" : job.state === "queued" ? "Waiting for the agent" : "Starting";
  const [text, share] = phases[job.phase] || [job.phase || waits, 3];
  const shown = job.state === "scheduled" || job.state === "queued" ? waits : text;
  const value = job.pct > 0 ? job.pct : share; // agents of the first version did not say how far they were
  return el("div", { class: "progress" }, el("progress", { max: 100, value: Math.max(value, 3), "aria-label": shown }), soft(shown));
}

function issuerText(certificate) {
  if (!certificate || !certificate.issuer) return "";
  return certificate.issuer === certificate.subject ? "self-signed" : certificate.issuer.replace(/^CN=/, "");
}
function hex(sha256) { return sha256 ? el("code", { title: sha256 }, sha256.slice(0, 12)) : "—"; }
