#!/usr/bin/env perl

# The status location: its paths and formats, and that they tell what the
# client knows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_zone history;
    helix_batch size=4 delay=1ms;
    helix_pool compute threads=2 concurrency=1 busy=off;
    helix_adapt on alpha=1;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
            helix_job strategy=$arg_s;
        }

        location /late {
            helix_pass;
            helix_job budget=1ms strategy=$arg_s cost=200000000;
        }

        location /slow {
            helix_pass hashmix;
            helix_timeout 10ms;
            helix_job strategy=$arg_s cost=20000000000;
        }

        location /helix {
            helix_status;
        }

        location /tree/ {
            helix_status;
        }

        location = /status {
            helix_status json;
        }

        location = /text {
            helix_status text;
        }

        location = /health {
            helix_status health;
        }
    }
}
END

$t->start;

my @ends = qw(completed failed expired cancelled shed lost);
my @books = ('admitted', @ends, 'in_flight', 'late');
my @lanes = qw(inline spawn cpu_pool batch);
my @kinds = qw(hashmix primecount montecarlo_risk);


# paths and formats

sub form {
    my ($r) = @_;

    return $r->status if $r->status != 200;

    my $type = $r->header('Content-Type') // '';

    return $type eq 'text/html; charset=utf-8' && $r->body =~ /\A<!doctype html>/
               ? 'html'
           : $type eq 'text/plain' && $r->body =~ /\Ahelix: / ? 'text'
           : $type eq 'application/json' && $r->json->{api} ? 'json'
           : $type eq 'application/json' && $r->json->{status} ? 'health'
           : "$type " . $r->body;
}

my $json = 'application/json';
my $browser = 'text/html,application/xhtml+xml,*/*;q=0.8';

