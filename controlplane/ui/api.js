// SPDX-License-Identifier: Apache-2.0
// The operator API, docs/openapi.yaml. The token lives in this tab only.
"use strict";

const api = {
  token: sessionStorage.getItem("clm-token") || "",

  remember(token) {
    this.token = token;
    if (token) sessionStorage.setItem("clm-token", token);
    else sessionStorage.removeItem("clm-token");
  },

  async call(method, path, body, signal, headers) {
    let response;
    try {
      response = await fetch("/api/v1" + path, {
        method,
        signal,
        headers: Object.assign({ Authorization: "Bearer " + this.token }, body ? { "Content-Type": "application/json" } : {}, headers),
        body: body ? JSON.stringify(body) : undefined,
        cache: "no-store",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The control plane cannot be reached.");
    }
    const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
    if (!response.ok) {
      const error = new Error(answer.detail || answer.title || "The control plane answered " + response.status + ".");
      error.status = response.status;
      error.faults = answer.errors || [];
      throw error;
    }
    return answer;
  },
  get(path, signal) { return this.call("GET", path, undefined, signal); },
  post(path, body) { return this.call("POST", path, body); },
  // A change is about the revision that was read; the server refuses it if there is a newer one.
  put(path, body, revision) { return this.call("PUT", path, body, undefined, { "If-Match": '"' + revision + '"' }); },
  remove(path, revision) { return this.call("DELETE", path, undefined, undefined, { "If-Match": '"' + revision + '"' }); },

  action(type, fields) { return this.post("/actions", Object.assign({ type }, fields)); },
};
