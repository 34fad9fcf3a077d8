/* The report as one HTML page that needs nothing else: no script, no image, no request. It follows the reader's colours
 * (light, dark, print) and width; status is said in words, not by colour alone (WCAG 2.2, 1.4.1). */
#include <stdio.h>
#include <string.h>

#include "run/report_parts.h"

static const char STYLE[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--page:#fff;--soft:#5b6470;--line:#d5dae1;--box:#f5f7f9;"
    "--good:#1a6f37;--bad:#b3261e;--warn:#8a5300}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e7eaee;--page:#14171b;--soft:#a3acb8;--line:#343b45;--box:#1d2127;"
    "--good:#63c984;--bad:#ff8f86;--warn:#f0b455}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:64rem;padding:1rem;background:var(--page);color:var(--ink);"
    "font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}\na{color:inherit}dd,pre{overflow-wrap:anywhere}\n"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2rem 0 .5rem}h3{font-size:1rem;"
    "margin:1rem 0 .25rem}\n"
    ".PASS,.approved{color:var(--good)}.FAIL,.FLAKY,.not{color:var(--bad)}.ERROR,.advisory{color:var(--warn)}"
    ".SKIP,.note,.soft{color:var(--soft)}\n"
    ".status{font-weight:700;white-space:nowrap}\n"
    "section{border-top:1px solid var(--line)}\n"
    ".finding{border-left:4px solid;padding:.25rem .75rem;margin:.75rem "
    "0;background:var(--box)}.finding>*{color:var(--ink)}"
    ".finding>h3>.FAIL{color:var(--bad)}.finding>h3>.ERROR,.finding>h3>.advisory{color:var(--warn)}\n"
    ".finding.FAIL{border-color:var(--bad)}.finding.ERROR,.finding.advisory{border-color:var(--warn)}"
    ".finding.note{border-color:var(--line)}\n"
    "pre{white-space:pre-wrap;background:var(--page);border:1px solid var(--line);padding:.5rem;margin:.25rem 0;"
    "font:.875rem/1.4 ui-monospace,monospace}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.5rem "
    "0}dt{color:var(--soft)}dd{margin:0;"
    "white-space:pre-line}\n"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .5rem .25rem 0;"
    "border-bottom:1px solid var(--line)}td.n,th.n{text-align:right;white-space:nowrap}\n"
    "summary{cursor:pointer;padding:.25rem 0}\n"
    ".history{margin:.5rem 0}.history svg{max-width:100%;height:24px}"
    ".history .PASS{fill:var(--good)}.history .FAIL{fill:var(--bad)}.history .ERROR,.history .FLAKY{fill:var(--warn)}\n"
    "@media(max-width:30rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}td.n,th.n{display:none}}\n"
    "@media print{body{max-width:none;padding:0}.finding{break-inside:avoid}pre{border-color:#999}}\n";

static void put_text(buf *out, const char *text) {
    for (const char *s = text; s != NULL; s++) {
        size_t plain = strcspn(s, "&<>\"'");
        buf_append(out, s, plain);
        s += plain;
        if (*s == '\0') {
            return;
        }
        buf_puts(out, *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '"' ? "&quot;" : "&#39;");
    }
}

/* An element with text and nothing else; the attributes are the caller's own. */
static void put_element(buf *out, const char *element, const char *attributes, const char *text) {
    buf_printf(out, "<%s%s>", element, attributes);
    put_text(out, text);
    buf_printf(out, "</%s>", element);
}

static void put_fact(buf *out, const char *name, const char *value) {
    if (value != NULL) {
        put_element(out, "dt", "", name);
        put_element(out, "dd", "", value);
        buf_putc(out, '\n');
    }
}

static const char *known_status(const char *status) {
    static const char *const KNOWN[] = {"PASS", "FAIL", "FLAKY", NULL};
    for (size_t i = 0; KNOWN[i] != NULL; i++) {
        if (report_same(status, KNOWN[i])) {
            return KNOWN[i];
        }
    }
    return "ERROR";
}

static void put_head(buf *out, const json_t *report, const char *title) {
    buf_puts(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    buf_puts(out, "<title>");
    put_text(out, known_status(report_member(report, "status")));
    buf_puts(out, " – ");
    put_text(out, title);
    buf_printf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", STYLE);
}

static void put_summary(buf *out, const json_t *report, const char *title) {
    static const char *const TARGET[][2] = {{"platform", "Platform"},
                                            {"host", "Host"},
                                            {"database", "Database"},
                                            {"config", "Configuration"},
                                            {"schema_hash", "Schema hash"}};
    const char *status = known_status(report_member(report, "status"));
    const char *tenant = report_member(report, "tenant");
    bool approved = json_is_true(json_object_get(report, "approved"));
    buf_puts(out, "<header>\n");
    put_element(out, "h1", "", title);
    buf_printf(out, "\n<p><span class=\"status %s\">%s</span>", status, status);
    if (report_same(report_member(report, "kind"), "suite")) {
        buf_printf(out, " · <strong class=\"%s\">Tenant ", approved ? "approved" : "not");
        put_text(out, tenant != NULL ? tenant : "none");
        buf_puts(out, approved ? " is approved for pilot.</strong>" : " is NOT approved.</strong>");
    }
    buf_puts(out, "</p>\n<dl>\n");
    put_fact(out, "Tenant", tenant);
    put_fact(out, "Script", report_member(report, "script"));
    for (size_t i = 0; i < sizeof TARGET / sizeof TARGET[0]; i++) {
        put_fact(out, TARGET[i][1], report_member(json_object_get(report, "target"), TARGET[i][0]));
    }
    put_fact(out, "Started", report_member(report, "started"));
    put_fact(out, "By", report_member(report, "tool"));
    buf_puts(out, "</dl>\n</header>\n");
}

/* One bar a run, the oldest first, this one last: its height and its title say what its colour does. */
static void put_history(buf *out, const json_t *report) {
    const json_t *runs = json_object_get(report, "history");
    size_t n = json_array_size(runs), i;
    if (n == 0) {
        return;
    }
    size_t passed = 0;
    json_t *run;
    json_array_foreach((json_t *)runs, i, run) {
        passed += report_same(report_member(run, "status"), "PASS") ? 1 : 0;
    }
    buf_printf(out,
               "<figure class=\"history\"><svg role=\"img\" viewBox=\"0 0 %zu 24\" width=\"%zu\" height=\"24\" "
               "aria-label=\"%zu of %zu runs before this one passed\">",
               8 * (n + 1), 8 * (n + 1), passed, n);
    for (i = 0; i <= n; i++) {
        const json_t *one = i < n ? json_array_get(runs, i) : report;
        const char *status = known_status(report_member(one, "status"));
        bool pass = strcmp(status, "PASS") == 0;
        buf_printf(out, "<rect class=\"%s\" x=\"%zu\" y=\"%d\" width=\"6\" height=\"%d\"><title>", status, 8 * i,
                   pass ? 12 : 0, pass ? 12 : 24);
        put_text(out, i < n ? report_member(one, "at") : "this run");
        buf_printf(out, ": %s</title></rect>", status);
    }
    buf_printf(out, "</svg>\n<figcaption class=\"soft\">%zu of %zu runs before this one passed</figcaption></figure>\n",
               passed, n);
}

static void put_since(buf *out, const json_t *report) {
    buf since = BUF_INIT;
    if (report_since(&since, report)) {
        buf_puts(out, "<section>\n<h2>Since the last pass</h2>\n");
        put_element(out, "pre", " tabindex=\"0\"", buf_str(&since));
        buf_puts(out, "</section>\n");
    }
    out->failed = out->failed || since.failed;
    buf_free(&since);
}

static void put_overview(buf *out, const json_t *sections) {
    size_t i;
    json_t *section;
    buf_puts(out, "<table>\n<caption class=\"soft\">Gates</caption>\n<thead><tr><th scope=\"col\">gate</th><th "
                  "scope=\"col\">status"
                  "</th><th scope=\"col\">what</th><th scope=\"col\" class=\"n\">seconds</th></tr></thead>\n<tbody>\n");
    json_array_foreach((json_t *)sections, i, section) {
        const char *status = known_status(report_member(section, "status"));
        buf_printf(out, "<tr><td><a href=\"#gate%zu\">", i + 1);
        put_text(out, report_member(section, "name"));
        buf_printf(out, "</a></td><td class=\"status %s\">%s</td><td>", status, status);
        put_text(out, report_member(section, "summary"));
        buf_printf(out, "</td><td class=\"n\">%.2f</td></tr>\n",
                   json_number_value(json_object_get(section, "duration_ms")) / 1000.0);
    }
    buf_puts(out, "</tbody>\n</table>\n");
}

static void put_finding(buf *out, const json_t *entry) {
    entry_kind kind = report_kind(entry);
    const char *name = report_kind_name(kind);
    const char *reproduce = report_member(entry, "reproduce");
    buf_printf(out, "<article class=\"finding %s\">\n<h3><span class=\"%s\">%s</span> ", name, name, name);
    put_text(out, report_saying(entry));
    buf_puts(out, "</h3>\n<dl>\n");
    put_fact(out, "Object", report_member(entry, "object"));
    put_fact(out, "Class", report_member(entry, "class"));
    put_fact(out, "Check", report_member(entry, "name"));
    if (report_member(entry, "detail") != report_saying(entry)) {
        put_fact(out, "Detail", report_member(entry, "detail"));
    }
    put_fact(out, "Fix", report_member(entry, "fix"));
    buf_puts(out, "</dl>\n");
    if (reproduce != NULL) {
        buf_puts(out, "<details><summary>Reproduce</summary>");
        put_element(out, "pre", " tabindex=\"0\"", reproduce);
        buf_puts(out, "</details>\n");
    }
    buf_puts(out, "</article>\n");
}

static void put_findings(buf *out, const json_t *checks, entry_kind kind) {
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)checks, i, entry) {
        if (report_kind(entry) == kind) {
            put_finding(out, entry);
        }
    }
}

