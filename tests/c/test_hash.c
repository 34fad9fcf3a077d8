/* Digests, MACs and signatures against published vectors; spellings both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "prim/hash.h"
#include "run/sha256.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static buf bytes_of(const char *hex) {
    buf out = BUF_INIT;
    err e;
    assert_int_equal(hash_unhex(&out, hex, strlen(hex), &e), 0);
    return out;
}

static void assert_hex(const void *bytes, size_t n, const char *expected) {
    buf out = BUF_INIT;
    assert_int_equal(hash_hex(&out, bytes, n), 0);
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

/* NIST CAVP, SHA-256 ShortMsg (CAVS 21.3), and one of LongMsg. */
static const struct {
    const char *message;
    const char *digest;
} NIST[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"9e", "35af2d15ebde4d67b29569ec19749e813c76f02286afc5a2a9871c2bfbdaab32"},
    {"ce56", "cb8f96c222056053967f74a93fb0ed4088f25ab4cc0358aa80bc1e1428e9fb0e"},
    {"3ea674", "ca5d7e63e0fd1b0472d2d02c75639b32f18c101956bbd5fd278c6f41651e2068"},
    {"88f9bb23", "04ff3a2aca2ab6ee8656c87f715ff69827d73eb9966e374a027ecf09200df9cb"},
    {"90fada11538dd065fbe41bd3022695e4", "4d9715cd24507b2b723fd7f1f9393bb25b098f05a19bd9fbfa55f81955ff31b3"},
    {"177df9f1768f798c8ec59a1f36ed02856a62b090403090511e794d932b1867a90383856aaff60c79d4cef0ca2a33cb6130f92c5d1fc831",
     "34416b20eef5474b6602ef98fb0b5f018086805b7b2df3ef1d4635502f631642"},
    {"08f645ff0f9a765593bd419ff60a308d3b4e70e816388577455d3c1f237ee14d7b0eb3999aef95a3a87d064138cd53dd1d360b187f11b4b3",
     "76f082a9a8e45c02a376ee1b42629cfb5db30e0ba1632f19cd28c96363f9da66"},
    {"c3e81f34b716b165addda4fce195ba39e3a496ccf44f3746b3d0c0cef9a87a1501361b8ccc8949d4c3735a759fde5ed486635f5f7619e70be"
     "7"
     "abc300acae07",
     "2775a3f9bb46a4fda00eef650b45db52a8e8c948b6eff3b7a8206544de4f3ba0"},
    {"3d007ab1483de3511ce9a7edc7a9610bcacac0ec6f3d7cb45de08fcc6a00a185b01bc4fee3ea6147e29e72c68b6bf2dad44392bf17e4aeb2a"
     "e"
     "147f55c02b9254",
     "b9e850d487a74e6b8e07330b7648b6c1aa84cdcc16b238c96d47613de313e2f9"},
    {"451101250ec6f26652249d59dc974b7361d571a8101cdfd36aba3b5854d3ae086b5fdd4597721b66e3c0dc5d8c606d9657d0e323283a5217d"
     "1"
     "f53f2f284f57b85c8a61ac8924711f895c5ed90ef17745ed2d728abd22a5f7a13479a462d71b56c19a74a40b655c58edfe0a188ad2cf46cbf"
     "3"
     "0524f65d423c837dd1ff2bf462ac4198007345bb44dbb7b1c861298cdf61982a833afc728fae1eda2f87aa2c9480858bec",
     "3c593aa539fdcdae516cdf2f15000f6634185c88f505b39775fb9ab137a10aa2"},
};

static void nist(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(NIST); i++) {
        buf message = bytes_of(NIST[i].message);
        unsigned char digest[HASH_SHA256_SIZE];
        err e;
        assert_int_equal(hash_sha256(buf_str(&message), message.len, digest, &e), 0);
        assert_hex(digest, sizeof digest, NIST[i].digest);
        buf_free(&message);
    }
}

