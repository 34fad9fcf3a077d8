"""validate_formats.py JSON SARIF MARKDOWN TAP HTML GITHUB: are the files what their formats ask for, and do they say what the JSON
report says? Each is read by a reader of its own (OASIS's schema, cmark-gfm, Perl's TAP::Parser, html5lib). Names every problem."""
import json
import re
import subprocess
import sys

import html5lib
from jsonschema import Draft4Validator

problems = []


def expect(what, found, wanted):
    if found != wanted:
        problems.append(f"{what}: found {found!r}, expected {wanted!r}")


def text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


report_file, sarif_file, markdown_file, tap_file, html_file, github_file = sys.argv[1:]
report = json.loads(text(report_file))
gates = report["gates"]
entries = [e for g in gates for e in g["checks"]]
bad = [e for e in entries if e["status"] in ("FAIL", "ERROR")]
advisories = [e for e in entries if e["status"] == "PASS" and e.get("severity") == "advisory"]
unsaid = [g for g in gates if g["status"] != "PASS" and not any(e["status"] in ("FAIL", "ERROR") for e in g["checks"])]
run_error = report["error"] is not None or not gates
errors = len(bad) + len(unsaid) + run_error


def sarif():
    log = json.loads(text(sarif_file))
    with open("tests/support/sarif-2.1.0.json", encoding="utf-8") as f:
        for p in Draft4Validator(json.load(f)).iter_errors(log):
            problems.append("SARIF " + "/".join(map(str, p.absolute_path)) + ": " + p.message[:200])
    run = log["runs"][0]
    expect("SARIF errors", sum(r["level"] == "error" for r in run["results"]), errors)
    expect("SARIF warnings", sum(r["level"] == "warning" for r in run["results"]), len(advisories))
    expect("SARIF executionSuccessful", run["invocations"][0]["executionSuccessful"], report["status"] in ("PASS", "FAIL"))
    for r in run["results"]:
        expect("SARIF rule", run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"], r["ruleId"])


def tap():
    expect("TAP version", text(tap_file).splitlines()[0], "TAP version 14")
    # Perl 5.36 reads version 13, of which 14 is an extension; the line is all that it does not know.
    script = r"""
      use strict; use TAP::Parser; local $/; open my $f, '<', $ARGV[0] or die; my $tap = <$f>;
      $tap =~ s/^TAP version 14/TAP version 13/; my $p = TAP::Parser->new({ tap => $tap }); $p->run;
      print join(' ', scalar $p->passed, scalar $p->failed, scalar $p->parse_errors, $p->is_good_plan ? 1 : 0), "\n";"""
    out = subprocess.run(["perl", "-e", script, tap_file], capture_output=True, text=True, check=True).stdout.split()
    good = sum(g["status"] == "PASS" for g in gates)
    expect("TAP passed, failed, parse errors, plan", out, [str(good), str(len(gates) - good + run_error), "0", "1"])
    inner = re.findall(r"^    (not ok|ok) \d+ - ", text(tap_file), re.M)
    expect("TAP subtests that fail", inner.count("not ok"), errors)


def html():
    page = text(html_file)
    html5lib.HTMLParser(strict=True).parse(page)
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    for element in tree.iter():
        if element.tag in ("script", "img", "link", "iframe", "object", "form"):
            problems.append(f"HTML: <{element.tag}>")
        for name in element.attrib:
            if name.startswith("on") or (name in ("href", "src") and not element.attrib[name].startswith("#")):
                problems.append(f"HTML: {name}={element.attrib[name]!r}")
    expect("HTML findings", len([a for a in tree.iter("article") if a.attrib["class"].split()[-1] in ("FAIL", "ERROR")]), errors)


def markdown():
    rendered = subprocess.run(["cmark-gfm", "--unsafe", "-e", "table", "-e", "autolink", "-e", "tagfilter", markdown_file],
                              capture_output=True, text=True, check=True).stdout
    tree = html5lib.parse(rendered, namespaceHTMLElements=False)
    tags = {e.tag for e in tree.iter() if isinstance(e.tag, str)}
    budgets = sum(len(g["limits"]) for g in gates)
    allowed = {"details", "summary"} if budgets else set()
    allowed |= set("html head body h2 h3 h4 p strong table thead tbody tr th td ul li pre code br a".split())
    expect("Markdown elements", tags - allowed, set())
    expect("Markdown rows", len(list(tree.iter("tr"))), 1 + len(gates) + run_error + (1 + budgets if budgets else 0))
    expect("Markdown folds", len(list(tree.iter("details"))), 1 if budgets else 0)
    expect("Markdown verdict", "".join(tree.find(".//h2").itertext()).split()[-1], report["status"])


def github():
    lines = text(github_file).splitlines()
    expect("GitHub lines that are no command", [l for l in lines if not re.match(r"::(error|warning|notice) [^:]*title=[^:]*::", l)], [])
    wanted = errors + (report["status"] != "PASS")
    expect("GitHub errors", sum(l.startswith("::error ") for l in lines), wanted)


for check in (sarif, tap, html, markdown, github):
    check()
print("\n".join(problems))
sys.exit(1 if problems else 0)
