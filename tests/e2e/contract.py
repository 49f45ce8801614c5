"""What /openapi.json promises, and requests made from it."""

import json
import re
from urllib.parse import quote

# Good in form, and nobody's.
NOBODY = {"sessions": "ses_" + "0" * 22, "api_keys": "0" * 23, "tenants": "nobody"}


class Field:
    """One place of a request where a value goes; `steps` lead to it from the body's root."""

    def __init__(self, where, name, schema, steps=(), required=False):
        self.required = required
        self.where = where
        self.name = name
        self.schema = schema
        self.steps = steps

    @property
    def is_text(self):
        return self.schema.get("type") == "string" and "enum" not in self.schema

    def __str__(self):
        return f"{self.where}.{'.'.join(map(str, self.steps or (self.name,)))}"


class Operation:
    def __init__(self, document, method, path, declared):
        self.document = document
        self.method = method.upper()
        self.path = path
        self.id = declared["operationId"]
        self.area = declared["tags"][0]
        self.description = declared.get("description", "")
        self.session_may = {"sessionToken": []} in declared.get("security", [])
        self.parameters = [Field(p["in"], p["name"], p["schema"], required=p.get("required", False))
                           for p in map(self.resolve, declared.get("parameters", []))]
        content = declared.get("requestBody", {}).get("content", {})
        self.body_schema = self.resolve(content.get("application/json", {}).get("schema"))
        self.raw_body = "*/*" in content
        needs = re.search(r"role `(\w+)`(?: or `service`)?(?: and scope `(\w+)`)?",
                          self.description)
        self.role = needs.group(1) if needs else "admin"
        self.scope = needs.group(2) if needs else None

    @property
    def writes(self):
        return self.role != "read_only"

    @property
    def path_ids(self):
        return [field for field in self.parameters if field.where == "path"]

    def resolve(self, schema):
        if schema and "$ref" in schema:
            kind, name = schema["$ref"].split("/")[-2:]
            return self.document["components"][kind][name]
        return schema

    def fields(self):
        found = list(self.parameters)
        if self.body_schema:
            self._walk(self.body_schema, (), found)
        return found

    def _walk(self, schema, steps, found):
        schema = self.resolve(schema)
        if schema.get("type") == "object" and "properties" in schema:
            for name, member in schema["properties"].items():
                self._walk(member, steps + (name,), found)
        elif schema.get("type") == "array":
            self._walk(schema["items"], steps + (0,), found)
        else:
            name = next(step for step in reversed(steps) if isinstance(step, str))
            found.append(Field("body", name, schema, steps))

    def plausible(self, schema, name=""):
        """Some value that the schema admits."""
        schema = self.resolve(schema)
        if "enum" in schema:
            return schema["enum"][-1]
        kind = schema.get("type")
        if kind == "object":
            required = schema.get("required", [])
            return {n: self.plausible(s, n) for n, s in schema.get("properties", {}).items()
                    if n in required}
        if kind == "array":
            return [self.plausible(schema["items"])]
        if kind in ("integer", "number"):
            return max(1, schema.get("minimum", 1))
        if kind == "boolean":
            return True
        if "anyOf" in schema:  # A duration.
            return max(60, schema["anyOf"][0].get("minimum", 60))
        if kind == "string":
            return schema.get("examples", ["x"])[0]
        return {}

    def request(self, field=None, value=None, ids=None):
        """(method, target, headers, body): plausible everywhere, but `value` where `field` is. Text
        and bytes go in as they are; `ids` are the path's."""
        path, query, headers = self.path, "", {}
        for parameter in self.parameters:
            chosen = field is not None and str(parameter) == str(field)
            if not chosen and not parameter.required:
                continue
            given = value if chosen else self.plausible(parameter.schema)
            if parameter.where == "path":
                known = (ids or {}).get(parameter.name, NOBODY.get(self.id.split(".")[0], "nobody"))
                path = path.replace("{%s}" % parameter.name, quote(given if chosen else known, ""))
            elif parameter.where == "query":
                query += f"{'&' if query else '?'}{parameter.name}={quote(given, '')}"
            elif parameter.where == "header":
                headers[parameter.name] = given
        body = None
        if self.body_schema:
            headers["Content-Type"] = "application/json"
            body = self._body(field, value)
        elif self.raw_body:
            headers["Content-Type"] = "text/plain"
            body = b"value"
        return self.method, path + query, headers, body

    def _body(self, field, value):
        body = self.plausible(self.body_schema)
        if field is None or field.where != "body":
            return json.dumps(body).encode()
        marker = "@@here@@"
        self._put(body, self.body_schema, field.steps, marker)
        text = json.dumps(body).encode()
        return text.replace(json.dumps(marker).encode(), as_json(value))

    def _put(self, at, schema, steps, value):
        schema = self.resolve(schema)
        step = steps[0]
        inner = schema["items"] if step == 0 else schema["properties"][step]
        if len(steps) == 1:
            at[step] = value
            return
        present = step == 0 or step in at
        if not present:
            at[step] = self.plausible(inner)
        self._put(at[step], inner, steps[1:], value)


def as_json(value):
    """Bytes become a JSON string of exactly these bytes, whether or not they are UTF-8."""
    if not isinstance(value, bytes):
        return json.dumps(value).encode()
    escaped = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + re.sub(rb"[\x00-\x1f]", lambda m: b"\\u%04x" % m.group(0)[0], escaped) + b'"'


def operations(redoubt):
    document = redoubt.get("/openapi.json", key=None).json
    return [Operation(document, method, path, declared)
            for path, methods in document["paths"].items()
            for method, declared in methods.items()]