/* FIPS 180-4's example of a million times "a", in parts whose sizes cross the blocks. */
static void million(void **state) {
    (void)state;
    static char chunk[1000];
    memset(chunk, 'a', sizeof chunk);
    unsigned char digest[HASH_SHA256_SIZE];
    err e;
    hash_stream *s = hash_stream_open(&e);
    assert_non_null(s);
    size_t left = 1000000;
    for (size_t n = 1; left > 0; n = n * 7 % 997 + 1) {
        n = n < left ? n : left;
        assert_int_equal(hash_stream_update(s, chunk, n, &e), 0);
        left -= n;
    }
    assert_int_equal(hash_stream_final(s, digest, &e), 0);
    assert_hex(digest, sizeof digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    hash_stream_free(s);
    hash_stream_free(NULL);
}

static void splits(void **state) {
    (void)state;
    buf message = bytes_of(NIST[COUNT(NIST) - 1].message);
    for (size_t at = 0; at <= message.len; at++) {
        unsigned char digest[HASH_SHA256_SIZE];
        err e;
        hash_stream *s = hash_stream_open(&e);
        assert_non_null(s);
        assert_int_equal(hash_stream_update(s, message.data, at, &e), 0);
        assert_int_equal(hash_stream_update(s, message.data + at, message.len - at, &e), 0);
        assert_int_equal(hash_stream_final(s, digest, &e), 0);
        assert_hex(digest, sizeof digest, NIST[COUNT(NIST) - 1].digest);
        hash_stream_free(s);
    }
    buf_free(&message);
}

static void assert_mac(const void *key, size_t key_len, const void *data, size_t n, const char *expected) {
    unsigned char mac[HASH_SHA256_SIZE];
    err e;
    assert_int_equal(hash_hmac_sha256(key, key_len, data, n, mac, &e), 0);
    assert_hex(mac, strlen(expected) / 2, expected);
    if (key_len <= 64) { /* the program's own, which links no more of libcrypto than it needs */
        char hex[SHA256_HEX_SIZE];
        sha256_hmac_hex(key, key_len, data, n, hex);
        assert_memory_equal(hex, expected, strlen(expected));
    }
}

static void rfc4231(void **state) {
    (void)state;
    static const char larger_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    static const char larger_both[] =
        "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
        "hashed before being used by the HMAC algorithm.";
    unsigned char key[131];
    unsigned char data[50];
    memset(key, 0x0b, 20);
    assert_mac(key, 20, "Hi There", 8, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_mac("Jefe", 4, "what do ya want for nothing?", 28,
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    assert_mac(key, 20, data, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    assert_mac(key, 131, larger_key, strlen(larger_key),
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_mac(key, 131, larger_both, strlen(larger_both),
               "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    memset(data, 0xcd, sizeof data);
    for (size_t i = 0; i < 25; i++) {
        key[i] = (unsigned char)(i + 1);
    }
    assert_mac(key, 25, data, 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    memset(key, 0x0c, 20);
    assert_mac(key, 20, "Test With Truncation", 20, "a3b6167473100ee06e0c796c2955552b");
}

/* RFC 8032 section 7.1: tests 1, 2, 3 and SHA(abc). */
static const struct {
    const char *private_key;
    const char *public_key;
    const char *message;
    const char *signature;
} RFC8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "55"
     "141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "00"
     "d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
     "02"
     "7beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2"
     "a9"
     "ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad"
     "9b"
     "ef1177331a704"},
};

static void rfc8032(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(RFC8032); i++) {
        buf key = bytes_of(RFC8032[i].private_key);
        buf message = bytes_of(RFC8032[i].message);
        unsigned char public_key[HASH_ED25519_KEY];
        unsigned char signature[HASH_ED25519_SIGNATURE];
        const unsigned char *private_key = (const unsigned char *)key.data;
        err e;
        assert_int_equal(hash_ed25519_public(private_key, public_key, &e), 0);
        assert_hex(public_key, sizeof public_key, RFC8032[i].public_key);
        assert_int_equal(hash_ed25519_sign(private_key, buf_str(&message), message.len, signature, &e), 0);
        assert_hex(signature, sizeof signature, RFC8032[i].signature);
        assert_int_equal(hash_ed25519_verify(public_key, buf_str(&message), message.len, signature, &e), 1);
        buf_free(&key);
        buf_free(&message);
    }
}

static void changed_signatures(void **state) {
    (void)state;
    buf key = bytes_of(RFC8032[1].private_key);
    unsigned char public_key[HASH_ED25519_KEY];
    unsigned char signature[HASH_ED25519_SIGNATURE];
    err e;
    assert_int_equal(hash_ed25519_public((const unsigned char *)key.data, public_key, &e), 0);
    assert_int_equal(hash_ed25519_sign((const unsigned char *)key.data, "r", 1, signature, &e), 0);
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_equal(hash_ed25519_verify(public_key, "r", 1, signature, &e), 0);
        signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_int_equal(hash_ed25519_verify(public_key, "s", 1, signature, &e), 0);
    public_key[3] ^= 1;
    assert_int_equal(hash_ed25519_verify(public_key, "r", 1, signature, &e), 0);
    buf_free(&key);
}

static void randomness(void **state) {
    (void)state;
    unsigned char a[64] = {0};
    unsigned char b[64] = {0};
    err e;
    assert_int_equal(hash_random(a, sizeof a, &e), 0);
    assert_int_equal(hash_random(b, sizeof b, &e), 0);
    assert_false(hash_equal(a, b, sizeof a));
    assert_true(hash_equal(a, a, sizeof a));
    assert_true(hash_equal("x", "y", 0));
    assert_int_equal(hash_random(NULL, 0, &e), 0);
    assert_int_equal(hash_random(a, (size_t)1 << 40, &e), -1);
    assert_string_equal(e.message, "random bytes: 1099511627776 are more than can be had at once");
}

static void assert_text_error(int (*read)(buf *, const char *, size_t, err *), const char *text, const char *message) {
    buf out = BUF_INIT;
    err e;
    buf_puts(&out, "before");
    assert_int_equal(read(&out, text, strlen(text), &e), -1);
    assert_string_equal(e.code, "hash_text");
    assert_string_equal(e.message, message);
    assert_int_equal(out.len, 6);
    buf_free(&out);
}

static void hexadecimal(void **state) {
    (void)state;
    buf out = BUF_INIT;
    err e;
    assert_int_equal(hash_unhex(&out, "00fFAb", 6, &e), 0);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "\x00\xff\xab", 3);
    assert_int_equal(hash_unhex(&out, "", 0, &e), 0);
    assert_int_equal(out.len, 3);
    buf_free(&out);
    assert_text_error(hash_unhex, "abc", "hexadecimal text has an odd number of digits, 3");
    assert_text_error(hash_unhex, "0g", "hexadecimal text: byte 2 is no digit from 0 to f");
    assert_text_error(hash_unhex, " 0", "hexadecimal text: byte 1 is no digit from 0 to f");
}

/* RFC 4648 section 10, and the two letters in which the alphabets differ. */
static void base64(void **state) {
    (void)state;
    static const struct {
        const char *plain;
        const char *standard;
        const char *url;
    } row[] = {{"", "", ""},
               {"f", "Zg==", "Zg"},
               {"fo", "Zm8=", "Zm8"},
               {"foo", "Zm9v", "Zm9v"},
               {"foob", "Zm9vYg==", "Zm9vYg"},
               {"fooba", "Zm9vYmE=", "Zm9vYmE"},
               {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
               {"\xfb\xef\xff", "++//", "--__"}};
    for (size_t i = 0; i < COUNT(row); i++) {
        for (int url = 0; url < 2; url++) {
            const char *text = url ? row[i].url : row[i].standard;
            buf out = BUF_INIT;
            buf back = BUF_INIT;
            err e;
            assert_int_equal(hash_base64(&out, row[i].plain, strlen(row[i].plain), url), 0);
            assert_string_equal(buf_str(&out), text);
            assert_int_equal(hash_unbase64(&back, text, strlen(text), url, &e), 0);
            assert_string_equal(buf_str(&back), row[i].plain);
            buf_free(&out);
            buf_free(&back);
        }
    }
}

static int read_standard(buf *out, const char *text, size_t n, err *e) {
    return hash_unbase64(out, text, n, false, e);
}

static int read_url(buf *out, const char *text, size_t n, err *e) {
    return hash_unbase64(out, text, n, true, e);
}

static void strict_base64(void **state) {
    (void)state;
    assert_text_error(read_standard, "Zg", "base64 text has 2 characters, not a multiple of 4");
    assert_text_error(read_standard, "Zh==", "base64 text ends in bits that belong to no byte");
    assert_text_error(read_standard, "Zm9=", "base64 text ends in bits that belong to no byte");
    assert_text_error(read_standard, "Z===", "base64 text: byte 2 is not of its alphabet");
    assert_text_error(read_standard, "Zg==Zg==", "base64 text: byte 3 is not of its alphabet");
    assert_text_error(read_standard, "Zm9v\nYg=", "base64 text: byte 5 is not of its alphabet");
    assert_text_error(read_standard, "--__", "base64 text: byte 1 is not of its alphabet");
    assert_text_error(read_url, "Zg==", "base64 text: byte 3 is not of its alphabet");
    assert_text_error(read_url, "++//", "base64 text: byte 1 is not of its alphabet");
    assert_text_error(read_url, "Zm9vY", "base64 text ends in the middle of a byte");
    buf out = BUF_INIT;
    err e;
    assert_int_equal(hash_unbase64(&out, "Zg\0=", 4, false, &e), -1);
    assert_string_equal(e.message, "base64 text: byte 3 is not of its alphabet");
    buf_free(&out);
}

static void spelled_both_ways(void **state) {
    (void)state;
    unsigned char bytes[70];
    err e;
    for (size_t n = 0; n <= sizeof bytes; n++) {
        assert_int_equal(hash_random(bytes, n, &e), 0);
        for (int kind = 0; kind < 3; kind++) {
            buf text = BUF_INIT;
            buf back = BUF_INIT;
            assert_int_equal(kind == 2 ? hash_hex(&text, bytes, n) : hash_base64(&text, bytes, n, kind), 0);
            assert_int_equal(kind == 2 ? hash_unhex(&back, buf_str(&text), text.len, &e)
                                       : hash_unbase64(&back, buf_str(&text), text.len, kind, &e),
                             0);
            assert_int_equal(back.len, n);
            assert_memory_equal(buf_str(&back), bytes, n);
            buf_free(&text);
            buf_free(&back);
        }
    }
}

static void no_room(void **state) {
    (void)state;
    buf out = {.limit = 3};
    err e;
    assert_int_equal(hash_hex(&out, "ab", 2), -1);
    buf_free(&out);
    assert_int_equal(hash_base64(&out, "ab", 2, false), -1);
    buf_free(&out);
    assert_int_equal(hash_unhex(&out, "6162636465", 10, &e), -1);
    assert_string_equal(e.code, "out_of_memory");
    buf_free(&out);
    assert_int_equal(hash_unbase64(&out, "Zm9vYmFy", 8, false, &e), -1);
    assert_string_equal(e.code, "out_of_memory");
    buf_free(&out);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("SHA-256 gives NIST's digests of short and long messages", nist),
        TEST("SHA-256 over parts gives FIPS 180-4's digest of a million letters", million),
        TEST("a message hashed in two parts has the same digest wherever it is cut", splits),
        TEST("HMAC-SHA-256 gives the MACs of RFC 4231", rfc4231),
        TEST("Ed25519 gives the keys and signatures of RFC 8032", rfc8032),
        TEST("a signature with any bit changed, of other bytes or by another key is not valid", changed_signatures),
        TEST("random bytes differ, and equality looks at every byte", randomness),
        TEST("hexadecimal text is read strictly in both cases", hexadecimal),
        TEST("base64 gives the texts of RFC 4648 in both alphabets", base64),
        TEST("base64 of another spelling is refused", strict_base64),
        TEST("any bytes come back from each spelling", spelled_both_ways),
        TEST("a full buffer is an error", no_room),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
