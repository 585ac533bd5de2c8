#!/usr/bin/env perl

# The history: one point a second, whoever makes it, with what happened in that
# second; over reloads, resets and the death of the worker that made it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes;
use Helix;

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 3;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone history;
    helix_pool compute threads=2 concurrency=1;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass hashmix;
            helix_job strategy=$arg_s;
        }

        location /late {
            helix_pass hashmix;
            helix_job budget=1ms strategy=inline cost=200000000;
        }

        location /helix {
            helix_status write=on;
        }
    }
}
END

$t->start;

my @lanes = qw(inline spawn cpu_pool batch);

$t->wait_for(sub { @{$t->stats->{workers}} == 3 }, 'all workers');


# the shape

my $h = history();

is(join(' ', sort keys %$h),
   'dropped dropped_by_reason late n p99_ms pressure routed start step', 'keys');
is($h->{step}, 1, 'by the second');
is_deeply([sort keys %{$h->{$_}}], [sort @lanes], "$_: strategies")
    for qw(routed p99_ms);

my $r = $t->get('/helix/api/history?step=60');

is($r->status, 200, 'by the minute');
is($r->json->{step}, 60, 'its step');
cmp_ok($r->json->{n}, '<=', 2, 'a young zone has no minutes yet');
is($r->header('Cache-Control'), 'no-store', 'not to be cached');

for my $bad ('0', '2', '', '60.0', '-1', '060', 'x', '99999999999999999999') {
    $r = $t->get("/helix/api/history?step=$bad");
    is($r->status, 400, "step=$bad");
    is($r->json->{code}, 'BadField', "step=$bad: code");
}

is($t->post('/helix/api/history', '{}')->status, 405, 'nothing to write');


# what happened

my %n = (inline => 5, spawn => 4, cpu_pool => 3, batch => 2, drop => 6);
my $total = 5 + 4 + 3 + 2;

for my $lane (sort keys %n) {
    $t->get("/jobs?cost=1000&s=$lane") for 1 .. $n{$lane};
}

$t->get('/late');
$n{inline}++;

$h = settled();

is(sum($h->{routed}{$_}), $n{$_}, "routed: $_") for @lanes;
is(sum($h->{dropped}), 6, 'dropped');
is_deeply([keys %{$h->{dropped_by_reason}}], ['pinned'], 'reasons');
is(sum($h->{dropped_by_reason}{pinned}), 6, 'by reason');
is(sum($h->{late}), 1, 'late');

for my $lane (@lanes) {
    my @p99 = grep { defined } @{$h->{p99_ms}{$lane}};

    cmp_ok(scalar @p99, '>=', 1, "p99: $lane");
    cmp_ok($p99[0], '>', 0, "p99 of $lane is more than nothing");
    cmp_ok($p99[0], '<', 10000, "and less than a year");
}

cmp_ok(abs($h->{start} + $h->{n} - 1 - time), '<=', 3,
       'the last point is of now');

ok(!(grep { defined && ($_ < 0 || $_ > 1) } @{$h->{pressure}}),
   'pressure is from 0 to 1');


# the last minute, which in a young zone is all of it

my $w = window('spawn');

is(join(' ', sort keys %$w), 'count p50 p95 p99 secs', 'window: members');
is($w->{count}, $n{spawn}, 'window: jobs');
cmp_ok($w->{secs}, '<=', 60, 'window: seconds');
cmp_ok($w->{$_}, '>', 0, "window: $_") for qw(p50 p95 p99);
is(window('cpu_pool')->{count}, $n{cpu_pool}, 'window: by strategy');

my @quantiles = $t->get('/helix/metrics')->body
                =~ /^helix_job_duration_window_seconds\{(.*)\} (\S+)$/mg;

is(scalar @quantiles, 2 * 3 * 4, 'Prometheus: three quantiles a strategy');

my %quantile = @quantiles;
my $label = 'zone="history",strategy="spawn",quantile="0.99"';

is(sprintf('%.6f', 1000 * $quantile{$label}),
   sprintf('%.6f', window('spawn')->{p99}), 'Prometheus: the same number');


# a reset is not seen

is($t->post('/helix/api/reset', '{}')->status, 200, 'reset');
$w = window('spawn');
is($w->{count}, 0, 'but in the last minute');
cmp_ok($w->{secs}, '<=', 5, 'which begins with it');
is(($t->get('/helix/metrics')->body
    =~ /^helix_job_duration_window_seconds\{\Q$label\E\} (\S+)$/m)[0], 'NaN',
   'Prometheus: of no jobs it is not a number');

