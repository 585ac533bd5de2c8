#!/usr/bin/env perl

# What shows only from far inside: the order of the run queue, batches that lose
# one of their jobs, slots over a reload, the window of the adaptation.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(sleep);
use Helix;

use constant FOREVER => 8_000_000_000_000_000;

my $t = Helix->new(timeout => 10);


sub conf {
    my ($adapt) = @_;

    $t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    log_format order '\$helix_id \$helix_result';

    helix_zone helix;
    helix_pool jobs threads=1 concurrency=1 queue=100 busy=off;
    helix_batch size=3 delay=10s;
    helix_kind hashmix max_cost=9000000000000000;
    helix_kind primecount max_cost=50000;
    helix_adapt $adapt;
    helix_timeout 600s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /inline   { helix_pass hashmix;
                             helix_job strategy=inline final; }
        location /jobs     { helix_pass; }
        location /batch    { access_log %%DIR%%/logs/order.log order;
                             helix_pass hashmix;
                             helix_job strategy=batch final; }
        location /cpu_pool { access_log %%DIR%%/logs/order.log order;
                             helix_pass hashmix;
                             helix_job strategy=cpu_pool final; }
        location /helix    { helix_status; }
    }
}
END
}


sub begin {
    my ($path) = @_;

    my $c = $t->connect;
    $c->send(Helix::message('GET', $path));

    return $c;
}

sub until_true {
    my ($what, $code) = @_;

    my $s;

    ok($t->wait_for(sub { $s = $t->stats; $s && $code->($s) }, $what), $what);

    return $s;
}

sub waiting { $_[0]{strategies}{$_[1]}{waiting} }

sub outputs { ($_[0] ? $_[0]->body : '') =~ /"outputs":(\[[^\]]*\])/ }


conf('off');
$t->start;


# The queue: whatever the order in which jobs come and go, the most urgent of
# them runs.  The clients of every fourth leave while it waits.

srand 7;

for my $n (2, 3, 5, 8, 13, 31, 64) {
    my $blocker = begin('/cpu_pool?inputs=1&compute_cost=' . FOREVER);

    until_true("$n: the thread is taken", sub { $_[0]{pool}{busy} == 1 });

    $t->write('logs/order.log', '');

    my @ids = map { $_->[1] } sort { $a->[0] <=> $b->[0] }
              map { [ rand, $_ ] } 1 .. $n;

    @ids = reverse 1 .. $n if $n == 3;

    my (%c, @left);

    for my $id (@ids) {
        my $budget = 100_000 + 1000 * $id;

        $c{$id} = begin("/cpu_pool?inputs=1&id=$id&compute_cost=20000000"
                        . "&latency_budget_ms=$budget");
    }

    until_true("$n: all wait", sub { waiting($_[0], 'cpu_pool') == $n });

    for my $i (0 .. $#ids) {
        if ($n > 4 && $i % 4 == 1) {
            push @left, $ids[$i];
            (delete $c{$ids[$i]})->close;
        }
    }

    until_true("$n: some left", sub {
        waiting($_[0], 'cpu_pool') == $n - @left
    });

    $blocker->close;

    is(join(' ', grep { !$_->recv || 0 } values %c), '', "$n: answers");

    my @order = $t->wait_for(sub {
        my @done = $t->read('logs/order.log') =~ /^(\d+) COMPLETED$/mg;
        @done == keys %c && "@done";
    }, 'the log');

    is("@order", join(' ', sort { $a <=> $b } keys %c), "$n: their order");
}


# A batch: the first, the middle and the last one of a buffer leaves; those
# that stay have answers of their own.

my @right = map {
    outputs($t->get("/inline?inputs=$_&compute_cost=5000$_"))
} 0 .. 9;

is(scalar @right, 10, 'answers to compare with');

for my $leaver (0, 1) {
    my @c = map { begin("/batch?inputs=$_&compute_cost=5000$_") } 0 .. 1;

    until_true("batch, $leaver: two wait",
               sub { waiting($_[0], 'batch') == 2 });

    (splice @c, $leaver, 1)->close;
    until_true("batch, $leaver: one left",
               sub { waiting($_[0], 'batch') == 1 });

    push @c, map { begin("/batch?inputs=$_&compute_cost=5000$_") } 2 .. 3;

    is(join(' ', map { outputs($_->recv) } @c),
       join(' ', @right[1 - $leaver, 2, 3]), "batch, $leaver: answers");
}


# A batch is as urgent as its most urgent job.

my $blocker = begin('/cpu_pool?inputs=1&compute_cost=' . FOREVER);

until_true('the thread is taken again', sub { $_[0]{pool}{busy} == 1 });

$t->write('logs/order.log', '');

my @c = map { begin("/$_->[0]?inputs=1&id=$_->[1]&compute_cost=20000000"
                    . "&latency_budget_ms=$_->[2]") }
            ([ cpu_pool => 9, 200_000 ], [ batch => 1, 100_000 ],
             [ batch => 2, 300_000 ], [ batch => 3, 300_000 ]);

until_true('a job and a batch wait', sub {
    waiting($_[0], 'cpu_pool') == 1 && waiting($_[0], 'batch') == 3
});

$blocker->close;
$_->recv for @c;

my ($last) = $t->wait_for(sub {
    my @done = $t->read('logs/order.log') =~ /^(\d+) COMPLETED$/mg;
    @done == 4 && $done[3];
}, 'the log');

is($last, 9, 'the batch was first');


# A client that has left before its request was read.

for my $how (qw(close rst)) {
    my ($worker) = $t->workers;

    kill 'STOP', $worker;

    my $c = begin('/cpu_pool?inputs=1&compute_cost=' . FOREVER);

    $how eq 'rst' ? $c->rst : $c->close;
    sleep 0.1;
    kill 'CONT', $worker;

    until_true("$how at once: nothing is left",
               sub { $_[0]{in_flight} == 0 && $_[0]{pool}{busy} == 0 });
}


# Limits include their value; '+' is a space.

is($t->get('/jobs?kind=primecount&inputs=1&compute_cost=50000')->status, 200,
   'work of max_cost');
is($t->get('/jobs?kind=primecount&inputs=1&compute_cost=50001')->status, 413,
   'work above it');
is($t->get('/jobs?kind=a+b&inputs=1')->json->{value}, 'a b', 'a space');


# A slot is given back.

ok($t->reload, 'reload');

my $s = until_true('one worker', sub { @{$_[0]{workers}} == 1 });

is($s->{crashes}, 0, 'nobody died');
is_deeply([ map { $_->{pid} } @{$s->{workers}} ], [ $t->workers ],
          'the slot is that of the new worker');
is_deeply([ Helix::imbalance($s, 1) ], [], 'the books balance');


# The threshold moves with a full window of jobs, and once for each.

conf('p95=1ms step=0.5 factor=1');
ok($t->reload, 'reload, with adaptation');

# what has run before is in a window of its own

sleep 1.5;

my $before = $t->stats->{thresholds}{spawn};

$t->get('/cpu_pool?inputs=1&compute_cost=200000000') for 1 .. 12;

$s = until_true('the threshold moves',
                sub { $_[0]{thresholds}{spawn} != $before });

my $moved = $s->{thresholds}{spawn};

sleep 2.5;
is($t->stats->{thresholds}{spawn}, $moved, 'and stays without jobs');
