#include "recorder/prepared.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PARAMETERS_MAX 65535

/* ---- one statement ---- */

static prepared *prepared_new(void) {
    prepared *p = calloc(1, sizeof *p);
    if (p != NULL) {
        p->refs = 1;
    }
    return p;
}

prepared *prepared_keep(prepared *p) {
    p->refs++;
    return p;
}

void prepared_release(prepared *p) {
    while (p != NULL && --p->refs == 0) {
        prepared *next = p->next;
        free(p);
        p = next;
    }
}

prepared *prepared_at(prepared *list, size_t i) {
    if (list != NULL && list->unknown) {
        return list;
    }
    for (; list != NULL && i > 0; i--) {
        list = list->next;
    }
    return list;
}

prepared *prepared_call(uint32_t function) {
    prepared *p = prepared_new();
    if (p != NULL) {
        p->function = function;
    }
    return p;
}

prepared *prepared_unknown(recording *out, err *e) {
    uint64_t shape = recording_shape(out, "", 0, true, e);
    prepared *p = shape != 0 ? prepared_new() : NULL;
    if (p != NULL) {
        p->shape = shape;
        p->unknown = true;
    } else if (shape != 0) {
        err_set(e, "out_of_memory", "out of memory");
    }
    return p;
}

/* ---- from text ---- */

typedef struct reading {
    recording *out;
    prepared *first, **last;
} reading;