static void put_checks(buf *out, const json_t *checks) {
    size_t i;
    json_t *entry;
    buf_printf(out,
               "<details><summary>All %zu checks</summary>\n<table>\n<thead><tr><th scope=\"col\">status</th><th "
               "scope=\"col\">"
               "check</th><th scope=\"col\" class=\"n\">ms</th></tr></thead>\n<tbody>\n",
               json_array_size(checks));
    json_array_foreach((json_t *)checks, i, entry) {
        const char *kind = report_kind_name(report_kind(entry));
        const char *object = report_member(entry, "object");
        buf_printf(out, "<tr><td class=\"%s\">%s</td><td>", kind, kind);
        put_text(out, report_member(entry, "name"));
        if (object != NULL) {
            buf_puts(out, " <span class=\"soft\">");
            put_text(out, object);
            buf_puts(out, "</span>");
        }
        if (report_kind(entry) == ENTRY_SKIP) {
            buf_puts(out, "<br><span class=\"soft\">");
            put_text(out, report_saying(entry));
            buf_puts(out, "</span>");
        }
        buf_printf(out, "</td><td class=\"n\">%.1f</td></tr>\n",
                   json_number_value(json_object_get(entry, "duration_ms")));
    }
    buf_puts(out, "</tbody>\n</table>\n</details>\n");
}

