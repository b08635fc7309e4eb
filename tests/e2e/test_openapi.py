# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml and the server's own table of routes say the same. That the answers have the documented form
is checked by harness/wire.py in every request of test_controlplane_*.py."""
import json
import re
import subprocess

import jsonschema
import pytest

from harness import openapi
from harness.base import PLANE, TOP

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def routes():
    out = subprocess.run([PLANE, "routes", "--json"], capture_output=True, text=True, check=True).stdout
    return {(r["method"], r["path"]): r for r in json.loads(out)}


def test_every_route_is_documented_and_every_documented_one_exists(routes):
    assert set(routes) == set(openapi.operations())


def test_authentication_is_as_documented(routes):
    names = {"agentCertificate": "agent", "operatorToken": "operator"}
    for key, operation in openapi.operations().items():
        security = operation.get("security", openapi.document()["security"])
        documented = names[next(iter(security[0]))] if security else "none"
        real = routes[key]["auth"]
        assert documented == ("none" if real == "proof" else real), key


def test_required_headers_and_bodies_are_as_documented(routes):
    for key, operation in openapi.operations().items():
        refs = {p.get("$ref", "").rsplit("/", 1)[-1] for p in operation.get("parameters", [])}
        assert ("IdempotencyKey" in refs) == routes[key]["idempotency_key"], key
        assert ("Id" in refs) == ("{id}" in key[1]), key
        speaks = routes[key]["api"] == "agent" and routes[key]["auth"] != "none"
        assert ("Protocol" in refs) == speaks, key
        if "requestBody" in operation:
            assert routes[key]["body_max"] > 0, key


def test_the_schemas_are_schemas_and_all_are_used():
    document = openapi.document()
    text = (TOP / "docs" / "openapi.yaml").read_text()
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert f'#/components/schemas/{name}"' in text, f"{name} is not used"
    for ref in re.findall(r'\$ref: "#/([^"]+)"', text):
        node = document
        for part in ref.split("/"):
            assert part in node, ref
            node = node[part]


def test_problem_codes_are_those_of_the_server():
    source = (TOP / "controlplane" / "problem.c").read_text()
    real = set(re.findall(r'\{\s*\d{3},\s*"([a-z-]+)"', source))
    documented = openapi.document()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert set(documented) == real


def test_every_operation_says_what_it_is_for():
    for key, operation in openapi.operations().items():
        assert operation["summary"] and operation["tags"] and "default" in operation["responses"], key
