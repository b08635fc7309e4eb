// SPDX-License-Identifier: Apache-2.0
// The session: signing in, following changes, running what an operator asks for.
"use strict";

const state = { agents: [], targets: [], certificates: [], jobs: [], configurations: [], connectors: [], default_connector: "", cursor: 0 };
const paths = { agents: "/agents", targets: "/targets", certificates: "/certificates", jobs: "/jobs?limit=50", configurations: "/configurations" };
// Which lists a change of each kind can be seen in.
const touched = { agent: ["agents"], job: ["jobs"], certificate: ["certificates", "targets", "configurations"], order: ["certificates", "configurations"],
  configuration: ["configurations"], inventory: ["targets"] };
const AGENTS_EVERY_MS = 30000; // a heartbeat is no change that is told

const WAIT_MS = 1000; // before the first new attempt

let session = null; // an AbortController while signed in

function notice(text) {
  $("notice-text").textContent = text || "";
  $("notice").hidden = !text;
}

// Runs an operator's click: the button is off meanwhile, a failure is shown, the page is fresh after.
async function act(button, work) {
  button.disabled = true;
  notice("");
  try {
    await work();
    await refresh(Object.keys(paths));
  } catch (error) {
    if (error.status === 401) signOut("That token is not valid any more.");
    else notice(error.message);
  } finally {
    button.disabled = false;
  }
}

async function refresh(names) {
  const answers = await Promise.all(names.map((name) => api.get(paths[name])));
  names.forEach((name, i) => { state[name] = answers[i][name]; });
  show();
}

function link(kind, text) {
  $("link").className = "link " + kind;
  $("link").textContent = text;
}

function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); });
  });
}

async function take(answer) {
  state.cursor = answer.last;
  const lists = new Set(answer.events.flatMap((e) => touched[e.kind] || []));
  if (lists.size === 0) return;
  await refresh([...lists]);
  if (!$("inventory-view").hidden && answer.events.some((e) => e.kind === "inventory")) await loadFiles();
  await renewDetails(answer.events.filter((e) => e.kind === "job").map((e) => e.id));
}

// Waits for changes; a lost connection is shown and tried again, ever more slowly.
async function follow(signal) {
  let wait = WAIT_MS;
  while (!signal.aborted) {
    try {
      const isBack = wait > WAIT_MS; // ask without being held, and for all: the server may be another one
      const answer = await api.get("/events?after=" + state.cursor + "&wait=" + (isBack ? 0 : 25), signal);
      await take(answer);
      if (isBack) await refresh(Object.keys(paths));
      wait = WAIT_MS;
      link("on", "Live");
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) { signOut("That token is not valid any more."); return; }
      link("off", "No connection, trying again");
      await pause(wait, signal);
      wait = Math.min(wait * 2, 30000);
    }
  }
}

function signOut(why) {
  if (session) session.abort();
  session = null;
  api.remember("");
  document.querySelectorAll("dialog[open]").forEach((d) => d.close());
  for (const id of ["main", "inventory-view", "wizard-view", "nav", "signout"]) $(id).hidden = true;
  $("signin").hidden = false;
  $("signin-error").textContent = why;
  $("signin-error").hidden = !why;
  notice("");
  link("", "");
  $("token").focus();
}

// The part after "#" says which page it is; the lists of the first page are places on it.
function route() {
  if (!session) return;
  const [page, agent, target] = location.hash.slice(1).split("/");
  const view = page === "inventory" ? "inventory-view" : page === "configure" ? "wizard-view" : "main";
  for (const id of ["main", "inventory-view", "wizard-view"]) $(id).hidden = id !== view;
  document.querySelectorAll("#nav a").forEach((a) => { if (a.hash === "#" + page) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current"); });
  if (view === "inventory-view") { openInventory(); scrollTo(0, 0); }
  if (view === "wizard-view") openWizard(agent, decodeURIComponent(target || ""));
  if (view === "main" && $(page)) $(page).scrollIntoView();
}

async function start() {
  try {
    state.cursor = (await api.get("/events")).last;
    const connectors = await api.get("/connectors");
    state.connectors = connectors.connectors;
    state.default_connector = connectors.default_connector;
    await refresh(Object.keys(paths));
  } catch (error) {
    signOut(error.status === 401 ? "That token is not valid." : error.message);
    return;
  }
  $("signin").hidden = true;
  for (const id of ["nav", "signout"]) $(id).hidden = false;
  link("on", "Live");
  session = new AbortController();
  route();
  follow(session.signal);
}

$("signin").addEventListener("submit", (event) => {
  event.preventDefault();
  api.remember($("token").value.trim());
  $("token").value = "";
  start();
});
$("signout").addEventListener("click", () => signOut(""));
addEventListener("hashchange", route);
$("notice-close").addEventListener("click", () => notice(""));
setInterval(() => { if (session) refresh(["agents"]).catch(() => {}); }, AGENTS_EVERY_MS); // follow() tells what is wrong

if (api.token) start();
else signOut("");
