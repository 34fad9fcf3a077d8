/* The report as Markdown (GitHub Flavored Markdown, which GitLab reads too), for a comment on a pull request or a
 * step's summary: the verdict, a line for each gate, and what was found, grouped as the text report groups it. */
#include <ctype.h>
#include <string.h>

#include "run/report_parts.h"

enum { OBJECTS_SHOWN = 10, BLOCKS_SHOWN = 50 };

/* Foreign text as text: every punctuation mark becomes a character reference, which stands for itself (CommonMark 0.31
 * section 2.5), so that nothing in it is markup or HTML. Mentions and references to issues are looked for in what was
 * rendered: an empty comment parts their mark from the name. */
static void put_text(buf *out, const char *text) {
    for (const char *s = text; *s != '\0'; s++) {
        if (*s == '\n') {
            buf_puts(out, "<br>");
        } else if (ispunct((unsigned char)*s) && strchr(" .,-()/", *s) == NULL) {
            buf_printf(out, "&#%d;%s", (unsigned char)*s, *s == '@' || *s == '#' || *s == '!' ? "<!-- -->" : "");
        } else {
            buf_putc(out, *s == '\t' ? ' ' : *s);
        }
    }
}

/* What is to be pasted, between fences longer than any run of marks in it (section 4.5). */
static void put_code(buf *out, const char *text) {
    size_t longest = 2, run = 0;
    for (const char *s = text; *s != '\0'; s++) {
        run = *s == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    char fence[64];
    size_t n = longest + 1 < sizeof fence - 1 ? longest + 1 : sizeof fence - 1;
    memset(fence, '`', n);
    fence[n] = '\0';
    if (longest >= n) { /* a run that no fence is longer than: as text */
        put_text(out, text);
        buf_puts(out, "\n\n");
        return;
    }
    buf_printf(out, "%s\n%s\n%s\n\n", fence, text, fence);
}

static const char *mark(const char *status) {
    return report_same(status, "PASS") ? "✅" : report_same(status, "ERROR") ? "⚠️" : "❌";
}

static void put_entry(buf *out, const json_t *entry) {
    const char *object = report_member(entry, "object");
    const char *detail = report_member(entry, "detail");
    const char *name = report_member(entry, "name");
    buf_puts(out, "- ");
    put_text(out, object != NULL ? object : name != NULL ? name : "?");
    if (detail != NULL) {
        buf_puts(out, ": ");
        put_text(out, detail);
    }
    buf_putc(out, '\n');
}

/* A block of entries, the first ten by name. */
static void put_block(buf *out, const json_t *entries) {
    const json_t *head = json_array_get(entries, 0);
    entry_kind kind = report_kind(head);
    size_t n = json_array_size(entries);
    buf_printf(out, "#### %s %s: ",
               kind == ENTRY_ADVISORY ? "💡"
               : kind == ENTRY_FAIL   ? "❌"
                                      : "⚠️",
               report_kind_name(kind));
    put_text(out, report_saying(head));
    buf_puts(out, "\n\n");
    for (size_t i = 0; i < n && i < OBJECTS_SHOWN; i++) {
        put_entry(out, json_array_get(entries, i));
    }
    if (n > OBJECTS_SHOWN) {
        buf_printf(out, "- and %zu more in the report\n", n - OBJECTS_SHOWN);
    }
    buf_putc(out, '\n');
    const char *fix = report_member(head, "fix");
    const char *reproduce = report_member(head, "reproduce");
    if (fix != NULL) {
        buf_puts(out, "**Fix:** ");
        put_text(out, fix);
        buf_puts(out, "\n\n");
    }
    if (reproduce != NULL) {
        buf_puts(out, "**Reproduce:**\n\n");
        put_code(out, reproduce);
    }
}

static void put_blocks(buf *out, const json_t *checks, entry_kind kind) {
    json_t *blocks = report_blocks(checks, kind);
    const char *key;
    json_t *block;
    size_t shown = 0;
    out->failed = out->failed || blocks == NULL;
    json_object_foreach(blocks, key, block) {
        if (shown++ < BLOCKS_SHOWN) {
            put_block(out, block);
        }
    }
    if (shown > BLOCKS_SHOWN) {
        buf_printf(out, "And %zu more of this kind in the report.\n\n", shown - BLOCKS_SHOWN);
    }
    json_decref(blocks);
}

static bool has(const json_t *checks, entry_kind kind) {
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)checks, i, entry) {
        if (report_kind(entry) == kind) {
            return true;
        }
    }
    return false;
}