static int add_statement(void *ctx, const statement *s, err *e) {
    reading *r = ctx;
    prepared *p = prepared_new();
    if (p == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    *r->last = p;
    r->last = &p->next;
    p->kind = s->kind;
    memcpy(p->name, s->name, sizeof p->name);
    for (size_t i = 0; i < s->contexts; i++) {
        const statement_context *from = &s->context[i];
        int64_t value = from->from == VALUE_LITERAL && !from->cut ? recording_value(r->out, from->value, from->len)
                        : from->from == VALUE_DEFAULT             ? 0
                                                                  : VALUE_UNKNOWN;
        p->context[p->ncontexts++] = (prepared_context){.setting = from->setting,
                                                        .setting_parameter = from->setting_parameter,
                                                        .local = from->local,
                                                        .local_parameter = from->local_parameter,
                                                        .from = from->from,
                                                        .parameter = from->parameter,
                                                        .converted = from->converted,
                                                        .value = value};
    }
    p->shape = recording_shape(r->out, s->text, s->len, s->cut, e);
    return p->shape != 0 ? 0 : -1;
}

int prepared_scan(recording *out, bool standard_strings, const pgwire_message *m, size_t offset, prepared **list,
                  err *e) {
    reading r = {.out = out};
    r.last = &r.first;
    size_t kept = m->kept - offset;
    statement_options o = {.standard_strings = standard_strings, .more = m->kept < m->length};
    o.settings = recording_settings(out, &o.nsettings);
    int rc = statement_scan(m->body + offset, strnlen(m->body + offset, kept), &o, add_statement, &r, e);
    if (rc != 0) {
        prepared_release(r.first);
        r.first = NULL;
    }
    *list = r.first;
    return rc;
}

/* ---- values that are bound ---- */

typedef struct parameters {
    int16_t formats, count;
    const char *format; /* of each two bytes */
    const char *values; /* of each a length and bytes */
    const char *end;
} parameters;

/* Parameter number i: its bytes, or NULL where it is NULL or not there. */
static const char *parameter(const parameters *all, int number, int32_t *len, bool *binary) {
    if (number < 1 || number > all->count) {
        return NULL;
    }
    pgwire_reader r = {.at = all->values, .end = all->end};
    const char *bytes = NULL;
    for (int i = 0; i < number; i++) {
        *len = pgwire_int32(&r);
        bytes = *len >= 0 ? pgwire_bytes(&r, (size_t)*len) : NULL;
    }
    int which = all->formats == 1 ? 0 : number - 1;
    *binary = which < all->formats && all->format[2 * which + 1] != 0;
    return r.failed ? NULL : bytes;
}

static parameters read_parameters(pgwire_reader *r) {
    parameters all = {.formats = pgwire_int16(r)};
    all.format = all.formats > 0 ? pgwire_bytes(r, 2 * (size_t)all.formats) : NULL;
    all.count = pgwire_int16(r);
    if (r->failed || all.formats < 0 || all.count < 0) {
        all.formats = all.count = 0;
    }
    all.values = r->at;
    all.end = r->end;
    return all;
}

static int named_setting(const recording *out, const char *name, size_t len) {
    size_t n;
    const char *const *settings = recording_settings(out, &n);
    for (size_t i = 0; i < n; i++) {
        if (strlen(settings[i]) == len && strncasecmp(settings[i], name, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int bound_boolean(const char *bytes, int32_t len, bool binary) {
    if (len < 1) {
        return -1;
    }
    return binary ? *bytes != 0 : strchr("tTyY1", *bytes) != NULL || (len > 1 && (bytes[1] == 'n' || bytes[1] == 'N'));
}

static void resolve(recording *out, prepared_context *c, const parameters *all) {
    int32_t len = 0;
    bool binary = false;
    const char *bytes;
    if (c->setting_parameter > 0 && (bytes = parameter(all, c->setting_parameter, &len, &binary)) != NULL) {
        c->setting = named_setting(out, bytes, (size_t)len);
        c->setting_parameter = 0;
    }
    if (c->local_parameter > 0 && (bytes = parameter(all, c->local_parameter, &len, &binary)) != NULL) {
        c->local = bound_boolean(bytes, len, binary);
    }
    if (c->from == VALUE_PARAMETER && (bytes = parameter(all, c->parameter, &len, &binary)) != NULL &&
        !(binary && c->converted)) { /* a binary uuid is not what the same uuid is as text */
        c->value = recording_value(out, bytes, (size_t)len);
    }
}

prepared *prepared_bind(recording *out, const prepared *p, pgwire_reader *r) {
    prepared *bound = prepared_new();
    if (bound == NULL) {
        return NULL;
    }
    *bound = *p;
    bound->refs = 1;
    bound->next = NULL;
    bound->told = false;
    if (p->ncontexts > 0) {
        const parameters all = read_parameters(r);
        for (size_t i = 0; i < bound->ncontexts; i++) {
            resolve(out, &bound->context[i], &all);
        }
    }
    return bound;
}

json_t *prepared_contexts(const prepared *p) {
    json_t *list = json_array();
    for (size_t i = 0; i < p->ncontexts; i++) {
        const prepared_context *c = &p->context[i];
        json_t *one = json_pack("{s:s}", "from", statement_value_name(c->from));
        if (c->setting < 0 && c->setting_parameter == 0) { /* another setting than a tenant's */
            json_decref(one);
            continue;
        }
        if (c->setting >= 0) {
            json_object_set_new(one, "k", json_integer(c->setting));
        }
        if (c->local >= 0) {
            json_object_set_new(one, "local", json_boolean(c->local));
        }
        if (c->value != VALUE_UNKNOWN) {
            json_object_set_new(one, "v", json_integer(c->value));
        }
        json_array_append_new(list, one);
    }
    return list;
}

/* ---- by name ---- */

typedef struct prepared_entry {
    struct prepared_entry *next;
    prepared *p;
    char name[]; /* NUL-terminated */
} prepared_entry;

static size_t bucket_of(const char *name) {
    size_t h = 5381; /* Bernstein's: names of statements are an application's own, not an attacker's choice of time */
    for (; *name != '\0'; name++) {
        h = h * 33 + (unsigned char)*name;
    }
    return h % PREPARED_BUCKETS;
}

static prepared_entry **find(const prepared_map *map, const char *name) {
    if (map->bucket == NULL) {
        return NULL;
    }
    for (prepared_entry **e = &map->bucket[bucket_of(name)]; *e != NULL; e = &(*e)->next) {
        if (strcmp((*e)->name, name) == 0) {
            return e;
        }
    }
    return NULL;
}

int prepared_put(prepared_map *map, const char *name, prepared *p, bool replace) {
    prepared_entry **had = find(map, name);
    if (had != NULL && !replace) {
        return 0;
    }
    prepared_drop(map, name);
    if (map->bucket == NULL) {
        map->bucket = calloc(PREPARED_BUCKETS, sizeof(prepared_entry *));
    }
    size_t len = strlen(name) + 1;
    prepared_entry *e = map->bucket != NULL && map->n < PREPARED_MAX ? malloc(sizeof *e + len) : NULL;
    if (e == NULL) {
        return -1;
    }
    prepared_entry **head = &map->bucket[bucket_of(name)];
    *e = (prepared_entry){.next = *head, .p = p != NULL ? prepared_keep(p) : NULL};
    memcpy(e->name, name, len);
    *head = e;
    map->n++;
    return 0;
}

prepared *prepared_get(const prepared_map *map, const char *name) {
    prepared_entry **e = find(map, name);
    return e != NULL ? (*e)->p : NULL;
}

static void drop_entry(prepared_map *map, prepared_entry **at) {
    prepared_entry *e = *at;
    *at = e->next;
    prepared_release(e->p);
    free(e);
    map->n--;
}

void prepared_drop(prepared_map *map, const char *name) {
    prepared_entry **at = find(map, name);
    if (at != NULL) {
        drop_entry(map, at);
    }
}

void prepared_clear(prepared_map *map) {
    for (size_t i = 0; map->bucket != NULL && i < PREPARED_BUCKETS; i++) {
        while (map->bucket[i] != NULL) {
            drop_entry(map, &map->bucket[i]);
        }
    }
    free(map->bucket);
    map->bucket = NULL;
}

void prepared_undo(prepared_map *map, const char *name, const prepared *p) {
    prepared_entry **at = find(map, name);
    if (at != NULL && (*at)->p == p) {
        drop_entry(map, at);
    }
}

void prepared_forget(prepared_map *map, const prepared *p) {
    if (p->kind == STATEMENT_DISCARD_ALL || (p->kind == STATEMENT_DEALLOCATE && p->name[0] == '\0')) {
        prepared_clear(map);
    } else if (p->kind == STATEMENT_DEALLOCATE) {
        prepared_drop(map, p->name);
    }
}
