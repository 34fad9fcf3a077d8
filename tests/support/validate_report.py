"""validate_report.py SCHEMA REPORT: does a report keep its schema (JSON Schema 2020-12)? Names every place where it does not."""
import json
import sys

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as f:
    schema = json.load(f)
with open(sys.argv[2], encoding="utf-8") as f:
    report = json.load(f)
Draft202012Validator.check_schema(schema)
problems = sorted(Draft202012Validator(schema).iter_errors(report), key=lambda p: list(p.absolute_path))
for problem in problems:
    print("/".join(str(p) for p in problem.absolute_path), problem.message, sep=": ")
sys.exit(1 if problems else 0)