for (['/helix', undef, 'text'], ['/helix', '*/*', 'text'],
     ['/helix/', "text/html;q=0, $json", 'json'],
     ['/helix/', "text/html;q=0.1, $json;q=0.2", 'json'],
     ['/helix/', "$json;q=0.2,text/html ; q=0.3", 'html'],
     ['/helix/', "$json, text/html", 'json'],
     ['/helix/', 'text/html;q=0', 'text'], ['/helix/', 'text/htmlx', 'text'],
     ['/helix/', 'text/*, text/html;q=0.9', 'text'],
     ['/helix', $browser, 301], ['/helix/', $browser, 'html'],
     ['/tree/', $browser, 'html'], ['/helix/', 'Text/HTML', 'html'],
     ['/text', $browser, 'text'], ['/status', $browser, 'json'],
     ['/helix/health', $browser, 'health'],
     ['/helix/api/stats', $browser, 'json'],
     ['/helix', $json, 'json'], ['/helix', "text/plain;q=0.5, $json", 'json'],
     ['/helix', 'Application/JSON', 'json'], ['/helix?a=b', undef, 'text'],
     ['/helix/', undef, 'text'], ['/helix/', $json, 'json'],
     ['/helix/api/stats', undef, 'json'], ['/helix/api/stats?x', '*/*', 'json'],
     ['/helix/health', undef, 'health'], ['/helix/health', $json, 'health'],
     ['/helix/health?ready=1', undef, 'health'],
     ['/helix//health', undef, 'health'], ['/helix/./health', undef, 'health'],
     ['/tree/', undef, 'text'], ['/tree/', $json, 'json'],
     ['/tree/api/stats', undef, 'json'], ['/tree/health', undef, 'health'],
     ['/status', undef, 'json'], ['/status', 'text/plain', 'json'],
     ['/text', undef, 'text'], ['/text', $json, 'text'],
     ['/health', undef, 'health'],
     ['/helix/nothing', undef, 404], ['/helix/api', undef, 404],
     ['/helix/api/', undef, 404], ['/helix/api/explain', undef, 405],
     ['/tree/api/explain', undef, 405], ['/helix/api/explain/', undef, 404], ['/helix/api/stats/', undef, 404],
     ['/helix/healthy', undef, 404], ['/helix/heal', undef, 404],
     ['/helixir', undef, 404], ['/helix/HEALTH', undef, 404],
     ['/tree/nothing', undef, 404], ['/status/health', undef, 404])
{
    my ($path, $accept, $want) = @$_;
    my @headers = defined $accept ? (Accept => $accept) : ();
    my $name = $path . (defined $accept ? " for $accept" : '');

    my $r = $t->get($path, @headers);

    is(form($r), $want, $name);
    is($r->header('Cache-Control'), 'no-store', "$name, no-store")
        if $want ne '404';

    my $h = $t->request('HEAD', $path, undef, @headers);

    is($h->status, $r->status, "$name, HEAD");
    is($h->header('Content-Type'), $r->header('Content-Type'),
       "$name, type of HEAD");
    cmp_ok($h->header('Content-Length') // 0, '>', 0, "$name, length of HEAD");
}

for my $path (qw(/helix /helix/health /helix/api/stats /status)) {
    for my $method (qw(POST PUT DELETE OPTIONS)) {
        my $r = $t->request($method, $path, '{}');

        is($r->status, 405, "$method $path");
        is($r->header('Allow'), 'GET, HEAD', "$method $path, Allow");
        is($r->json->{code}, 'MethodNotAllowed', "$method $path, code");
    }
}

for my $method (qw(GET HEAD POST PUT PATCH DELETE OPTIONS)) {
    for my $path ('/helix/nothing', '/helix/api', '/helix/api/config/') {
        is($t->request($method, $path, '{}')->status, 404, "$method $path");
    }

    my $r = $t->request($method, '/helix/app.js', '{}');

    is($r->status, $method =~ /GET|HEAD/ ? 200 : 405, "$method of an asset");
}

for my $path (qw(decisions stream/decisions)) {
    my $r = $t->get("/helix/api/$path?strategy=x");

    is($r->status, 400, "an argument of $path");
    is($r->json->{title}, 'An argument of the request is wrong', 'its title');
}

for my $method (qw(GET PUT DELETE OPTIONS)) {
    my $r = $t->request($method, '/helix/api/explain', '{}');

    is($r->status, 405, "$method api/explain");
    is($r->header('Allow'), 'POST', "$method api/explain, Allow");
}

$t->wait_for(sub { @{$t->stats->{workers}} == 2 }, 'both workers');

my $s = $t->stats;

is($s->{received}, 0, 'a status request is no job');


# some of it

sub some {
    my $r = $t->get("/helix/api/stats?$_[0]");

    is($r->status, 200, $_[0]);

    return $r->json;
}

is_deeply([sort keys %{some('fields=zone,pool,kinds.hashmix')}],
          [sort qw(zone pool), $s->{kinds}{hashmix} ? 'kinds' : ()], 'members');
is_deeply(some('fields=zone,strategies.cpu_pool.admitted,strategies.inline,api'),
          { zone => $s->{zone}, api => 1,
            strategies => { cpu_pool => { admitted => 0 },
                            inline => $s->{strategies}{inline} } }, 'parts');
is_deeply(some('x=1&fields=zon%65%2Capi'), { zone => $s->{zone}, api => 1 },
          'escaped');
is_deeply(some("fields=$_"), {}, 'none')
    for 'nothing', 'zon', 'zonee', 'zone.x', ',', '.', 'attention.0',
        'x' x 1000;
is_deeply([sort keys %{some('fields=')}], [sort keys %$s], 'all');
is_deeply([sort keys %{some('field=zone')}], [sort keys %$s], 'no fields');


# the shape

is_deeply([sort keys %$s],
          [sort qw(api module nginx zone policy status uptime_secs epoch
                   since state
                   verdict attention attention_see rate
                   generation config pressure pool stream thresholds received
                   invalid
                   dropped dropped_by_reason invalid_by_code
                   batches_by_flush strategies kinds
                   crashes dry_run zone_size zone_used workers predictive
                   batched decision_secs loop_secs
                   adaptive_spawn_threshold pressure_score kind_routing
                   deadline_exceeded routed_by_strategy latency_by_strategy
                   approximated coalesced), @books],
          'keys');
is_deeply([sort keys %{$s->{strategies}}], [sort @lanes], 'strategies');
is_deeply([sort keys %{$s->{kinds}}], [sort @kinds], 'kinds');

my @quantiles = sort qw(count avg min p50 p95 p99 max);

for my $lane (@lanes) {
    my $of = $s->{strategies}{$lane};

    is_deeply([sort keys %$of],
              [sort @books, qw(latency_ms queue_ms jobs_per_sec),
                    $lane eq 'inline' ? () : qw(waiting waiting_limit)],
              "keys of $lane");
    is_deeply([sort keys %{$of->{queue_ms}}], \@quantiles,
              "keys of queue_ms of $lane");
    is_deeply([sort keys %{$of->{latency_ms}}],
              [sort @quantiles, qw(ema window)],
              "keys of latency_ms of $lane");
}

for my $kind (@kinds) {
    my $of = $s->{kinds}{$kind};

    is_deeply([sort keys %$of],
              [sort @books, qw(received invalid dropped exec_ms predicted_ms
                               share samples approximated coalesced levels)],
              "keys of $kind");
    is_deeply([sort keys %{$of->{exec_ms}}], \@quantiles,
              "keys of exec_ms of $kind");
}

is_deeply([sort keys %{$s->{pressure}}],
          [sort qw(value occupancy drops latency external)], 'keys of pressure');
is_deeply([sort keys %{$s->{predictive}}],
          [sort qw(capacity efficiency demand queued_secs margin waste
                   loop_busy lag_secs inline_limit_secs drift calibration
                   accuracy cpu_secs wasted_secs)], 'keys of predictive');
is_deeply([grep { $_ != 0 } values %{$s->{predictive}},
           map { @{$_}{qw(predicted_ms share samples)} }
               values %{$s->{kinds}}], [],
          'nothing is predicted under another policy');
is_deeply($s->{pool}, { name => 'compute', concurrency => 1, busy => 0,
                        busy_limit => 0, memory_bytes => 0,
                        memory_limit_bytes => 536870912 }, 'pool');
is_deeply($s->{thresholds}, { inline => 8000, spawn => 60000,
                              spawn_configured => 60000 }, 'thresholds');
is_deeply([map { $s->{$_} } qw(api zone policy status generation crashes)],
          [1, 'history', 'threshold', 'ok', 1, 0], 'values');
like($s->{module}, qr/^\d+\.\d+\.\d+$/, 'version of the module');
like($s->{nginx}, qr/^\d+\.\d+\.\d+$/, 'version of nginx');
cmp_ok(abs($s->{epoch} / 1000 - time), '<', 120, 'epoch is Unix time in ms');
cmp_ok($s->{uptime_secs}, '<', 120, 'uptime');
is_deeply([sort map { $_->{pid} } @{$s->{workers}}], [sort $t->workers],
          'workers');
is_deeply([sort keys %{$s->{workers}[0]}], [sort qw(slot pid state in_flight)],
          'keys of a worker');


# history: what the client has sent and got, against what is counted

my (%total, %lane, %kind, %reason, %code);

sub tally {
    my ($kind, $r) = @_;

    my $status = $r->status;
    my $j = $r->json;

    $total{received}++;
    $kind{$kind}{received}++ if $kind;

    if ($status == 200 || $status == 504) {
        my $lane = $r->header('X-Helix-Strategy');
        my $end = $status == 200 ? 'completed' : 'expired';

        for my $books (\%total, $lane{$lane} //= {}, $kind{$kind} //= {}) {
            $books->{admitted}++;
            $books->{$end}++;
        }

    } elsif ($status == 503) {
        $total{dropped}++;
        $kind{$kind}{dropped}++;
        $reason{$j->{reason}}++;

    } else {
        $total{invalid}++;
        $kind{$kind}{invalid}++ if $kind;
        $code{$j->{code}}++;
    }
}

srand 11;

my $job = '{"kind":"hashmix","id":7}';
my @strategies = (@lanes, 'drop', '');

for my $n (1 .. 150) {
    my $kind = $kinds[rand @kinds];
    my $cost = (100, 9000, 70000)[rand 3];
    my $scaling = (0, 1)[rand 2];
    my $s = $strategies[rand @strategies];

    tally($kind, $t->get("/jobs?kind=$kind&cost=$cost&scaling=$scaling&s=$s"));
}

tally(undef, $t->get('/jobs')) for 1 .. 2;
tally(undef, $t->get('/jobs?kind=hashmx')) for 1 .. 3;
tally('hashmix', $t->get('/jobs?kind=hashmix&colour=red'));
tally(undef, $t->get('/jobs?cost=x&kind=hashmix'));
tally(undef, $t->post('/jobs', '{')) for 1 .. 4;
tally(undef, $t->post('/jobs', $job, 'text/plain')) for 1 .. 2;
tally('hashmix', $t->get('/jobs?kind=hashmix&cost=999999999999')) for 1 .. 2;
tally('hashmix', $t->request('HEAD', '/jobs?kind=hashmix'));
tally('hashmix', $t->get("/slow?s=$_")) for @lanes, 'spawn';

for my $lane (@lanes) {
    my $r = $t->get("/late?kind=hashmix&s=$lane");

    tally('hashmix', $r);

    for my $books (\%total, $lane{$lane}, $kind{hashmix}) {
        $books->{late} += $r->json->{total_ms} > 1;
    }
}

cmp_ok($total{late}, '>', 0, 'some were late');

# neither a wrong method nor a body that is too large for nginx is a job

is($t->request('PUT', '/jobs?kind=hashmix')->status, 405, 'no method of a job');

# what has expired may still be running for a moment

$t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'all jobs to end');

