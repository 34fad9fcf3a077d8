/* Origins, paths, redirects and header lines: whatever they are, no request leaves the endpoint's origin and prefix,
 * and no line breaks out of its header. The input: four texts, with line feeds between them. */
#include <string.h>
#include <strings.h>

#include "prim/http_url.h"
#include "promise.h"

static const char BASE[] = "https://api.example:8443/v1";

static void whole_header(const char *name, const char *value) {
    err e;
    if (http_check_header("header", name, strlen(name), value, strlen(value), &e) == 0) {
        PROMISE(strpbrk(name, "\r\n: ") == NULL && name[0] != '\0' && strpbrk(value, "\r\n") == NULL);
        PROMISE(strcasecmp(name, "host") != 0 && strcasecmp(name, "content-length") != 0);
    }
}

/* A path beneath BASE stays beneath it. */
static void beneath(const http_base *base, const char *path, const char *query) {
    err e;
    buf url = BUF_INIT;
    if (http_url_join(base, path, strlen(path), query, &url, &e) == 0) {
        const char *rest = buf_str(&url) + strlen(BASE);
        PROMISE(strncmp(buf_str(&url), BASE, strlen(BASE)) == 0 && (*rest == '/' || *rest == '\0'));
        PROMISE(strpbrk(rest, "\r\n \\#") == NULL);
        const char *up = strstr(rest, "/../");
        PROMISE(up == NULL ||
                (strchr(rest, '?') != NULL && strchr(rest, '?') < up)); /* a query may say what it likes */
        http_origin to;
        PROMISE(http_url_target(buf_str(&url), &to, &e) == 0);
        PROMISE(strcmp(to.host, "api.example") == 0 && to.port == 8443 && strcmp(to.scheme, "https") == 0);
    }
    buf_free(&url);
}

/* A redirect that is followed goes to the same origin, beneath the prefix. */
static void same_origin(const http_base *base, const char *location) {
    err e;
    buf url = BUF_INIT;
    if (http_url_redirect(base, "https://api.example:8443/v1/a/b?c", location, &url, &e) == 0) {
        http_origin to;
        PROMISE(http_url_target(buf_str(&url), &to, &e) == 0);
        PROMISE(strcmp(to.host, "api.example") == 0 && to.port == 8443 && strcmp(to.scheme, "https") == 0);
        const char *path = strchr(buf_str(&url) + strlen("https://"), '/');
        PROMISE(path != NULL && strncmp(path, "/v1", 3) == 0 && strchr("/?", path[3]) != NULL);
    }
    buf_free(&url);
}

static void any_base(const char *text) {
    err e;
    http_base base;
    http_origin origin;
    buf user = BUF_INIT;
    (void)http_url_target(text, &origin, &e);
    if (http_url_base("fuzz", text, &base, &user, &e) == 0) {
        PROMISE(strcmp(base.origin.scheme, "http") == 0 || strcmp(base.origin.scheme, "https") == 0);
        PROMISE(base.origin.host[0] != '\0' && base.origin.port > 0 && base.origin.port < 65536);
    } else {
        PROMISE(e.code[0] != '\0');
    }
    buf_free(&user);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    err e;
    http_base base;
    char *text = malloc(n + 1);
    PROMISE(text != NULL);
    memcpy(text, data, n);
    text[n] = '\0';
    char *part[4] = {text, text + n, text + n, text + n};
    for (int i = 1; i < 4; i++) {
        char *end = strchr(part[i - 1], '\n');
        if (end == NULL) {
            break;
        }
        *end = '\0';
        part[i] = end + 1;
    }
    buf user = BUF_INIT;
    PROMISE(http_url_base("fuzz", BASE, &base, &user, &e) == 0);
    PROMISE(user.len == 0);
    buf_free(&user);
    beneath(&base, part[0], NULL);
    same_origin(&base, part[0]);
    any_base(part[1]);
    whole_header(part[2], part[3]);
    free(text);
    return 0;
}
