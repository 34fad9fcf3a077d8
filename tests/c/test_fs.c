/* Files and trees: what is written is whole, what is removed is inside, and every failure is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, enter, leave, NULL }

static char top[64]; /* a fresh directory, which is also the working directory of each test */

static int enter(void **state) {
    (void)state;
    strcpy(top, "/tmp/ge-fs-XXXXXX");
    umask(022);
    return mkdtemp(top) != NULL && chdir(top) == 0 ? 0 : -1;
}

static int leave(void **state) {
    (void)state;
    err e;
    if (chdir("/") != 0 || fs_remove_tree(top, &e) != 0) {
        fprintf(stderr, "%s\n", e.message);
        return -1;
    }
    return fs_exists(top) ? -1 : 0;
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    close(fd);
}

static void assert_content(const char *path, const char *expected) {
    buf out = BUF_INIT;
    err e;
    if (fs_read(path, 1000, &out, &e) != 0) {
        fail_msg("%s", e.message);
    }
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static int entries(const char *command) {
    FILE *p = popen(command, "r");
    assert_non_null(p);
    int n = 0;
    for (int c; (c = fgetc(p)) != EOF;) {
        n += c == '\n';
    }
    pclose(p);
    return n;
}

static void assert_unreadable(const char *path, size_t max, const char *code, const char *message) {
    buf out = BUF_INIT;
    err e;
    buf_puts(&out, "before");
    assert_int_equal(fs_read(path, max, &out, &e), -1);
    assert_string_equal(e.code, code);
    assert_string_equal(e.message, message);
    assert_string_equal(buf_str(&out), "before");
    assert_int_equal(out.len, 6);
    buf_free(&out);
}

static void reading(void **state) {
    (void)state;
    buf out = BUF_INIT;
    err e;
    put("a", "12345");
    buf_puts(&out, "0");
    assert_int_equal(fs_read("a", 5, &out, &e), 0);
    assert_string_equal(buf_str(&out), "012345");
    buf_free(&out);
    put("empty", "");
    assert_int_equal(fs_read("empty", 0, &out, &e), 0);
    assert_string_equal(buf_str(&out), "");
    buf_free(&out);
    assert_unreadable("a", 4, "file_too_large", "a has 5 bytes; at most 4 are read");
    assert_unreadable("none", 4, "file_not_found", "none cannot be opened: No such file or directory");
    assert_unreadable("a/b", 4, "file_not_found", "a/b cannot be opened: Not a directory");
    assert_unreadable(".", 4, "file_type", ". is a directory, not a regular file");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_unreadable("pipe", 4, "file_type",
                      "pipe is special, not a regular file"); /* and does not wait for a writer */
    assert_unreadable("/dev/zero", 4, "file_type", "/dev/zero is special, not a regular file");
    /* Says it is empty and is not: the bound holds while reading too. */
    assert_unreadable("/proc/self/status", 10, "file_too_large",
                      "/proc/self/status has more than 10 bytes, the most that is read");
}

static void full_buffer(void **state) {
    (void)state;
    put("a", "12345");
    buf out = {.limit = 3};
    err e;
    assert_int_equal(fs_read("a", 100, &out, &e), -1);
    assert_string_equal(e.code, "out_of_memory");
    buf_free(&out);
}

static void writing(void **state) {
    (void)state;
    err e;
    assert_int_equal(fs_write_atomic("new", "one", 3, 0640, &e), 0);
    assert_content("new", "one");
    assert_int_equal(mode_of("new"), 0640);
    assert_int_equal(fs_write_atomic("new", "two", 3, 0666, &e), 0);
    assert_content("new", "two");
    assert_int_equal(mode_of("new"), 0644); /* through the umask, as open's */
    assert_int_equal(entries("ls -A"), 1);  /* nothing temporary is left */
    assert_int_equal(fs_write_atomic("none/file", "x", 1, 0644, &e), -1);
    assert_string_equal(e.code, "file_write");
    assert_string_equal(e.message, "none/file: no file can be made in its directory: No such file or directory");
    assert_int_equal(fs_write_atomic(".", "x", 1, 0644, &e), -1);
    assert_string_equal(e.code, "file_type");
    assert_string_equal(e.message, ". is a directory, not a file");
}

static void writing_through(void **state) {
    (void)state;
    err e;
    assert_int_equal(mkdir("dir", 0755), 0);
    put("dir/real", "old");
    assert_int_equal(symlink("dir/real", "link"), 0);
    assert_int_equal(fs_write_atomic("link", "new", 3, 0644, &e), 0);
    assert_content("dir/real", "new");
    struct stat st;
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(fs_write_atomic("/dev/null", "new", 3, 0644, &e), 0);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(fs_write_atomic("/dev/full", "new", 3, 0644, &e), -1);
    assert_string_equal(e.message, "/dev/full cannot be written: No space left on device");
}

static void no_space(void **state) {
    (void)state;
    /* In a child, since a lowered limit cannot be raised again: a file that may not grow fails like a full disk. */
    put("file", "old");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit small = {1000, 1000};
        char *much = calloc(1, 1 << 20);
        err e = {0};
        signal(SIGXFSZ, SIG_IGN);
        int ok = much != NULL && setrlimit(RLIMIT_FSIZE, &small) == 0 &&
                 fs_write_atomic("file", much, 1 << 20, 0644, &e) == -1 &&
                 strcmp(e.message, "file cannot be written: File too large") == 0;
        free(much);
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_content("file", "old");
    assert_int_equal(entries("ls -A"), 1);
}

static void directories(void **state) {
    (void)state;
    err e;
    assert_int_equal(fs_mkdirs("a/b//c/", 0700, &e), 0);
    assert_true(fs_is_dir("a/b/c"));
    assert_int_equal(mode_of("a/b"), 0700);
    assert_int_equal(fs_mkdirs("a/b/c", 0700, &e), 0);
    assert_int_equal(fs_mkdirs("/", 0700, &e), 0);
    put("file", "");
    assert_int_equal(fs_mkdirs("file/x", 0700, &e), -1);
    assert_string_equal(e.code, "dir_create");
    assert_string_equal(e.message, "file/x: the directory file cannot be made: Not a directory");
    assert_int_equal(fs_mkdirs("", 0700, &e), -1);
    assert_string_equal(e.message, "a directory's path is empty or too long: \"\"");
}

static void removing(void **state) {
    (void)state;
    err e;
    assert_int_equal(fs_mkdirs("tree/a/b", 0755, &e), 0);
    assert_int_equal(fs_mkdirs("outside", 0755, &e), 0);
    put("outside/kept", "kept");
    put("tree/a/b/file", "x");
    put("tree/.hidden", "x");
    assert_int_equal(symlink("../../outside", "tree/a/link"), 0);
    assert_int_equal(symlink("/nowhere", "tree/dangling"), 0);
    assert_int_equal(mkfifo("tree/pipe", 0600), 0);
    assert_int_equal(fs_remove_tree("tree", &e), 0);
    assert_false(fs_exists("tree"));
    assert_content("outside/kept", "kept");
    assert_int_equal(fs_remove_tree("tree", &e), 0); /* what is not there is fine */
    assert_int_equal(symlink("outside", "link"), 0);
    assert_int_equal(fs_remove_tree("link", &e), 0); /* the link, not what it points to */
    assert_content("outside/kept", "kept");
    put("plain", "x");
    assert_int_equal(fs_remove_tree("plain", &e), 0);
    assert_int_equal(entries("ls -A"), 1);
}

static void copying(void **state) {
    (void)state;
    err e;
    assert_int_equal(fs_mkdirs("from/sub/empty", 0755, &e), 0);
    put("from/file", "content");
    put("from/sub/script", "#!");
    put("from/none", "");
    assert_int_equal(chmod("from/sub/script", 04755), 0);
    assert_int_equal(chmod("from/file", 0600), 0);
    assert_int_equal(symlink("file", "from/link"), 0);
    assert_int_equal(symlink("/nowhere", "from/sub/dangling"), 0);
    assert_int_equal(chmod("from/sub", 0500), 0); /* copied into before it is closed */
    assert_int_equal(fs_copy_tree("from", "to", &e), 0);
    assert_content("to/file", "content");
    assert_content("to/none", "");
    assert_content("to/link", "content");
    assert_int_equal(mode_of("to/file"), 0600);
    assert_int_equal(mode_of("to/sub"), 0500);
    assert_int_equal(mode_of("to/sub/script"), 04755);
    char target[32] = {0};
    assert_int_equal(readlink("to/sub/dangling", target, sizeof target - 1), 8);
    assert_string_equal(target, "/nowhere");
    assert_true(fs_is_dir("to/sub/empty"));
    assert_int_equal(entries("diff -r --no-dereference from to"), 0);
    chmod("from/sub", 0700);
    chmod("to/sub", 0700);
}

static void copying_what_cannot_be(void **state) {
    (void)state;
    err e;
    assert_int_equal(fs_mkdirs("from/sub", 0755, &e), 0);
    assert_int_equal(fs_copy_tree("none", "to", &e), -1);
    assert_string_equal(e.code, "file_copy");
    assert_string_equal(e.message, "none: \"none\" cannot be copied: No such file or directory");
    assert_int_equal(mkdir("to", 0755), 0);
    put("from/a", "new");
    put("to/a", "old");
    assert_int_equal(fs_copy_tree("from", "to", &e), -1);
    assert_string_equal(e.message, "from: \"a\" cannot be copied: File exists");
    assert_content("to/a", "old");
    assert_int_equal(unlink("from/a"), 0);
    assert_int_equal(mkfifo("from/sub/pipe", 0600), 0);
    assert_int_equal(fs_copy_tree("from", "to2", &e), -1);
    assert_string_equal(e.message, "from: \"pipe\" is neither file, directory nor symbolic link");
}

static void deep_trees(void **state) {
    (void)state;
    err e;
    int depth = 0;
    assert_int_equal(mkdir("deep", 0755), 0);
    assert_int_equal(chdir("deep"), 0);
    for (; depth < 300; depth++) {
        assert_int_equal(mkdir("d", 0755), 0);
        assert_int_equal(chdir("d"), 0);
    }
    assert_int_equal(chdir(top), 0);
    assert_int_equal(fs_copy_tree("deep", "copy", &e), -1);
    assert_string_equal(e.message, "deep is nested deeper than 256 directories");
    assert_int_equal(fs_remove_tree("copy", &e), 0);
    assert_int_equal(fs_remove_tree("deep", &e), -1);
    assert_string_equal(e.message, "deep is nested deeper than 256 directories");
    assert_int_equal(entries("rm -r deep"), 0);
}

static void joining(void **state) {
    (void)state;
    static const char *const row[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"},
                                         {"", "b", "b"},    {"a", "/b", "/b"},  {"a", "", "a/"}};
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char *joined = fs_join(row[i][0], row[i][1]);
        assert_string_equal(joined, row[i][2]);
        free(joined);
    }
    assert_true(fs_exists("/") && fs_is_dir("/"));
    assert_false(fs_exists("none") || fs_is_dir("none"));
    put("file", "");
    assert_true(fs_exists("file"));
    assert_false(fs_is_dir("file"));
}

