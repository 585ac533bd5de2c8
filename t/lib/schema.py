#!/usr/bin/python3

"""Documents against docs/api.schema.json.

    schema.py SCHEMA < LINES

Each line is the name of a definition, a blank, and a document as JSON.  Prints
a line for each one that is not as its definition says.  Clients have to take
keys that they do not know; here an object must have no others than those that
the schema has.
"""

import json
import sys

from jsonschema import Draft202012Validator


def close(node):
    if isinstance(node, list):
        for item in node:
            close(item)

    if isinstance(node, dict):
        if "properties" in node and "additionalProperties" not in node:
            node["additionalProperties"] = False

        for item in node.values():
            close(item)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)

    Draft202012Validator.check_schema(schema)
    close(schema["$defs"])

    for line in sys.stdin:
        name, text = line.split(" ", 1)

        validator = Draft202012Validator(
            {"$ref": "#/$defs/" + name, "$defs": schema["$defs"]})

        for error in validator.iter_errors(json.loads(text)):
            path = "/".join(str(part) for part in error.absolute_path)
            print(f"{name}: /{path}: {error.message[:300]}")


if __name__ == "__main__":
    main()
