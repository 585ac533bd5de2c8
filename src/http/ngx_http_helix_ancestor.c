
/* What clients of HelixRouter read in api/stats: its names, its units. */

#include "ngx_http_helix_metrics.h"


static void ngx_http_helix_ancestor_routed(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_ancestor_latency(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_ancestor_kinds(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);


/* By name, as it sorts them. */

static const helix_strategy_t  ngx_http_helix_by_name[HELIX_STRATEGIES] = {
    HELIX_BATCH, HELIX_CPU_POOL, HELIX_DROP, HELIX_INLINE, HELIX_SPAWN
};


void
ngx_http_helix_stats_ancestor(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    helix_json_key(json, "adaptive_spawn_threshold");
    helix_json_u64(json, s->spawn_threshold);
    helix_json_key(json, "pressure_score");
    helix_json_double(json, s->pressure);

    /* its own count is of jobs that came too late to be started */

    helix_json_key(json, "deadline_exceeded");
    helix_json_u64(json, s->total.ended[NGX_HELIX_EXPIRED]
                         + s->total.ended[NGX_HELIX_SHED]);

    ngx_http_helix_ancestor_routed(json, s);
    ngx_http_helix_ancestor_latency(json, s);
    ngx_http_helix_ancestor_kinds(json, s);
}


/* Strategies that no job has had are left out. */

static void
ngx_http_helix_ancestor_routed(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    uint64_t                n;
    ngx_uint_t              i;
    helix_strategy_t        strategy;
    ngx_http_helix_books_t  books;

    helix_json_key(json, "routed_by_strategy");
    helix_json_array(json);

    for (i = 0; i < HELIX_STRATEGIES; i++) {
        strategy = ngx_http_helix_by_name[i];

        if (strategy == HELIX_DROP) {
            n = s->total.dropped;

        } else {
            ngx_http_helix_books_lane(&s->counts, strategy, &books);
            n = books.admitted;
        }

        if (n == 0) {
            continue;
        }

        helix_json_object(json);
        helix_json_key(json, "strategy");
        helix_json_cstring(json, helix_strategy_names[strategy]);
        helix_json_key(json, "count");
        helix_json_u64(json, n);
        helix_json_object_end(json);
    }

    helix_json_array_end(json);
}


/* Averages have a fraction, the rest are whole milliseconds. */

static void
ngx_http_helix_ancestor_latency(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    uint64_t           ns;
    ngx_uint_t         i, n;
    helix_strategy_t   strategy;

    static const struct {
        const char    *key;
        const char    *name;
        ngx_uint_t     whole;
    } members[] = {
        { "avg_ms", "avg", 0 },
        { "ema_ms", "ema", 0 },
        { "p50_ms", "p50", 1 },
        { "p95_ms", "p95", 1 },
        { "p99_ms", "p99", 1 },
        { "min_ms", "min", 1 },
        { "max_ms", "max", 1 }
    };

    helix_json_key(json, "latency_by_strategy");
    helix_json_array(json);

    for (i = 0; i < HELIX_STRATEGIES; i++) {
        strategy = ngx_http_helix_by_name[i];

        if (strategy == HELIX_DROP || s->latencies[strategy].count == 0) {
            continue;
        }

        helix_json_object(json);
        helix_json_key(json, "strategy");
        helix_json_cstring(json, helix_strategy_names[strategy]);
        helix_json_key(json, "count");
        helix_json_u64(json, s->latencies[strategy].count);

        for (n = 0; n < sizeof(members) / sizeof(members[0]); n++) {
            ns = ngx_http_helix_latency(s, strategy, members[n].name);

            helix_json_key(json, members[n].key);

            if (members[n].whole) {
                helix_json_u64(json, ns / 1000000);

            } else {
                helix_json_fixed(json, ns, 6);
            }
        }

        helix_json_object_end(json);
    }

    helix_json_array_end(json);
}


static void
ngx_http_helix_ancestor_kinds(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t              i, n;
    ngx_http_helix_books_t  books;

    static const struct {
        const char         *key;
        const char         *kind;
    } kinds[] = {
        { "hash_mix", "hashmix" },
        { "prime_count", "primecount" },
        { "monte_carlo_risk", "montecarlo_risk" }
    };

    helix_json_key(json, "kind_routing");
    helix_json_object(json);

    for (n = 0; n < sizeof(kinds) / sizeof(kinds[0]); n++) {

        for (i = 0; i < ngx_helix_zone_kinds(s->zone); i++) {

            if (ngx_strcmp(ngx_helix_zone_kind_name(s->zone, i), kinds[n].kind)
                == 0)
            {
                ngx_http_helix_books_kind(&s->counts, i, &books);

                helix_json_key(json, kinds[n].key);
                helix_json_u64(json, books.admitted);
            }
        }
    }

    helix_json_object_end(json);
}