static void slow_reader(void **state) {
    (void)state;
    int fd[2];
    assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fd[0]);
        char *much = calloc(1, 500000);
        _exit(much != NULL && fs_write_all(fd[1], much, 500000) == 0 ? 0 : 1);
    }
    close(fd[1]);
    fcntl(fd[0], F_SETFL, 0);
    char chunk[4096];
    size_t total = 0;
    for (ssize_t k; (k = read(fd[0], chunk, sizeof chunk)) > 0;) {
        total += (size_t)k;
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(total, 500000);
    close(fd[0]);
}

static void links_that_lead_out(void **state) {
    (void)state;
    err e;
    assert_int_equal(fs_mkdirs("a/in", 0755, &e), 0);
    assert_int_equal(fs_mkdirs("ab", 0755, &e), 0);
    put("a/in/file", "x");
    put("ab/file", "x");
    assert_int_equal(symlink("in/file", "a/inner"), 0);
    assert_int_equal(symlink("../ab/file", "a/sibling"), 0);
    assert_int_equal(symlink("/etc/passwd", "a/passwd"), 0);
    assert_int_equal(symlink("/nowhere", "a/nowhere"), 0);
    assert_int_equal(symlink("sibling", "a/twice"), 0);
    assert_int_equal(symlink("../ab", "a/dir"), 0);
    assert_false(fs_leads_out("a/in/file"));
    assert_false(fs_leads_out("a/inner"));
    assert_true(fs_leads_out("a/sibling"));
    assert_true(fs_leads_out("a/passwd"));
    assert_true(fs_leads_out("a/nowhere"));
    assert_true(fs_leads_out("a/twice"));
    assert_true(fs_leads_out("a/dir"));
    assert_true(fs_is_beneath("a", "a/in/file"));
    assert_true(fs_is_beneath("/", "a/in/file"));
    assert_false(fs_is_beneath("a", "a/dir/file"));
    assert_false(fs_is_beneath("a", "a"));
    assert_true(fs_is_file("a/inner"));
    assert_false(fs_is_file("a/dir"));
    assert_false(fs_is_file("/dev/null"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("a regular file within the bound is read, anything else is refused by name", reading),
        TEST("a full buffer is an error", full_buffer),
        TEST("a file is replaced whole, with its mode, and nothing temporary is left", writing),
        TEST("links are followed and devices stay devices", writing_through),
        TEST("a write that fails leaves the old file and no other", no_space),
        TEST("missing directories are made", directories),
        TEST("a tree is removed and nothing that its links point to", removing),
        TEST("a copied tree is the same, modes and links included", copying),
        TEST("what is no tree, or stands in the way, is an error", copying_what_cannot_be),
        TEST("a tree deeper than 256 directories is refused", deep_trees),
        TEST("paths are joined and looked at", joining),
        TEST("a link out of its directory is told from one within", links_that_lead_out),
        TEST("all bytes go through a pipe that does not block", slow_reader),
    };
    return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}
