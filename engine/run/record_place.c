#include "run/record_place.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"

#define PORT_DEFAULT 5432
#define SOCKET_PREFIX ".s.PGSQL."

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* ---- a URL (RFC 3986; libpq's manual, "Connection URIs") ---- */

static int hex_of(char c) {
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Percent-decoded; NULL where there is nothing. New reference. */
static json_t *decoded(const char *s, size_t n) {
    buf out = BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%' && i + 2 < n && hex_of(s[i + 1]) >= 0 && hex_of(s[i + 2]) >= 0) {
            (void)buf_putc(&out, (char)(hex_of(s[i + 1]) * 16 + hex_of(s[i + 2])));
            i += 2;
        } else {
            (void)buf_putc(&out, s[i]);
        }
    }
    json_t *text = n > 0 ? json_stringn(buf_str(&out), out.len) : NULL;
    buf_free(&out);
    return text;
}

static void encode(buf *out, const char *s) {
    for (; *s != '\0'; s++) {
        if (isalnum((unsigned char)*s) || strchr("-._~", *s) != NULL) {
            (void)buf_putc(out, *s);
        } else {
            (void)buf_printf(out, "%%%02X", (unsigned char)*s);
        }
    }
}

static void set(json_t *out, const char *key, json_t *value) {
    if (value != NULL) {
        json_object_set_new(out, key, value);
    }
}

/* host[:port] or [address]:port. */
static void read_host(json_t *out, const char *s, size_t n) {
    const char *end = s + n;
    const char *close = n > 0 && *s == '[' ? memchr(s, ']', n) : NULL;
    const char *host = close != NULL ? s + 1 : s;
    const char *from = close != NULL ? close + 1 : s;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    const char *host_end = close != NULL ? close : colon != NULL ? colon : end;
    set(out, "host", decoded(host, (size_t)(host_end - host)));
    if (colon != NULL && colon + 1 < end) {
        char digits[8] = {0};
        size_t len = (size_t)(end - colon - 1);
        memcpy(digits, colon + 1, len < sizeof digits ? len : sizeof digits - 1);
        json_object_set_new(out, "port", json_integer(atoi(digits)));
    }
}

/* Parameters that say where, or how the way there is encrypted, are the recorder's; the others stay the client's. */
static void read_parameter(json_t *out, buf *rest, const char *s, size_t n) {
    static const char *const OWN[] = {"host", "sslmode", "sslrootcert", "user", "password", "dbname", NULL};
    static const char *const DROPPED[] = {"port",   "hostaddr",   "channel_binding", "gssencmode",           "sslcert",
                                          "sslkey", "requiressl", "sslnegotiation",  "target_session_attrs", NULL};
    const char *equals = memchr(s, '=', n);
    size_t name = equals != NULL ? (size_t)(equals - s) : n;
    for (size_t i = 0; OWN[i] != NULL; i++) {
        if (strlen(OWN[i]) == name && memcmp(OWN[i], s, name) == 0 && equals != NULL) {
            set(out, OWN[i], decoded(equals + 1, n - name - 1));
            return;
        }
    }
    for (size_t i = 0; DROPPED[i] != NULL; i++) {
        if (strlen(DROPPED[i]) == name && memcmp(DROPPED[i], s, name) == 0) {
            if (i == 0 && equals != NULL) {
                json_object_set_new(out, "port", json_integer(atoi(equals + 1)));
            }
            return;
        }
    }
    (void)buf_putc(rest, '&');
    (void)buf_append(rest, s, n);
}

static void read_url(json_t *out, const char *url) {
    const char *at = strstr(url, "://");
    size_t scheme = at != NULL ? (size_t)(at - url) : 0;
    at = at != NULL ? at + 3 : url;
    json_object_set_new(out, "scheme", json_stringn(url, scheme));
    size_t authority = strcspn(at, "/?#");
    size_t user = 0; /* behind the last "@" of the authority */
    for (size_t i = 0; i < authority; i++) {
        user = at[i] == '@' ? i + 1 : user;
    }
    if (user > 0) {
        const char *colon = memchr(at, ':', user - 1);
        size_t name = colon != NULL ? (size_t)(colon - at) : user - 1;
        set(out, "user", decoded(at, name));
        set(out, "password", colon != NULL ? decoded(colon + 1, user - name - 2) : NULL);
    }
    read_host(out, at + user, authority - user);
    at += authority;
    if (*at == '/') {
        size_t n = strcspn(++at, "?#");
        set(out, "dbname", decoded(at, n));
        at += n;
    }
    buf rest = BUF_INIT;
    while (*at == '?' || *at == '&') {
        size_t n = strcspn(++at, "&#");
        read_parameter(out, &rest, at, n);
        at += n;
    }
    json_object_set_new(out, "rest", json_string(buf_str(&rest)));
    buf_free(&rest);
}

json_t *record_upstream(const json_t *connection, err *e) {
    static const char *const KEYS[] = {"host", "port", "user", "password", "dbname", NULL};
    json_t *out = json_pack("{s:s, s:s}", "scheme", "postgresql", "rest", "");
    if (out == NULL) {
        err_set(e, "out_of_memory", "out of memory");
        return NULL;
    }
    if (str(connection, "url") != NULL) {
        read_url(out, str(connection, "url"));
    }
    for (size_t i = 0; KEYS[i] != NULL; i++) {
        json_t *v = json_object_get(connection, KEYS[i]);
        if (v != NULL) {
            json_object_set(out, KEYS[i], v);
        }
    }
    const char *host = str(out, "host");
    if (host == NULL || strchr(host, ',') != NULL) {
        err_set(e, "record_target",
                host == NULL ? "database.app says no host: the recorder does not know where to pass statements on to"
                             : "database.app names several hosts: the recorder passes statements on to one");
        err_fix(e, "name one host in database.app.url or database.app.host");
        json_decref(out);
        return NULL;
    }
    if (json_object_get(out, "port") == NULL) {
        json_object_set_new(out, "port", json_integer(PORT_DEFAULT));
    }
    return out;
}

