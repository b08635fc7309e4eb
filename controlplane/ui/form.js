// SPDX-License-Identifier: Apache-2.0
// Fields with a label, a hint and a place for what is wrong with them.
"use strict";

// Shows text under the control of that id, or takes it away. Screen readers read it with the control.
function setFault(id, text) {
  const control = $(id), place = $(id + "-fault");
  if (!control || !place) return;
  place.textContent = text || "";
  place.hidden = !text;
  if (text) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

function describe(id, hint) {
  return { "aria-describedby": (hint ? id + "-hint " : "") + id + "-fault" };
}

function field(id, label, control, hint) {
  for (const [name, value] of Object.entries(describe(id, hint))) control.setAttribute(name, value);
  control.id = id;
  return el("div", { class: "field" }, el("label", { for: id }, label), control,
    hint ? el("p", { class: "hint", id: id + "-hint" }, hint) : null,
    el("p", { class: "fault", id: id + "-fault", hidden: true }));
}

function select(options, value, onchange) {
  const node = el("select", onchange ? { onchange } : {}, options.map(([v, text]) => el("option", { value: v }, text)));
  if (value !== undefined) node.value = value;
  return node;
}

function input(value, fields) {
  const node = el("input", Object.assign({ type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" }, fields));
  node.value = value === null || value === undefined ? "" : value;
  return node;
}

// choices(id, "How?", [[value, title, text, disabled]], value, onchange): radio buttons that say what they mean.
function choices(id, legend, options, value, onchange) {
  return el("fieldset", Object.assign({ class: "choices", id }, describe(id)), el("legend", {}, legend),
    options.map(([v, title, text, off]) => el("label", { class: "choice" + (off ? " off" : "") },
      el("input", { type: "radio", name: id, value: v, checked: v === value, disabled: off, onchange: () => onchange && onchange(v) }),
      el("span", {}, el("b", {}, title), text ? el("span", { class: "hint" }, text) : null))),
    el("p", { class: "fault", id: id + "-fault", hidden: true }));
}
const chosen = (id) => { const node = document.querySelector("#" + id + " input:checked"); return node ? node.value : ""; };
