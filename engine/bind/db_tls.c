/* connection:tls. */
#include "bind/certificate.h"
#include "bind/db_bind.h"

static void set_text(lua_State *L, const char *key, const char *value) { /* [-0, +0, m] */
    if (value[0] != '\0') {
        lua_pushstring(L, value);
        lua_setfield(L, -2, key);
    }
}

int db_m_tls(lua_State *L) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, "connection:tls");
    if (h->conn == NULL) {
        return luax_fail(L, "db_closed", "connection:tls: the connection is closed");
    }
    db_tls tls;
    db_tls_of(h->conn, &tls);
    lua_createtable(L, 0, 6);
    lua_pushboolean(L, tls.used);
    lua_setfield(L, -2, "used");
    set_text(L, "mode", tls.mode);
    set_text(L, "protocol", tls.protocol);
    set_text(L, "cipher", tls.cipher);
    set_text(L, "address", tls.address);
    if (tls.certificate.known) {
        certificate_push(L, &tls.certificate);
        lua_setfield(L, -2, "certificate");
    }
    return 1;
}