/* ---- where clients come in ---- */

static json_t *listen_path(const char *text, err *e) {
    char *path = fs_is_dir(text) ? fs_join(text, SOCKET_PREFIX "5432") : strdup(text);
    char *dir = path != NULL ? fs_dirname(path) : NULL;
    char *real = dir != NULL ? realpath(dir, NULL) : NULL;
    const char *name = path != NULL ? strrchr(path, '/') : NULL;
    json_t *out = NULL;
    int port = name != NULL && strncmp(name + 1, SOCKET_PREFIX, strlen(SOCKET_PREFIX)) == 0
                   ? atoi(name + 1 + strlen(SOCKET_PREFIX))
                   : 0;
    if (real == NULL || port < 1) {
        err_set(e, "record_listen",
                "--listen: expected a directory, or a socket named .s.PGSQL.PORT in one, found \"%s\"", text);
        err_fix(e, "for example --listen /tmp/recorder, a directory that is there");
    } else {
        char *whole = fs_join(real, name + 1);
        out = json_pack("{s:s, s:s, s:i}", "path", whole, "dir", real, "port", port);
        free(whole);
    }
    free(path);
    free(dir);
    free(real);
    return out;
}

json_t *record_listen(const char *text, err *e) {
    if (text == NULL) {
        return json_pack("{s:s, s:i}", "host", "127.0.0.1", "port", 0);
    }
    if (*text == '/' || *text == '.') {
        return listen_path(text, e);
    }
    json_t *out = json_object();
    const char *colon = strrchr(text, ':');
    read_host(out, text, strlen(text));
    json_int_t port = json_integer_value(json_object_get(out, "port"));
    bool digits = colon != NULL && colon[1] != '\0' && strspn(colon + 1, "0123456789") == strlen(colon + 1);
    if (str(out, "host") == NULL || !digits || port < 0 || port > 65535) {
        err_set(e, "record_listen", "--listen: expected HOST:PORT or the path of a socket, found \"%.80s\"", text);
        err_fix(e, "for example --listen 127.0.0.1:6432; port 0 takes a free one");
        json_decref(out);
        return NULL;
    }
    return out;
}

/* ---- a command's environment ---- */

static char *url_of(const json_t *up, const char *host, int port) {
    buf out = BUF_INIT;
    (void)buf_printf(&out, "%s://", str(up, "scheme"));
    if (str(up, "user") != NULL) {
        encode(&out, str(up, "user"));
        if (str(up, "password") != NULL) {
            (void)buf_putc(&out, ':');
            encode(&out, str(up, "password"));
        }
        (void)buf_putc(&out, '@');
    }
    if (strchr(host, ':') != NULL) {
        (void)buf_printf(&out, "[%s]", host);
    } else {
        encode(&out, host);
    }
    (void)buf_printf(&out, ":%d/", port);
    if (str(up, "dbname") != NULL) {
        encode(&out, str(up, "dbname"));
    }
    (void)buf_printf(&out, "?sslmode=disable%s", str(up, "rest"));
    return buf_steal(&out);
}

static bool replaced(const char *entry) {
    static const char *const NAMES[] = {
        "PGHOST=",    "PGHOSTADDR=",       "PGPORT=",       "PGUSER=",       "PGDATABASE=", "PGPASSWORD=",
        "PGSSLMODE=", "PGCHANNELBINDING=", "PGGSSENCMODE=", "DATABASE_URL=", NULL};
    for (size_t i = 0; NAMES[i] != NULL; i++) {
        if (strncmp(entry, NAMES[i], strlen(NAMES[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void put(char **env, size_t *n, const char *name, const char *value, bool *failed) {
    buf out = BUF_INIT;
    if (value == NULL) {
        return;
    }
    (void)buf_printf(&out, "%s=%s", name, value);
    env[*n] = buf_steal(&out);
    *failed = *failed || env[*n] == NULL;
    *n += env[*n] != NULL;
}

char **record_environment(const json_t *up, const json_t *listen, int port) {
    extern char **environ;
    size_t had = 0, n = 0;
    bool failed = false;
    while (environ != NULL && environ[had] != NULL) {
        had++;
    }
    char **env = calloc(had + 10, sizeof *env);
    const char *host = str(listen, "dir") != NULL ? str(listen, "dir") : str(listen, "host");
    char digits[16];
    snprintf(digits, sizeof digits, "%d", port);
    char *url = url_of(up, host, port);
    failed = env == NULL || url == NULL;
    for (size_t i = 0; !failed && i < had; i++) {
        if (!replaced(environ[i])) {
            env[n] = strdup(environ[i]);
            failed = env[n] == NULL;
            n += !failed;
        }
    }
    if (!failed) {
        put(env, &n, "PGHOST", host, &failed);
        put(env, &n, "PGPORT", digits, &failed);
        put(env, &n, "PGUSER", str(up, "user"), &failed);
        put(env, &n, "PGPASSWORD", str(up, "password"), &failed);
        put(env, &n, "PGDATABASE", str(up, "dbname"), &failed);
        put(env, &n, "PGSSLMODE", "disable", &failed);
        put(env, &n, "PGGSSENCMODE", "disable", &failed);
        put(env, &n, "DATABASE_URL", url, &failed);
    }
    free(url);
    if (failed) {
        record_environment_free(env);
        return NULL;
    }
    return env;
}

void record_environment_free(char **env) {
    for (size_t i = 0; env != NULL && env[i] != NULL; i++) {
        free(env[i]);
    }
    free(env);
}
