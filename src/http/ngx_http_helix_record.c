
/* What the ring is told of a decision, and what its readers are told. */

#include "ngx_http_helix_metrics.h"
#include "ngx_http_helix_stream.h"


static const char *ngx_http_helix_record_result(
    const ngx_helix_record_t *record);
static void ngx_http_helix_record_ms(helix_json_writer_t *json,
    const char *key, uint64_t us);


void
ngx_http_helix_note(ngx_http_helix_ctx_t *ctx)
{
    uint64_t             finish;
    ngx_helix_record_t  *record;

    record = &ctx->spec.record;

    record->id = ctx->id;
    record->cost = ctx->routed;
    record->budget = ctx->budget;
    record->scaling = ctx->scaling;
    record->busy = ctx->busy;
    record->waiting = (uint32_t) ngx_helix_exec_waiting(ctx->hmcf->exec,
                                                ctx->decision.strategy);
    record->pressure = (float) ctx->pressure;
    record->kind = ctx->kind->index;
    record->strategy = ctx->decision.strategy;
    record->reason = ctx->decision.reason;
    record->source = ctx->source;
    record->flags = (ctx->result == NGX_HTTP_HELIX_REJECTED_DRY_RUN)
                    ? NGX_HELIX_DRY_RUN : 0;

    finish = (ctx->decision.strategy < HELIX_DROP)
             ? ctx->verdict.finish[ctx->decision.strategy] : 0;

    if (finish) {
        record->flags |= NGX_HELIX_PREDICTED;
        record->predicted = finish / 1000;
    }
}


/* First what $helix_json has, then the names of HelixRouter's clients. */

void
ngx_http_helix_write_decision(helix_json_writer_t *json,
    ngx_helix_zone_t *zone, ngx_uint_t ring, uint64_t seq,
    const ngx_helix_record_t *record)
{
    const char  *kind, *strategy;

    kind = ngx_helix_zone_kind_name(zone, record->kind);
    strategy = helix_strategy_names[record->strategy];

    helix_json_object(json);

    helix_json_key(json, "seq");
    helix_json_u64(json, seq);
    helix_json_key(json, "w");
    helix_json_u64(json, ring);
    helix_json_key(json, "t");
    helix_json_fixed(json, record->time, 6);
    helix_json_key(json, "id");
    helix_json_u64(json, record->id);
    helix_json_key(json, "kind");
    helix_json_cstring(json, kind);
    helix_json_key(json, "cost");
    helix_json_u64(json, record->cost);
    helix_json_key(json, "scaling");
    helix_json_double(json, record->scaling);

    if (record->budget) {
        helix_json_key(json, "budget_ms");
        helix_json_u64(json, record->budget);
    }

    helix_json_key(json, "strategy");
    helix_json_cstring(json, strategy);
    helix_json_key(json, "reason");
    helix_json_cstring(json, helix_reason_names[record->reason]);
    helix_json_key(json, "policy");
    helix_json_cstring(json, helix_source_names[record->source]);
    helix_json_key(json, "pressure");
    helix_json_fixed(json, (uint64_t) (record->pressure * 1000 + 0.5F), 3);
    helix_json_key(json, "busy");
    helix_json_u64(json, record->busy);
    helix_json_key(json, "waiting");
    helix_json_u64(json, record->waiting);

    if (record->flags & NGX_HELIX_PREDICTED) {
        ngx_http_helix_record_ms(json, "predicted_ms", record->predicted);
    }

    helix_json_key(json, "job_id");
    helix_json_u64(json, record->id);
    helix_json_key(json, "compute_cost");
    helix_json_u64(json, record->cost);
    helix_json_key(json, "cpu_busy");
    helix_json_u64(json, record->busy);
    helix_json_key(json, "decision_source");
    helix_json_cstring(json, (record->strategy == HELIX_DROP) ? "drop"
                                                              : "heuristic");

    helix_json_object_end(json);
}


void
ngx_http_helix_write_done(helix_json_writer_t *json,
    ngx_http_helix_main_conf_t *hmcf, ngx_uint_t ring, uint64_t seq,
    const ngx_helix_record_t *record)
{
    ngx_uint_t   truncated;
    const char  *level;

    helix_json_object(json);

    helix_json_key(json, "seq");
    helix_json_u64(json, seq);
    helix_json_key(json, "w");
    helix_json_u64(json, ring);
    helix_json_key(json, "decision");
    helix_json_u64(json, (record->flags & NGX_HELIX_DECISION)
                         ? seq : record->decision);
    helix_json_key(json, "id");
    helix_json_u64(json, record->id);
    helix_json_key(json, "result");
    helix_json_cstring(json, ngx_http_helix_record_result(record));

    ngx_http_helix_record_ms(json, "queue_ms", record->queue);
    ngx_http_helix_record_ms(json, "exec_ms", record->exec);
    ngx_http_helix_record_ms(json, "total_ms", record->total);

    helix_json_key(json, "late");
    helix_json_bool(json, record->flags & NGX_HELIX_LATE);

    truncated = record->flags & NGX_HELIX_TRUNCATED;

    if (truncated || record->level) {
        level = ngx_http_helix_level_name(hmcf, record->kind,
                                          truncated ? 0 : record->level);

        helix_json_key(json, "level");
        helix_json_cstring(json, level ? level : "");
        helix_json_key(json, "quality");
        helix_json_fixed(json, (uint64_t) (record->quality * 1e6F + 0.5F), 6);
    }

    if (record->batch) {
        helix_json_key(json, "batch_size");
        helix_json_u64(json, record->batch);
    }

    helix_json_object_end(json);
}


/* As $helix_result says it. */

static const char *
ngx_http_helix_record_result(const ngx_helix_record_t *record)
{
    if (record->strategy == HELIX_DROP) {
        return "REJECTED";
    }

    switch (record->end) {

    case NGX_HELIX_COMPLETED:
        return (record->flags & NGX_HELIX_DRY_RUN) ? "REJECTED_DRY_RUN"
                                                   : "COMPLETED";
    case NGX_HELIX_FAILED:
        return "FAILED";

    case NGX_HELIX_EXPIRED:
        return "EXPIRED";

    case NGX_HELIX_SHED:
        return "REJECTED";

    default: /* NGX_HELIX_CANCELLED */
        return "CANCELED";
    }
}


static void
ngx_http_helix_record_ms(helix_json_writer_t *json, const char *key,
    uint64_t us)
{
    helix_json_key(json, key);
    helix_json_fixed(json, us, 3);
}