$s = $t->stats;

for my $name (qw(received invalid dropped), @books) {
    is($s->{$name}, $total{$name} // 0, "history: $name");
}

for my $lane (@lanes) {
    is_deeply({ map { $_ => $s->{strategies}{$lane}{$_} } @books },
              { map { $_ => $lane{$lane}{$_} // 0 } @books },
              "history: $lane");
    is($s->{strategies}{$lane}{latency_ms}{count}, $lane{$lane}{completed},
       "history: latencies of $lane");
    is($s->{strategies}{$lane}{waiting} // 0, 0, "nobody waits for $lane");
}

for my $kind (@kinds) {
    my @names = (@books, qw(received invalid dropped));

    is_deeply({ map { $_ => $s->{kinds}{$kind}{$_} } @names },
              { map { $_ => $kind{$kind}{$_} // 0 } @names },
              "history: $kind");
}

is_deeply($s->{dropped_by_reason}, \%reason, 'history: reasons');
is_deeply($s->{invalid_by_code}, \%code, 'history: codes');

for my $lane (@lanes) {
    my $l = $s->{strategies}{$lane}{latency_ms};

    ok($l->{avg} > 0 && $l->{p50} <= $l->{p95} && $l->{p95} <= $l->{p99},
       "latencies of $lane");
}


# text and JSON agree

my $text = $t->get('/helix')->body;
$s = $t->stats;

my @lines = split /\n/, $text;

is($lines[0], "helix: $s->{status}    $s->{verdict}", 'text: first line');
is_deeply([grep { /^!/ } @lines], [map { "! $_" } @{$s->{attention}}],
          'text: attention');

@lines = grep { !/^!/ } @lines;

like($lines[1], qr/^$s->{received}\x20jobs\x20received,
                   \x20$s->{dropped}\x20dropped,\x20$s->{invalid}\x20invalid,
                   \x20$s->{in_flight}\x20in\x20flight\x20{4}
                   up\x200d00:0\d:\d\d$/x, 'text: second line');
like($lines[2], qr/^pressure\x20\d\.\d\d\x20{4}pool\x200\/1\x20busy,
                   \x20shedding\x20off\x20{4}inline\x20up\x20to\x208000,
                   \x20spawn\x20below\x2060000$/x, 'text: third line');

my $whole = $total{received} - $total{invalid};

for my $lane (@lanes) {
    my ($line) = grep { /^$lane / } @lines;
    my @cells = split ' ', $line;
    my $of = $s->{strategies}{$lane};

    is_deeply([@cells[0, 1, 3, 4, 9]],
              [$lane, map { $of->{$_} } qw(admitted completed in_flight
                                           late)], "text: $lane");
    like($cells[2], qr/^\d+\.\d%$/, "text: share of $lane");
    cmp_ok(abs($cells[2] =~ s/%//r - 100 * $of->{admitted} / $whole), '<', 0.1,
           "text: how much $lane has");
    is($cells[5], $lane eq 'inline' ? '-' : 0, "text: waiting for $lane");

    for ([6, 'p50'], [7, 'p95'], [8, 'p99']) {
        my ($cell, $name) = @$_;

        is($cells[$cell], sprintf('%.3fms', $of->{latency_ms}{$name}),
           "text: $name of $lane");
    }
}

my ($drop) = grep { /^drop / } @lines;

like($drop, qr/^drop\x20+$s->{dropped}\x20+[\d.]+%\x20\x20
               pinned\x20$reason{pinned}$/x, 'text: drop');

is((grep { /^ended / } @lines)[0],
   'ended without a result: '
   . join(', ', map { "$_ $s->{$_}" } grep { $_ ne 'completed' } @ends),
   'text: ends without a result');

is_deeply([grep { length > 100 } @lines], [], 'text: lines of 100 at most');

for my $kind (@kinds) {
    my ($line) = grep { /^$kind / } @lines;
    my @cells = split ' ', $line;
    my $of = $s->{kinds}{$kind};

    is_deeply([@cells[0 .. 4]],
              [$kind, map { $of->{$_} } qw(received dropped invalid
                                           completed)], "text: $kind");
    is($cells[5], sprintf('%.3fms', $of->{exec_ms}{p50}), "text: p50 of $kind");
}

# a column ends where its heading does

for my $head ([qr/^strategy/, @lanes], [qr/^kind/, @kinds]) {
    my ($pattern, @rows) = @$head;
    my ($line) = grep { $_ =~ $pattern } @lines;
    my %end;

    $end{$+[0]} = 1 while $line =~ /\w+(?: flight| p\d\d)?/g;

    for my $row (@rows) {
        my ($text) = grep { /^$row / } @lines;
        my @wrong;

        $text =~ /^\S+/g;

        while ($text =~ /\S+/g) {
            push @wrong, $& if !$end{$+[0]};
        }

        is("@wrong", '', "text: columns of $row");
    }
}


# ready or not

is($t->get('/helix/health?ready=1')->status, 200, 'ready');

my $c = $t->connect;

$c->send(Helix::message('GET', '/jobs?kind=hashmix&s=cpu_pool'
                               . '&cost=50000000000'));
$t->wait_for(sub { $t->stats->{pool}{busy} == 1 }, 'a job to run');

is($t->stats->{strategies}{cpu_pool}{in_flight}, 1, 'one is in flight');

# of both workers one has the job: each has to see a drop

my $r = $t->wait_for(sub {
    $t->get('/jobs?kind=hashmix&s=drop');
    my $r = $t->get('/helix/health?ready=1');
    return $r if $r->status == 503;
}, 'pressure');

is($r->status, 503, 'not ready under pressure');
is($r->json->{status}, 'shedding', 'it says why');
is($t->get('/helix/health')->status, 200, 'but alive');
is($t->get('/helix/health?ready=0')->status, 200, 'ready=0');
is($t->get('/health?ready=1')->status, 503, 'health alone');
cmp_ok($t->stats->{pressure}{value}, '>=', 0.7, 'pressure');

$c->close;

$t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'the job to go');
is($t->stats->{cancelled}, 1, 'its client has left');

ok($t->wait_for(sub {
    $t->get('/jobs?kind=hashmix');
    $t->get('/helix/health?ready=1')->status == 200;
}, 'calm'), 'ready again');

my $before = $t->stats;

ok($t->reload, 'reload');

my $after = $t->stats;

is($after->{generation}, 2, 'generation');
is($after->{$_}, $before->{$_}, "reload keeps $_")
    for qw(epoch received completed dropped invalid);
