#!/usr/bin/env perl

# Each setting that is changed while nginx runs has its effect, on what waits
# and runs already too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;
use Time::HiRes ();
use Helix;

my $t = Helix->new;

my $template = <<'END_OF_CONF';
%%TEST_GLOBALS%%

worker_processes WORKERS;

events {
}

http {
    helix_policy POLICY;
    %%TEST_GLOBALS_HTTP%%
    helix_pool compute threads=8 CONF;
    helix_batch size=4 delay=10s;
    helix_adapt off;
    helix_kind hashmix cost=5000;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass hashmix;
            helix_job strategy=$arg_s;
        }

        location /prime {
            helix_pass primecount;
            helix_job strategy=cpu_pool;
        }

        location /plain {
            helix_pass hashmix;
        }

        location /hold {
            helix_pass hashmix;
            helix_job strategy=cpu_pool cost=20000000000;
            helix_timeout 10m;
        }

        location /helix {
            helix_status write=on;
        }
    }
}
END_OF_CONF

sub conf {
    my ($policy, $conf, $workers) = @_;

    $workers //= 1;

    return $template =~ s/POLICY/$policy/r =~ s/CONF/$conf/r
           =~ s/WORKERS/$workers/r;
}

sub patch {
    my (%settings) = @_;

    my $r = $t->request('PATCH', '/helix/api/config',
                        JSON::PP->new->canonical->encode(\%settings),
                        'Content-Type' => 'application/json');

    is($r->status, 200, 'PATCH ' . join ' ', map { "$_=" . ($settings{$_}
                                                                  // 'null') }
                                             sort keys %settings)
        or diag($r->body);

    return $r->json;
}

sub hold {
    my ($n) = @_;

    return map { my $c = $t->connect;
                 $c->send(Helix::message('GET', '/hold')); $c } 1 .. $n;
}

sub busy_is {
    my ($n, $name) = @_;

    my $busy;

    $t->wait_for(sub { ($busy = $t->stats->{pool}{busy}) == $n }, "$n busy");

    my $most = 0;

    for (1 .. 20) {
        my $now = $t->stats->{pool}{busy};
        $most = $now if $now > $most;
    }

    is("$busy, at most $most", "$n, at most $n", $name);
}

sub waiting { return $t->stats->{strategies}{cpu_pool}{waiting} }

sub idle {
    ok($t->wait_for(sub { my $s = $t->stats;
                          $s->{in_flight} == 0 && $s->{pool}{busy} == 0 },
                    'idle'), 'idle');
}

sub route { return $t->get("/plain?$_[0]")->json }


for my $policy (qw(threshold predictive)) {
    $t->conf(conf($policy, 'concurrency=2 busy=off'));
    $t->{master} ? ok($t->reload, 'reload') : $t->start;

    note($policy);


    # how many run at once

    my @held = hold(6);

    busy_is(2, '2 of 6 run');
    patch(cpu_parallelism => 5);
    busy_is(5, 'more run when it is raised');
    patch(cpu_parallelism => 1);
    is($t->stats->{pool}{concurrency}, 1, 'lowered');
    splice @held, 0, 5;
    busy_is(1, 'one is left');
    push @held, hold(3);
    $t->wait_for(sub { waiting() == 3 }, '3 that wait');
    busy_is(1, 'and no other starts');
    patch(cpu_parallelism => 3);
    busy_is(3, 'until it is raised');
    @held = ();
    idle();

    patch(cpu_parallelism => 8, backpressure_busy_threshold => 7);
    is($t->stats->{pool}{busy}, 0, 'raised while idle: nothing is busy');
    is($t->get('/jobs?cost=1')->status, 200, 'and jobs are run');
    is($t->get('/jobs?cost=100000&s=cpu_pool')->status, 200, 'on the pool too');


    # lowered while many short ones come

    my @busy = map { my $c = $t->connect;
                     $c->send(Helix::message('GET', '/jobs?s=cpu_pool'
                                                    . '&cost=100000000') x 40);
                     $c } 1 .. 8;

    ok($t->wait_for(sub { $t->stats->{pool}{busy} >= 4 }, 'many at once'),
       'more than two run');
    patch(cpu_parallelism => 2, backpressure_busy_threshold => 'off');
    $t->wait_for(sub { $t->stats->{pool}{busy} <= 2 }, 'two');

    my ($over, $looks) = (0, 0);

    while ($looks < 100 && (my $s = $t->stats)->{in_flight}) {
        $over++ if $s->{pool}{busy} > 2;
        $looks++;
    }

    is($over, 0, "never more than two, $looks looks");
    @busy = ();
    idle();


    # how many wait

    patch(cpu_parallelism => 1, cpu_queue_cap => 2);
    @held = hold(1);
    busy_is(1, 'one runs');
    push @held, hold(2);
    $t->wait_for(sub { waiting() == 2 }, '2 that wait');
    is($t->get('/hold')->json->{reason}, 'queue_full', 'no third one');
    patch(cpu_queue_cap => 400);
    push @held, hold(200);
    ok($t->wait_for(sub { waiting() == 202 }, '202 that wait'),
       'more than there was room for at first');
    patch(cpu_queue_cap => 100);
    is(waiting(), 202, 'those stay');
    is($t->get('/hold')->json->{reason}, 'queue_full', 'and no other comes');
    @held = ();
    idle();
    patch(cpu_queue_cap => 512, cpu_parallelism => 2);


    # their memory

    my $large = '/prime?n=1000000000000';

    patch(pool_memory_bytes => 1048576);
    is($t->get($large)->json->{reason}, 'memory', 'no room');
    patch(pool_memory_bytes => 536870912);
    is($t->get($large)->status, 200, 'then there is');
    idle();
}


# the threshold policy

$t->conf(conf('threshold', 'concurrency=2 busy=off'));
ok($t->reload, 'reload');

is(route('cost=5000')->{strategy}, 'inline', 'inline below 8000');
patch(inline_threshold => 4999);
is(route('cost=5000')->{strategy}, 'spawn', 'spawn above 4999');
patch(spawn_threshold => 5000);
is(route('cost=5000')->{strategy}, 'cpu_pool', 'cpu_pool from 5000 on');
patch(inline_threshold => undef, spawn_threshold => undef);
is(route('cost=5000')->{strategy}, 'inline', 'and back');

{
    my @held = hold(1);

    busy_is(1, 'one runs');
    is(route('cost=1')->{strategy}, 'inline', 'no backpressure');
    patch(backpressure_busy_threshold => 1);
    is(route('cost=1')->{reason}, 'pressure', 'from one on');
    patch(backpressure_busy_threshold => 2);
    is(route('cost=1')->{strategy}, 'inline', 'from two on');
    patch(backpressure_busy_threshold => 0);
}

idle();


# batches: what waits in one

sub batch {
    my ($n) = @_;

    my @c = map { my $c = $t->connect;
                  $c->send(Helix::message('GET', '/jobs?s=batch&cost=1'));
                  $c } 1 .. $n;

    $t->wait_for(sub { my $b = $t->stats->{strategies}{batch};
                       $b->{in_flight} >= $n }, "$n that wait")
        if $n;

    return @c;
}

sub answered {
    my ($name, @c) = @_;

    is(join(' ', map { my $r = $_->recv; $r ? $r->status : 'none' } @c),
       join(' ', (200) x @c), $name);
}

my @batch = batch(3);

patch(batch_max_size => 3);
answered('lowered to what waits', @batch);

@batch = batch(2);
patch(batch_max_size => 1024);
push @batch, batch(0), map { my $c = $t->connect;
    $c->send(Helix::message('GET', '/jobs?s=batch&cost=1')); $c } 1;
answered('raised: what was begun has the room that it had', @batch);

@batch = batch(20);
is($t->stats->{strategies}{batch}{in_flight}, 20, 'twenty wait');
patch(batch_max_size => 2);
answered('lowered far below what waits', @batch);

@batch = batch(1);
patch(batch_max_delay_ms => 1);
answered('a shorter delay', @batch);
patch(batch_max_delay_ms => 10000, batch_max_size => 4);

@batch = batch(3);
push @batch, map { my $c = $t->connect;
    $c->send(Helix::message('GET', '/jobs?s=batch&cost=1')); $c } 1;
answered('size 4', @batch);

patch(batch_max_size => 2);
@batch = map { my $c = $t->connect;
    $c->send(Helix::message('GET', '/plain?cost=70000&scaling=0.9')); $c } 1, 2;
is($batch[0]->recv->json->{strategy}, 'batch', 'batching');
$batch[1]->recv;
patch(batching => JSON::PP::false);
is(route('cost=70000&scaling=0.9')->{strategy}, 'cpu_pool', 'no batching');
patch(batching => undef);


# averages

# old workers' count too, by their jobs: these are more

sub plain {
    my ($n) = @_;

    my $c = $t->connect;

    $c->send(Helix::message('GET', '/plain?cost=1') x $n);
    $c->recv for 1 .. $n;

    return $t->stats->{pressure}{drops};
}

patch(ema_alpha => 1);
cmp_ok(plain(400), '<', 0.3, 'alpha 1: what was last counts');
{
    my @held = hold(1);

    busy_is(1, 'one runs');
    patch(backpressure_busy_threshold => 1);
    cmp_ok(plain(400), '>', 0.5, 'drops do');
}
patch(ema_alpha => 0.00001, backpressure_busy_threshold => 0);
cmp_ok(plain(400), '>', 0.2, 'a small alpha: they hardly fade');
patch(ema_alpha => 1);
cmp_ok(plain(10), '<', 0.1, 'alpha 1: at once');
idle();


# adaptation

sub threshold { return $t->stats->{thresholds}{spawn} }

sub work {
    my ($until) = @_;

    return $t->wait_for(sub {
        $t->get('/jobs?s=cpu_pool&cost=200000000') for 1 .. 12;
        return $until->();
    }, 'adaptation');
}

my %adapt = (spawn_threshold => 100000, adaptive_step => 0.5,
             cpu_p95_budget_ms => 1, adaptive_p95_threshold_factor => 1);

patch(%adapt, enable_adaptive_threshold => JSON::PP::true);

my $seen;

ok(work(sub { ($seen = threshold()) != 100000 }), 'it adapts');
is($seen, 150000, 'by the step');
patch(spawn_threshold => 90000);
$seen = threshold();
ok($seen == 90000 || $seen == 135000, 'another threshold: from that on')
    or diag($seen);
patch(enable_adaptive_threshold => JSON::PP::false);
is(threshold(), 90000, 'off: as configured')
    if $t->wait_for(sub { threshold() == 90000 }, 'off');
patch(enable_adaptive_threshold => JSON::PP::true, adaptive_step => 0.1,
      spawn_threshold => 100000);
ok(work(sub { ($seen = threshold()) != 100000 }), 'it adapts');
is($seen, 110000, 'by another step');
patch(cpu_p95_budget_ms => 600000);
ok(work(sub { threshold() < 110000 }), 'another budget: it decays');
patch(cpu_p95_budget_ms => 1, adaptive_p95_threshold_factor => 100,
      spawn_threshold => 70000);
{
    my $end = Time::HiRes::time() + 2.5;

    work(sub { Time::HiRes::time() > $end });
}
is(threshold(), 70000, 'a large factor: it stays');
patch(adaptive_p95_threshold_factor => 1);
ok(work(sub { threshold() > 70000 }), 'a small one: it does not');


# all of it while jobs come, from two workers

for my $policy (qw(threshold predictive)) {
    $t->conf(conf($policy, 'concurrency=2 busy=off', 2));
    $t->{workers} = 2;
    ok($t->reload, "reload to $policy");

    my @clients = map { $t->connect } 1 .. 16;
    my ($sent, $got, $wrong) = (0, 0, 0);

    srand(7);

    for my $round (1 .. 60) {
        for my $c (@clients) {
            $c->send(Helix::message('GET', '/plain?scaling=0.9&cost='
                                           . int(10 ** (2 + rand(5)))) x 4);
            $sent += 4;
        }

        my $n = 1 + int rand 8;
        my $r = $t->request('PATCH', '/helix/api/config', $round % 7
            ? JSON::PP->new->encode({
                  batch_max_size => 2 + int(rand(2) ** 6),
                  batch_max_delay_ms => 1 + int(rand 5),
                  cpu_parallelism => $n, cpu_queue_cap => $n + int(rand 600),
                  backpressure_busy_threshold => int(rand($n + 1)),
                  ema_alpha => 0.1 + int(rand 9) / 10,
                  inline_threshold => 1 + int(rand 9000) })
            : '{"batch_max_size":null,"cpu_parallelism":null,"ema_alpha":null,'
              . '"cpu_queue_cap":null,"backpressure_busy_threshold":null}',
            'Content-Type' => 'application/json');

        $wrong++ if $r->status != 200;

        for my $c (@clients) {
            for (1 .. 4) {
                my $answer = $c->recv or next;
                $got++ if $answer->status =~ /^(?:200|503)$/;
            }
        }
    }

    is($wrong, 0, 'all changes');
    is($got, $sent, 'all answers');
    is($t->request('DELETE', '/helix/api/config')->status, 200, 'all back');
    idle();
}