$t->get('/jobs?cost=1000&s=inline');
$n{inline}++;

is(window('inline')->{count}, 1, 'and goes on');

$h = settled();

is(sum($h->{routed}{inline}), $n{inline}, 'a reset takes nothing away');


# the worker that makes the points dies, is stopped, or leaves: never two
# points for a second, nothing counted twice

my $before = $h;

for my $round (1 .. 3) {
    my @workers = $t->workers;

    $t->expect_kill(1);
    kill 'KILL', $workers[$round % 2];

    $t->get('/jobs?cost=1000&s=inline') and $n{inline}++ for 1 .. 3;

    $t->wait_for(sub { $t->workers == 3 && $t->stats }, 'a new worker');

    # for longer than its term

    my $one = ($t->workers)[0];

    kill 'STOP', $one;
    Time::HiRes::sleep(0.8);
    kill 'CONT', $one;

    ok($t->reload, 'reload');
}

$h = settled();

is($h->{start}, $before->{start}, 'the first point is the same');
is_deeply([map { my $l = $_; [@{$h->{routed}{$l}}[0 .. $before->{n} - 2]] }
               @lanes],
          [map { my $l = $_; [@{$before->{routed}{$l}}[0 .. $before->{n} - 2]] }
               @lanes], 'old points are as they were');
is($t->stats->{lost}, 0, 'no job was lost');
is(sum($h->{routed}{inline}), $n{inline}, 'everything counts once');
cmp_ok(abs($h->{start} + $h->{n} - 1 - time), '<=', 3, 'up to now');


# nobody makes points: a hole, and the next point has what was missed

my @workers = $t->workers;

$before = settled();

kill 'STOP', @workers;

my $stopped = Time::HiRes::time();

Time::HiRes::sleep(0.1) while Time::HiRes::time() < $stopped + 3.2;

kill 'CONT', @workers;

$t->get('/jobs?cost=1000&s=inline');
$n{inline}++;

$h = settled();

my @holes = grep { !defined $h->{routed}{inline}[$_] } 0 .. $h->{n} - 1;

cmp_ok(scalar @holes, '>=', 2, 'seconds in which all were stopped: '
                               . @holes);

for my $column (@{$h->{routed}}{@lanes}, $h->{late}, $h->{dropped},
                $h->{pressure}, $h->{dropped_by_reason}{pinned})
{
    is(scalar @$column, $h->{n}, 'a column has n points');
    is_deeply([grep { !defined $column->[$_] } 0 .. $h->{n} - 1], \@holes,
              'holes are holes in every column');
}

is(sum($h->{routed}{inline}), $n{inline}, 'nothing is missing');


# under load: the sum of the points is the counter

is($t->post('/helix/api/reset', '{}')->status, 200, 'reset');

my $base = sum(settled()->{routed}{inline});
my $c;
my $end = Time::HiRes::time() + 2.5;
my $sent = 0;

while (Time::HiRes::time() < $end) {
    $c = $t->connect if $sent % 500 == 0;
    $c->send(Helix::message('GET', '/jobs?cost=1000&s=inline'));
    $c->recv;
    $sent++;
}

$h = settled();

is(sum($h->{routed}{inline}) - $base, $sent, "$sent jobs in 2.5 s");
is($t->stats->{strategies}{inline}{admitted}, $sent, 'as the counter says');
cmp_ok(scalar(grep { $_ } map { $_ // 0 } @{$h->{routed}{inline}}[-6 .. -1]),
       '>=', 2, 'over more than one point');

$t->done;
done_testing();


sub history {
    my $answer = $t->get('/helix/api/history');

    return $answer->status == 200 ? $answer->json : { n => 0 };
}


sub window { $t->stats->{strategies}{$_[0]}{latency_ms}{window} }


# With a point for all that has happened until now.

sub settled {
    my $first = history();
    my $last = $first->{start} + $first->{n} - 1;
    my $now;

    $t->wait_for(sub {
        $now = history();
        $now->{n} && $now->{start} + $now->{n} - 1 >= $last + 2
            && defined $now->{late}[-1];
    }, 'the next points');

    return $now;
}


sub sum {
    my ($column) = @_;
    my $sum = 0;

    $sum += $_ // 0 for @$column;

    return $sum;
}
