#!/usr/bin/env perl

# What an administrator sees: variables, headers, logs, metrics, dry run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Helix;

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_pool heavy threads=1 concurrency=1 queue=2 busy=off;
    helix_batch size=2 delay=5ms;
    helix_kind hashmix max_cost=1000000000000;

    log_format record escape=none '$helix_json';
    log_format vars   '$uri result=$helix_result strategy=$helix_strategy '
                      'reason=$helix_reason kind=$helix_kind id=$helix_id '
                      'cost=$helix_cost scaling=$helix_scaling '
                      'budget=$helix_budget queue=$helix_queue_time '
                      'exec=$helix_exec_time time=$helix_time '
                      'batch=$helix_batch_size policy=$helix_policy '
                      'seen=$helix_job_pressure now=$helix_pressure';

    access_log %%DIR%%/logs/json.log record;
    access_log %%DIR%%/logs/vars.log vars;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs     { helix_pass; }
        location /pin      { helix_pass; helix_job strategy=$arg_s; }
        location /off      { helix_pass; helix_headers off; }
        location /timing   { helix_pass; helix_headers timing;
                             helix_job strategy=$arg_s; }
        location /dry      { helix_pass; helix_dry_run on;
                             helix_job strategy=$arg_s; }
        location /loud     { helix_pass; helix_log_level error;
                             helix_job strategy=drop; }
        location /quick    { helix_pass; helix_timeout 50ms;
                             helix_job strategy=cpu_pool; }
        location /fallback { helix_pass; helix_job strategy=drop;
                             error_page 503 = @fallback; }
        location @fallback { return 200 "fallback\n"; }
        location = /plain  { return 200 "$helix_result|$helix_json|$helix_pressure\n";
                             access_log off; }
        location = /scrape { helix_status prometheus; access_log off; }
        location /helix    { helix_status; access_log off; }
    }
}
END

$t->start;

# one record a request, in the order of their ends

my $json = JSON::PP->new->allow_bignum;
my $seen = 0;

sub records {
    my ($file, $n) = @_;

    my @lines;

    $t->wait_for(sub {
        @lines = split(/\n/, $t->read("logs/$file"));
        return @lines >= $n;
    }, "$n lines in $file");

    return @lines;
}

sub last_vars {
    my $line = (records('vars.log', ++$seen))[-1];

    return { map { /^(\w+)=(.*)$/s ? ($1, $2) : () } split(/ /, $line) };
}

sub last_json {
    return $json->decode((records('json.log', $seen))[-1]);
}

# variables

my $number = qr/^\d+\.\d{6}$/;

for my $s (qw(inline spawn cpu_pool)) {
    is($t->get("/pin?s=$s&kind=HashMix&id=18446744073709551615&cost=70000"
               . '&scaling=0.25&budget_ms=1500')->status, 200, $s);

    my $v = last_vars();

    is($v->{result}, 'COMPLETED', "$s: result");
    is($v->{strategy}, $s, "$s: strategy");
    is($v->{reason}, 'pinned', "$s: reason");
    is($v->{policy}, 'pinned', "$s: policy");
    is($v->{kind}, 'hashmix', "$s: kind");
    is($v->{id}, '18446744073709551615', "$s: id");
    is($v->{cost}, 70000, "$s: cost");
    is($v->{scaling}, '0.25', "$s: scaling");
    is($v->{budget}, '1.500000', "$s: budget");
    like($v->{$_}, $number, "$s: $_ time") for qw(queue exec time);
    cmp_ok($v->{time}, '>=', $v->{exec}, "$s: the whole is more");
    is($v->{batch}, '-', "$s: no batch");
    like($v->{seen}, qr/^[01]\.\d{3}$/, "$s: pressure seen");

    my $j = last_json();

    is("$j->{id}", '18446744073709551615', "$s: id in the record");
    is($j->{result}, 'COMPLETED', "$s: result in the record");
    like($j->{t}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, "$s: time");
}

$t->get('/pin?s=batch&kind=hashmix');
is(last_vars()->{batch}, 1, 'a batch of one');

$t->get('/jobs?kind=hashmix&cost=100');

my $v = last_vars();

is("$v->{strategy} $v->{reason} $v->{policy}", 'inline cheap threshold',
   'decided by the policy');

$t->get('/jobs?kind=nothing');
$v = last_vars();
is("$v->{result} $v->{strategy} $v->{kind}", 'INVALID - -', 'invalid');
is(last_json()->{code}, 'UnknownKind', 'invalid: code in the record');

$t->get('/pin?s=drop&kind=hashmix');
$v = last_vars();
is("$v->{result} $v->{strategy} $v->{reason} $v->{time}",
   'REJECTED drop pinned -', 'rejected');

is($t->get('/quick?kind=hashmix&cost=100000000000')->status, 504, 'expired');
is(last_vars()->{result}, 'EXPIRED', 'expired: result');

is($t->get('/fallback?kind=hashmix')->body, "fallback\n", 'error_page');
$v = last_vars();
is("$v->{result} $v->{reason}", 'REJECTED pinned',
   'known after the redirect to error_page');

my $c = $t->connect;

$c->send(Helix::message('GET', '/pin?s=cpu_pool&kind=hashmix&cost=100000000000'));
$t->wait_for(sub { $t->stats->{in_flight} == 1 }, 'the job runs');
$c->rst;
is(last_vars()->{result}, 'CANCELED', 'a client that left');

my $plain = $t->get('/plain')->body;
like($plain, qr/^\|null\|[01]\.\d{3}$/, 'other requests');

for my $line (split(/\n/, $t->read('logs/json.log'))) {
    ok(defined eval { JSON::PP->new->allow_nonref->decode($line); 1 },
       'valid JSON') or diag($line);
}

