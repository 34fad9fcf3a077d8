/* thread_race: threads take tours from one queue, and drivers are numbered in the order in which they are through. */
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4

typedef struct work {
    json_t *tours, *rows;
    size_t n;
    _Atomic size_t next;
    pthread_mutex_t lock;
} work;

/* Stands for the evaluation of a tour. */
static unsigned long long busy(size_t tour) {
    unsigned long long x = tour + 1;
    for (int i = 0; i < 20000; i++) {
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    }
    return x;
}

static void *serve(void *arg) {
    work *w = arg;
    for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n;) {
        volatile unsigned long long kept = busy(i);
        (void)kept;
        const json_t *tour = json_array_get(w->tours, i);
        char driver[32], block[48];
        int day = (int)json_integer_value(json_object_get(tour, "day"));
        pthread_mutex_lock(&w->lock);
        snprintf(driver, sizeof driver, "D%04zu", json_array_size(w->rows) + 1);
        snprintf(block, sizeof block, "%s-%d", driver, day);
        json_array_append_new(w->rows, json_pack("{s:s, s:O, s:i, s:s, s:s}", "driver_id", driver, "tour_instance_id",
                                                 json_object_get(tour, "id"), "day", day, "block_id", block,
                                                 "block_type", "1er"));
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

int main(void) {
    json_t *in = json_loadf(stdin, JSON_REJECT_DUPLICATES, NULL);
    work w = {.tours = json_object_get(in, "instances"), .rows = json_array(), .lock = PTHREAD_MUTEX_INITIALIZER};
    w.n = json_array_size(w.tours);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, serve, &w) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    json_t *doc = json_pack("{s:{s:s, s:s}, s:i, s:O, s:o}", "solver", "name", "planted", "version", "1", "drivers",
                            (int)w.n, "seed", json_object_get(in, "seed"), "assignments", w.rows);
    int rc = json_dumpf(doc, stdout, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(doc);
    json_decref(in);
    return rc == 0 && fflush(stdout) == 0 ? 0 : 1;
}