static void put_budget(void *ctx, const report_budget *b) {
    buf *out = ctx;
    buf_puts(out, "<tr><td>");
    put_text(out, b->name);
    buf_printf(out, "</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", b->current, b->peak, b->limit);
}

static void put_budgets(buf *out, const json_t *section) {
    if (json_object_size(json_object_get(section, "limits")) == 0) {
        return;
    }
    buf_puts(out, "<details><summary>Budgets</summary>\n<table>\n<thead><tr><th scope=\"col\">resource</th><th "
                  "scope=\"col\">current"
                  "</th><th scope=\"col\">peak</th><th scope=\"col\">limit</th></tr></thead>\n<tbody>\n");
    report_budgets(section, put_budget, out);
    buf_puts(out, "</tbody>\n</table>\n</details>\n");
}

static void put_section(buf *out, size_t number, const json_t *section) {
    static const entry_kind ORDER[] = {ENTRY_FAIL, ENTRY_ERROR, ENTRY_ADVISORY, ENTRY_NOTE};
    const json_t *checks = json_object_get(section, "checks");
    const char *status = known_status(report_member(section, "status"));
    const char *recover = report_member(section, "recover");
    bool passed = report_same(status, "PASS");
    buf_printf(out, "<section id=\"gate%zu\">\n<h2>", number);
    put_text(out, report_member(section, "name"));
    buf_printf(out, " <span class=\"status %s\">%s</span></h2>\n", status, status);
    put_element(out, "p", "", report_member(section, "summary"));
    buf_puts(out, "\n<dl>\n");
    put_fact(out, "Owner", passed ? NULL : report_member(section, "owner"));
    put_fact(out, "Runbook", passed ? NULL : report_member(section, "runbook"));
    buf_puts(out, "</dl>\n");
    if (!passed && recover != NULL) {
        put_element(out, "pre", " tabindex=\"0\"", recover);
    }
    for (size_t i = 0; i < sizeof ORDER / sizeof ORDER[0]; i++) {
        put_findings(out, checks, ORDER[i]);
    }
    put_checks(out, checks);
    put_budgets(out, section);
    buf_puts(out, "</section>\n");
}

int report_html(buf *out, const json_t *report, err *e) {
    json_t *sections = report_sections(report);
    const char *name = report_member(report, "name");
    const char *title = name != NULL ? name : "Tenant Onboarding Validation";
    put_head(out, report, title);
    put_summary(out, report, title);
    buf_puts(out, "<main>\n");
    put_history(out, report);
    put_overview(out, sections);
    put_since(out, report);
    size_t i;
    json_t *section;
    json_array_foreach(sections, i, section) {
        put_section(out, i + 1, section);
    }
    buf_puts(out, "</main>\n</body>\n</html>\n");
    int rc = sections != NULL && !out->failed ? 0 : -1;
    json_decref(sections);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the HTML report");
}