# headers

my $r = $t->get('/off?kind=hashmix');

is($r->status, 200, 'headers off');
is($r->header('X-Helix-Job'), undef, 'off: no job');
is($r->header('X-Helix-Strategy'), undef, 'off: no strategy');
is($r->header('Cache-Control'), 'no-store', 'off: not to be stored');

$r = $t->get('/jobs?kind=hashmix&id=7');
is($r->header('X-Helix-Job'), 7, 'basic: job');
is($r->header('X-Helix-Strategy'), 'inline', 'basic: strategy');
is($r->header('X-Helix-Reason'), undef, 'basic: reason only of rejections');
is($r->header('Server-Timing'), undef, 'basic: no timing');

$r = $t->get('/timing?s=spawn&kind=hashmix');
is($r->header('X-Helix-Reason'), 'pinned', 'timing: reason');
like($r->header('Server-Timing'),
     qr/^queue;dur=\d+\.\d{3}, exec;dur=\d+\.\d{3};desc="hashmix", helix;desc="spawn pinned"$/,
     'timing: Server-Timing');

$r = $t->get('/timing?s=drop&kind=hashmix');
is($r->header('Server-Timing'), undef, 'timing: a dropped job took none');

# rejections are logged once a second, with the number left out

$t->wait_for(sub {
    $t->get('/loud?kind=hashmix');
    return $t->read('logs/error.log')
           =~ /\[error\].*job rejected.*\(\+[1-9]\d* not logged\)/;
}, 'the number left out');

my @lines = $t->read('logs/error.log') =~ /(helix: job rejected.*)/g;

cmp_ok(scalar(@lines), '<', $t->stats->{dropped}, 'not a line for each');
like($lines[-1],
     qr/reason "pinned", kind hashmix, pressure \d\.\d\d, busy 0\/1/,
     'what the line says');

# dry run

my $dry = $t->stats->{dry_run};

$r = $t->get('/dry?s=drop&kind=hashmix');
is($r->status, 200, 'dry run: answered');
is($r->json->{strategy}, 'cpu_pool', 'dry run: by the pool');
is($t->stats->{dry_run}, $dry + 1, 'dry run: counted');

$t->wait_for(sub {
    $t->get('/dry?s=drop&kind=hashmix');
    return $t->read('logs/error.log') =~ /job rejected \(dry run\)/;
}, 'dry run: logged');

like($t->read('logs/vars.log'), qr/result=REJECTED_DRY_RUN/,
     'dry run: result');

my @busy = map { $t->connect } 1 .. 3;

for my $n (1 .. 3) {
    $busy[$n - 1]->send(Helix::message('GET', '/pin?s=cpu_pool&kind=hashmix'
                                              . '&cost=300000000000'));

    # the first one has to leave the queue for the thread

    $t->wait_for(sub {
        my $s = $t->stats;
        return $s->{strategies}{cpu_pool}{in_flight} == $n
               && $s->{pool}{busy} == 1;
    }, "job $n is there");
}

$r = $t->get('/dry?s=drop&kind=hashmix');
is($r->status, 503, 'dry run: a full queue holds');
is($r->json->{reason}, 'queue_full', 'dry run: the reason');

$_->rst for @busy;
$t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'the queue is empty');

# the same numbers in every format

my $stats = $t->stats;
my $metrics = $t->get('/helix/metrics');

is($metrics->header('Content-Type'),
   'text/plain; version=0.0.4; charset=utf-8', 'metrics: type');

my %m;

for (split(/\n/, $metrics->body)) {
    $m{$1} = $2 if /^([^#].*) (\S+)$/;
}

my @metrics = qw(completed failed expired cancelled shed lost late admitted);

for my $s (qw(inline spawn cpu_pool batch)) {
    for my $name (@metrics) {
        is($m{"helix_${name}_total{zone=\"helix\",strategy=\"$s\"}"},
           $stats->{strategies}{$s}{$name}, "$s $name in both");
    }

    is($m{"helix_job_duration_seconds_count{zone=\"helix\",strategy=\"$s\"}"},
       $stats->{strategies}{$s}{latency_ms}{count}, "$s: histogram");
    is($m{"helix_job_duration_seconds_bucket{zone=\"helix\",strategy=\"$s\",le=\"+Inf\"}"},
       $stats->{strategies}{$s}{latency_ms}{count}, "$s: last bucket");
}

for my $k (qw(hashmix primecount montecarlo_risk)) {
    is($m{"helix_${_}_total{zone=\"helix\",kind=\"$k\"}"},
       $stats->{kinds}{$k}{$_}, "$k $_ in both")
        for qw(received invalid dropped);
}

my $text = $t->get('/helix')->body;

for my $s (qw(inline spawn cpu_pool batch)) {
    like($text, qr/^$s\s+$stats->{strategies}{$s}{admitted}\s/m,
         "$s in the text");
}

cmp_ok(scalar(grep { !/^#/ } split(/\n/, $metrics->body)), '<=', 300,
       'at most 300 series');

is($t->get('/scrape')->status, 200, 'prometheus alone');
unlike($t->get('/scrape')->body, qr/\{"api"/, 'nothing else there');

SKIP: {
    my $promtool = (grep { -x } map { "$_/promtool" }
                    qw(/usr/bin /usr/local/bin))[0];

    skip 'no promtool', 1 if !$promtool;

    $t->write('metrics', $metrics->body);

    my $file = $t->dir . '/metrics';
    my $out = `$promtool check metrics < $file 2>&1`;

    is($?, 0, 'promtool') or diag($out);
}