static void put_findings(buf *out, const json_t *section) {
    const json_t *checks = json_object_get(section, "checks");
    bool bad = has(checks, ENTRY_FAIL) || has(checks, ENTRY_ERROR);
    if (!bad && !has(checks, ENTRY_ADVISORY)) {
        return;
    }
    const char *name = report_member(section, "name");
    const char *recover = report_member(section, "recover");
    const char *runbook = report_member(section, "runbook");
    const char *owner = report_member(section, "owner");
    buf_puts(out, "### ");
    put_text(out, name != NULL ? name : "?");
    buf_puts(out, "\n\n");
    put_blocks(out, checks, ENTRY_FAIL);
    put_blocks(out, checks, ENTRY_ERROR);
    if (bad && recover != NULL) {
        buf_puts(out, "**Recover:**\n\n");
        put_code(out, recover);
    }
    if (bad && (owner != NULL || runbook != NULL)) {
        buf_puts(out, "**Owner:** ");
        put_text(out, owner != NULL ? owner : "not named");
        buf_puts(out, runbook != NULL ? " · **Runbook:** " : "");
        put_text(out, runbook != NULL ? runbook : "");
        buf_puts(out, "\n\n");
    }
    put_blocks(out, checks, ENTRY_ADVISORY);
}

static void put_table(buf *out, const json_t *sections) {
    size_t i;
    json_t *section;
    buf_puts(out, "| | gate | status | what | seconds |\n|---|---|---|---|---:|\n");
    json_array_foreach((json_t *)sections, i, section) {
        const char *status = report_member(section, "status");
        const char *name = report_member(section, "name");
        const char *summary = report_member(section, "summary");
        buf_printf(out, "| %s | ", mark(status));
        put_text(out, name != NULL ? name : "?");
        buf_printf(out, " | %s | ", status != NULL ? status : "ERROR");
        put_text(out, summary != NULL ? summary : "");
        buf_printf(out, " | %.2f |\n", json_number_value(json_object_get(section, "duration_ms")) / 1000.0);
    }
    buf_putc(out, '\n');
}

typedef struct budget_rows {
    buf *out;
    const char *gate;
} budget_rows;

static void put_budget(void *ctx, const report_budget *b) {
    budget_rows *rows = ctx;
    buf_puts(rows->out, "| ");
    put_text(rows->out, rows->gate != NULL ? rows->gate : "?");
    buf_puts(rows->out, " | ");
    put_text(rows->out, b->name);
    buf_printf(rows->out, " | %s | %s | %s |\n", b->current, b->peak, b->limit);
}

static void put_budgets(buf *out, const json_t *sections) {
    size_t i, n = 0;
    json_t *section;
    json_array_foreach((json_t *)sections, i, section) {
        n += json_object_size(json_object_get(section, "limits"));
    }
    if (n == 0) {
        return;
    }
    buf_puts(out, "<details><summary>Budgets</summary>\n\n| gate | resource | current | peak | limit "
                  "|\n|---|---|---:|---:|---:|\n");
    json_array_foreach((json_t *)sections, i, section) {
        report_budgets(section, put_budget, &(budget_rows){out, report_member(section, "name")});
    }
    buf_puts(out, "\n</details>\n");
}

int report_markdown(buf *out, const json_t *report, err *e) {
    json_t *sections = report_sections(report);
    const char *status = report_member(report, "status");
    const char *tenant = report_member(report, "tenant");
    const char *kind = report_member(report, "kind");
    buf_printf(out, "## %s gate-engine: %s\n\n", mark(status), status != NULL ? status : "ERROR");
    if (tenant != NULL) {
        buf_puts(out, "Tenant **");
        put_text(out, tenant);
        buf_puts(out, "**");
        if (report_same(kind, "suite")) {
            buf_puts(out, json_is_true(json_object_get(report, "approved")) ? " is approved for pilot"
                                                                            : " is **not** approved");
        }
        buf_puts(out, ".\n\n");
    }
    put_table(out, sections);
    size_t i;
    json_t *section;
    json_array_foreach(sections, i, section) {
        put_findings(out, section);
    }
    buf since = BUF_INIT;
    if (report_since(&since, report)) {
        buf_puts(out, "**Since the last pass**\n\n");
        put_code(out, buf_str(&since));
    }
    out->failed = out->failed || since.failed;
    buf_free(&since);
    put_budgets(out, sections);
    int rc = sections != NULL && !out->failed ? 0 : -1;
    json_decref(sections);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the Markdown report");
}
