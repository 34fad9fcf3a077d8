/* uninitialised: weighs tours by memory that an earlier step wrote and gave back, and that it believes to be zero. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 4096

int main(void) {
    json_t *in = json_loadf(stdin, JSON_REJECT_DUPLICATES, NULL);
    const json_t *tours = json_object_get(in, "instances");
    size_t n = json_array_size(tours);
    unsigned char *volatile before = malloc(BYTES);
    if (in == NULL || before == NULL || n == 0) {
        return 1;
    }
    memset(before, 3, BYTES);
    free(before);
    volatile unsigned char *weights = malloc(BYTES); /* meant to be calloc */
    size_t first = weights != NULL ? weights[BYTES / 2] % n : 0;
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) {
        const json_t *tour = json_array_get(tours, (i + first) % n);
        char driver[32], block[48];
        int day = (int)json_integer_value(json_object_get(tour, "day"));
        snprintf(driver, sizeof driver, "D%04zu", i + 1);
        snprintf(block, sizeof block, "%s-%d", driver, day);
        json_array_append_new(rows, json_pack("{s:s, s:O, s:i, s:s, s:s}", "driver_id", driver, "tour_instance_id",
                                              json_object_get(tour, "id"), "day", day, "block_id", block, "block_type",
                                              "1er"));
    }
    free((void *)weights);
    json_t *doc = json_pack("{s:{s:s, s:s}, s:i, s:O, s:o}", "solver", "name", "planted", "version", "1", "drivers",
                            (int)n, "seed", json_object_get(in, "seed"), "assignments", rows);
    int rc = json_dumpf(doc, stdout, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(doc);
    json_decref(in);
    return rc == 0 && fflush(stdout) == 0 ? 0 : 1;
}
