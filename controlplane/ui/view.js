// SPDX-License-Identifier: Apache-2.0
// From values to elements. Text is always set as text, never as markup.
"use strict";

function el(tag, fields, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(fields || {})) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(node.dataset, value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

// table("agents-list", columns, rows): columns are {label, cell(row)}; rows keep their order.
function table(id, columns, rows, empty) {
  const place = document.getElementById(id);
  if (rows.length === 0) {
    place.replaceChildren(el("p", { class: "empty" }, empty));
    return;
  }
  const head = el("thead", {}, el("tr", {}, ...columns.map((c) => el("th", { scope: "col" }, c.label))));
  const body = el("tbody", {}, ...rows.map((row) => el("tr", { data: { id: row.job_id || row.certificate_id || row.target || row.agent_id || "" } },
    ...columns.map((c) => el("td", { "data-label": c.label }, el("div", {}, ...[].concat(c.cell(row))))))));
  place.replaceChildren(el("table", {}, head, body));
}

const good = ["active", "verified", "succeeded", "online", "managed"];
const bad = ["failed", "rolled_back", "rejected", "lost", "expired", "disabled", "quarantined", "needs_human", "offline"];
function badge(state) {
  const kind = good.includes(state) ? "good" : bad.includes(state) ? "bad" : "warn";
  return el("span", { class: "badge " + kind }, String(state).replaceAll("_", " "));
}

function ago(time) {
  if (!time) return "never";
  const s = Math.round((Date.now() - Date.parse(time)) / 1000);
  const steps = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];
  const [, unit, name] = steps.find(([limit]) => Math.abs(s) < limit);
  return s < 0 ? "in " + Math.round(-s / unit) + " " + name : Math.round(s / unit) + " " + name + " ago";
}

function daysLeft(time) {
  if (!time) return el("span", { class: "soft" }, "no certificate");
  const days = Math.floor((Date.parse(time) - Date.now()) / 86400000);
  const kind = days < 0 ? "bad" : days < 21 ? "warn" : "good";
  const text = days < 0 ? "expired " + -days + " d ago" : days + " days left";
  return el("span", { class: kind, title: time }, text);
}

function short(id) { return el("code", { title: id }, id ? id.slice(0, 4) + "…" + id.slice(-6) : ""); }
