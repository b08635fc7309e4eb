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

  async call(method, path, body) {
    const response = await fetch("/api/v1" + path, {
      method,
      headers: Object.assign({ Authorization: "Bearer " + this.token },
        body ? { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() } : {}),
      body: body ? JSON.stringify(body) : undefined,
      cache: "no-store",
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      const error = new Error(answer.detail || answer.title || "the control plane answered " + response.status);
      error.status = response.status;
      throw error;
    }
    return answer;
  },
  get(path) { return this.call("GET", path); },
  post(path, body) { return this.call("POST", path, body); },

  action(type, fields) { return this.post("/actions", Object.assign({ type }, fields)); },
};
