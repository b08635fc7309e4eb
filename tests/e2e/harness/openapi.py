# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml as something that can say no."""
import functools
import re

import jsonschema
import yaml

from .base import TOP

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


@functools.lru_cache(maxsize=None)
def document():
    return yaml.safe_load((TOP / "docs" / "openapi.yaml").read_text())


def operations():
    """(METHOD, path) -> operation"""
    return {(method.upper(), path): operation
            for path, item in document()["paths"].items()
            for method, operation in item.items() if method in METHODS}


@functools.lru_cache(maxsize=None)
def _find(method, path):
    """A plain path wins over one with a parameter."""
    found = None
    for (m, pattern), operation in operations().items():
        if m != method:
            continue
        if pattern == path:
            return operation
        if "{" in pattern and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            found = operation
    return found


def _resolve(node):
    while "$ref" in node:
        target = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _validate(value, schema, what):
    resolver = jsonschema.RefResolver("", document())
    validator = jsonschema.Draft202012Validator(schema, resolver=resolver)
    errors = sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.path)))
    assert not errors, f"{what}: /{'/'.join(map(str, errors[0].path))}: {errors[0].message}\n{value}"


def check_answer(method, path, status, content_type, body):
    """The answer is one the document has for this operation. body: parsed JSON, or bytes."""
    what = f"{method} {path} -> {status}"
    operation = _find(method, path.split("?")[0])
    if operation is None:
        assert status in (404, 405, 413, 431), f"{what}: not in docs/openapi.yaml"
        responses = {"default": {"$ref": "#/components/responses/Problem"}}
    else:
        responses = operation["responses"]
    assert str(status) in responses or status >= 400, f"{what}: status is not in docs/openapi.yaml"
    content = _resolve(responses.get(str(status), responses["default"])).get("content")
    if content is None:
        assert not body, f"{what}: has a body, docs/openapi.yaml says it has none"
        return
    kind = content_type.split(";")[0]
    assert kind in content or "*/*" in content, f"{what}: {content_type}"
    schema = content.get(kind, content.get("*/*"))["schema"]
    if "json" in kind:
        _validate(body, schema, what)


def check_request(method, path, body):
    """What the server accepted is what the document asks for."""
    operation = _find(method, path.split("?")[0])
    wanted = operation.get("requestBody")
    if not body and not wanted:
        return
    if body is None:
        assert not (wanted and wanted.get("required")), f"{method} {path}: a body is required"
        return
    assert wanted, f"{method} {path}: no body in docs/openapi.yaml"
    _validate(body, wanted["content"]["application/json"]["schema"], f"{method} {path} (request)")
