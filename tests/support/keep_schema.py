"""keep_schema.py SCHEMA DIR: names the JSON files of a directory that keep a schema (JSON Schema 2020-12), a line each."""
import json
import pathlib
import sys

from jsonschema import Draft202012Validator

validator = Draft202012Validator(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
for path in sorted(pathlib.Path(sys.argv[2]).glob("*.json")):
    if validator.is_valid(json.loads(path.read_text(encoding="utf-8"))):
        print(path.name)
