#!/usr/bin/env perl

# What bounds jobs: queues, concurrency, deadlines, timeouts, the event loop.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);
use Helix;

use constant FOREVER => 8_000_000_000_000_000;

my $binary = $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx';
my $built = `$binary -V 2>&1`;

my $t = Helix->new(timeout => 15);


sub conf {
    my (%args) = @_;

    my $pool = $args{pool} // 'jobs threads=4 concurrency=2 busy=off';
    my $http = $args{http} // 'helix_adapt off;';
    my $batch = $args{batch} // 'size=3 delay=30ms';
    my $main = $args{main} // '';
    my $workers = $args{workers} // 1;
    my $listen = $args{listen} // '';

    $t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes $workers;
$main

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_zone helix;
    helix_pool $pool;
    helix_batch $batch;
    helix_kind hashmix max_cost=9000000000000000;
    $http
    helix_timeout 600s;
    keepalive_requests 1000000;

    server {
        listen 127.0.0.1:%%PORT_0%% $listen;

        location /jobs     { helix_pass; }
        location /inline   { helix_pass hashmix;
                             helix_job strategy=inline final; }
        location /spawn    { helix_pass hashmix;
                             helix_job strategy=spawn final; }
        location /cpu_pool { helix_pass hashmix;
                             helix_job strategy=cpu_pool final; }
        location /batch    { helix_pass hashmix;
                             helix_job strategy=batch final; }
        location /risk     { helix_pass montecarlo_risk;
                             helix_job strategy=batch final; }

        location /short/ {
            helix_timeout 150ms;

            location /short/inline   { helix_pass hashmix;
                                       helix_job strategy=inline final; }
            location /short/spawn    { helix_pass hashmix;
                                       helix_job strategy=spawn final; }
            location /short/cpu_pool { helix_pass hashmix;
                                       helix_job strategy=cpu_pool final; }
            location /short/batch    { helix_pass hashmix;
                                       helix_job strategy=batch final; }
        }

        location /custom {
            helix_pass hashmix;
            helix_job strategy=cpu_pool final;
            error_page 503 =200 /fallback;
        }

        location /fallback { return 200 "fallback"; }
        location /probe    { return 204; }

        location /guarded/inline { auth_request /guard/inline;
                                   alias %%DIR%%/inline; }
        location /guarded/spawn  { auth_request /guard/spawn;
                                   alias %%DIR%%/spawn; }
        location /guarded/pool   { auth_request /guard/pool;
                                   alias %%DIR%%/pool; }

        location /guard/spawn {
            helix_pass hashmix;
            helix_job strategy=spawn inputs=1 cost=100000000 final;
        }

        location /guard/pool {
            helix_pass hashmix;
            helix_job strategy=cpu_pool inputs=1 cost=100000000 final;
        }

        location /guard/inline {
            helix_pass hashmix;
            helix_job strategy=inline inputs=1 cost=1000 final;
        }

        location /mirrored {
            mirror /cpu_pool;
            alias %%DIR%%/plain;
        }

        location /added {
            add_before_body /guard/pool;
            add_after_body /guard/spawn;
            addition_types *;
            alias %%DIR%%/plain;
        }

        location /helix    { helix_status; }
    }
}
END
}


sub job { Helix::message('GET', "$_[0]?inputs=1&compute_cost=$_[1]"
                                . (defined $_[2] ? "&$_[2]" : '')) }

sub begin {
    my (@job) = @_;

    my $c = $t->connect;
    $c->send(job(@job));

    return $c;
}


sub flight { $_[0]{strategies}{$_[1]}{in_flight} }
sub waiting { $_[0]{strategies}{$_[1]}{waiting} }

sub idle {
    my ($s) = @_;

    return $s->{in_flight} == 0 && $s->{pool}{busy} == 0
           && !grep { waiting($s, $_) } qw(spawn cpu_pool batch);
}


sub until_true {
    my ($what, $code, $seconds) = @_;

    my $s;

    ok($t->wait_for(sub { $s = $t->stats; $s && $code->($s) },
                    $what, $seconds), $what)
        or diag(explain({ map { $_ => $s->{$_} }
                          qw(in_flight expired cancelled completed admitted
                             pool thresholds) }));

    return $s;
}


sub all_gone {
    $_->rst for @_;

    return until_true('all are gone', \&idle);
}


# A full queue refuses, says why, and the way back works.

sub full_queue {
    conf(pool => 'jobs threads=2 concurrency=1 queue=2 busy=off',
         batch => 'size=2 delay=10s');
    $t->start;

    # how many units of cost are a second?

    my $r = $t->get('/cpu_pool?inputs=1&compute_cost=4000000000');
    my $second = int(4_000_000_000 / ($r->json->{exec_ms} || 1000) * 1000);

    my $first = begin('/cpu_pool', FOREVER);

    until_true('one runs', sub { $_[0]{pool}{busy} == 1
                                 && waiting($_[0], 'cpu_pool') == 0 });

    for my $lane (qw(spawn batch cpu_pool)) {
        my @c = map { begin("/$lane", FOREVER) } 1 .. 2;

        until_true("$lane: two wait", sub { waiting($_[0], $lane) == 2 });

        $r = $t->get("/$lane?inputs=1");

        is($r->status, 503, "$lane: the third is refused");
        is($r->json->{reason}, 'queue_full', "$lane: reason");
        is($r->header('X-Helix-Reason') // 'queue_full', 'queue_full',
           "$lane: X-Helix-Reason");
        like($r->header('Content-Type'), qr|^application/problem\+json|,
             "$lane: problem+json");
        like($r->header('Retry-After'), qr/^[1-9]\d*$/,
             "$lane: Retry-After");
        is(waiting($t->stats, $lane), 2, "$lane: still two");

        is($t->get('/custom?inputs=1')->body, 'fallback', 'error_page')
            if $lane eq 'cpu_pool';

        $_->rst for @c;
        until_true("$lane: room again", sub { waiting($_[0], $lane) == 0 });
    }

    # the time that Retry-After gives is long enough

    my @c = map { begin('/cpu_pool', int($second / 20)) } 1 .. 2;
    until_true('two wait', sub { waiting($_[0], 'cpu_pool') == 2 });

    $r = $t->get('/cpu_pool?inputs=1');
    is($r->status, 503, 'refused');
    $first->rst;
    sleep($r->header('Retry-After') || 1);
    is($t->get('/cpu_pool?inputs=1')->status, 200, 'Retry-After works');
    is($_->recv->status, 200, 'those that waited are answered') for @c;

    return $second;
}


# The run queue is in the order of deadlines.

sub deadline_order {
    # one thread: else one may answer before another that was faster

    conf(pool => 'jobs threads=1 concurrency=1 queue=50 busy=off');
    ok($t->reload, 'concurrency=1');

    my $first = begin('/cpu_pool', FOREVER);

    until_true('one runs', sub { $_[0]{pool}{busy} == 1
                                 && waiting($_[0], 'cpu_pool') == 0 });

    # the three without one have the ten minutes of helix_timeout

    my @budget = (20000, 5000, 15000, 1000000, 10000, undef, undef, undef);
    my @c;

    for my $i (0 .. $#budget) {
        push @c, begin('/cpu_pool', 100_000_000, "id=$i"
                       . (defined $budget[$i]
                          ? "&latency_budget_ms=$budget[$i]" : ''));
        $t->wait_for(sub { waiting($t->stats, 'cpu_pool') == $i + 1 });
    }

    $first->rst;
    is($_->recv->status, 200, 'answered') for @c;

    # an answer is logged when it has been sent

    my @order;

    $t->wait_for(sub {
        @order = $t->read('logs/access.log') =~ m|&id=(\d+)\S* HTTP/1.1" 200|g;
        return @order == 8;
    }, 'the log');

    is("@order", '1 4 2 0 5 6 7 3', 'in the order of deadlines, then arrival');
}


# Never more than there may be, over all workers.

sub hammer {
    my ($n, $cost) = @_;

    my $pid = fork // die;

    return $pid if $pid;

    my $end = 0;
    $SIG{TERM} = sub { $end = 1 };

    until ($end) {
        my @c = map { begin($_, $cost) }
                    map { $_ % 3 ? '/cpu_pool' : '/batch' } 1 .. $n;
        $_->recv for @c;
        $_->close for @c;
    }

    POSIX::_exit(0);
}

sub bounds {
    my ($workers, $second) = @_;

    conf(workers => $workers, listen => 'reuseport',
         pool => 'jobs threads=4 concurrency=2 queue=5 busy=off',
         batch => 'size=2 delay=5ms');

    ok($t->reload, "$workers workers");

    my $before = $t->stats;
    my @clients = map { hammer(12, int($second / 500)) } 1 .. 2;
    my %most = (busy => 0, cpu_pool => 0, batch => 0);
    my $end = time + 1.5;

    while (time < $end) {
        my $s = $t->stats or next;
        my %now = (busy => $s->{pool}{busy},
                   map { $_ => waiting($s, $_) } qw(cpu_pool batch));

        for (keys %now) {
            $most{$_} = $now{$_} if $now{$_} > $most{$_};
        }
    }

    kill 'TERM', @clients;
    waitpid $_, 0 for @clients;

    my $s = until_true("$workers workers: idle", \&idle);

    cmp_ok($most{busy}, '<=', 2, "$workers workers: two ran at most");

    # who asks for a place announces itself first

    cmp_ok($most{$_}, '<=', 5 + $workers - 1,
           "$workers workers: $_, five waited at most")
        for qw(cpu_pool batch);
    cmp_ok($s->{dropped} - $before->{dropped}, '>', 0,
           "$workers workers: some were refused");
    is_deeply([ Helix::imbalance($s, 1) ], [], "$workers workers: the books");
}


# Pressure

sub pressure {
    conf(pool => 'jobs threads=2 concurrency=2 busy=2',
         http => 'helix_adapt off; helix_kind hashmix batch=on;');
    ok($t->reload, 'busy=2');

    my @c = map { begin('/cpu_pool', FOREVER) } 1 .. 2;
    until_true('busy', sub { $_[0]{pool}{busy} == 2 });

    my $r = $t->get('/jobs?kind=hashmix&inputs=1&compute_cost=1');
    is($r->status, 503, 'under pressure: dropped');
    is($r->json->{reason}, 'pressure', 'under pressure: reason');

    $r = $t->get('/jobs?kind=montecarlo_risk&inputs=1&compute_cost=1'
                 . '&scaling_potential=0.64');
    is($r->status, 503, 'under pressure: scaling below 0.65');

    my $b = $t->connect;
    $b->send(Helix::message('GET', '/jobs?kind=hashmix&inputs=1'
                                   . '&compute_cost=1'
                                   . '&scaling_potential=0.65'));
    until_true('under pressure: batch', sub { waiting($_[0], 'batch') == 1 });

    $_->rst for @c;
    $r = $b->recv;
    is($r->json->{strategy}, 'batch', 'under pressure: its strategy');
    is($r->json->{reason}, 'pressure', 'under pressure: its reason');
    until_true('the pressure is gone', \&idle);
    is($t->get('/jobs?kind=hashmix&inputs=1&compute_cost=1')->json->{strategy},
       'inline', 'without pressure');
}


sub batches {
    conf(batch => 'size=3 delay=400ms',
         pool => 'jobs threads=2 concurrency=1 busy=off');
    ok($t->reload, 'batches');

    my $start = time;
    my @r = map { $_->recv } map { begin('/batch', 1000 * $_) } 1 .. 3;

    is("@{[map { $_->json->{batch_size} } @r]}", '3 3 3', 'a full batch');
    cmp_ok($r[$_]->json->{queue_ms}, '<', 400, 'without delay') for 2;

    my $single = $t->get('/inline?inputs=1&compute_cost=2000');
    is_deeply($r[1]->json->{outputs}, $single->json->{outputs},
              'the answer of a single one');

    @r = map { $_->recv } map { begin('/batch', 1000) } 1 .. 2;
    is("@{[map { $_->json->{batch_size} } @r]}", '2 2', 'flushed by time');
    cmp_ok($r[0]->json->{queue_ms}, '>=', 350, 'after the delay');

    # one leaves the buffer

    my @c = map { begin('/batch', 1000) } 1 .. 2;
    until_true('two in the buffer', sub { waiting($_[0], 'batch') == 2 });
    $c[0]->rst;
    $r[0] = $c[1]->recv;
    is($r[0]->json->{batch_size}, 1, 'one that leaves is not in the batch');

    # all leave; the next starts anew

    @c = map { begin('/batch', 1000) } 1 .. 2;
    until_true('two in the buffer', sub { waiting($_[0], 'batch') == 2 });
    all_gone(@c);

    @r = map { $_->recv } map { begin('/batch', 1000) } 1 .. 3;
    is("@{[map { $_->json->{batch_size} } @r]}", '3 3 3', 'after all left');

    # a kind that cannot do many at once

    @r = map { $_->recv } map { begin('/risk', 1000000, "id=$_") } 7, 8, 9;
    is("@{[map { $_->json->{batch_size} } @r]}", '3 3 3',
       'a batch of a kind without one');

    $single = $t->get('/jobs?kind=montecarlo_risk&inputs=1&id=8'
                      . '&compute_cost=1000000');
    is_deeply($r[1]->json->{outputs}, $single->json->{outputs},
              'and its answers');
}


sub timeouts {
    conf(batch => 'size=2 delay=10s',
         pool => 'jobs threads=2 concurrency=1 busy=off');
    ok($t->reload, 'timeouts');

    for my $lane (qw(inline spawn cpu_pool)) {
        my $start = time;
        my $r = $t->get("/short/$lane?inputs=1&compute_cost=" . FOREVER);

        is($r->status, 504, "$lane: 504");
        is($r->json->{code}, 'Expired', "$lane: code");
        cmp_ok(time - $start, '>=', 0.13, "$lane: not too early");
        cmp_ok(time - $start, '<', 0.15 + Helix::SLOW, "$lane: in time");
        until_true("$lane: the token is free", \&idle, 1);
    }

    is($t->get('/short/batch?inputs=1')->status, 504, 'in the buffer: 504');

    my @c = map { begin('/short/batch', FOREVER) } 1 .. 2;
    is($_->recv->status, 504, 'a running batch: 504') for @c;
    until_true('batch: the token is free', \&idle, 1);

    my $first = begin('/cpu_pool', FOREVER);
    until_true('the pool is taken', sub { $_[0]{pool}{busy} == 1 });

    @c = (begin('/short/cpu_pool', 1), map { begin('/short/batch', 1) } 1, 2);
    is($_->recv->status, 504, 'waiting: 504') for @c;

    my $s = $t->stats;
    is(waiting($s, $_), 0, "$_: the place is free") for qw(cpu_pool batch);
    is($s->{in_flight}, 1, 'the first still runs');
    all_gone($first);

    # one of a batch has less time than the other

    @c = (begin('/short/batch', FOREVER), begin('/batch', 20_000_000_000));
    is($c[0]->recv->status, 504, 'one of a batch: 504');
    is($c[1]->recv->status, 200, 'the other is answered');
    until_true('all ended', \&idle);
}


# What the event loop does for others meanwhile.

sub probe {
    my ($seconds) = @_;

    my $c = $t->connect;
    my $end = time + $seconds;
    my @delay;

    while (time < $end) {
        my $start = time;
        $c->request('GET', '/probe')->status == 204 or die;
        push @delay, (time - $start) * 1000;
    }

    $c->close;
    @delay = sort { $a <=> $b } @delay;

    return ($delay[0], $delay[@delay / 2], $delay[@delay * 0.99],
            $delay[-1]);
}

sub event_loop {
    conf();
    ok($t->reload, 'the event loop');

    my @c = map { begin('/spawn', FOREVER) } 1 .. 5;

    until_true('five run', sub { flight($_[0], 'spawn') == 5 });

    # who asks again at once meets a slice that has just begun; other work of
    # the machine makes the worst of them longer, not the best

    my @delay = probe(1);

    note(sprintf 'beside spawn: min %.2f ms, p50 %.2f, p99 %.2f, max %.2f',
         @delay);
    cmp_ok($delay[0], '<', 2 * Helix::SLOW, 'beside long jobs: the least');
    cmp_ok($delay[1], '<', 100 * Helix::SLOW, 'beside long jobs: p50');
    all_gone(@c);

    # a small declared cost, and the most that limits let through

    my @lies = map { my $kind = $_;
                     map { Helix::message('POST', '/jobs',
                           qq({"kind":"$kind","compute_cost":1,"inputs":[)
                           . join(',', ('18446744073709551615') x $_) . ']}',
                           'Content-Type' => 'application/json') } 1, 4096 }
                   qw(hashmix primecount montecarlo_risk);

    for my $lie (@lies) {
        my $c = $t->connect;
        $c->send($lie);
        my $r = $c->recv;

        is($r->status, 200, 'a lie is computed');
        cmp_ok($r->json->{exec_ms}, '<', 5 * Helix::SLOW, 'within limits');
    }
}


sub subrequests {
    $t->write('plain', 'plain');
    $t->write($_, $_) for qw(spawn pool inline);

    SKIP: {
        skip 'no auth_request', 1 if $built !~ /auth_request_module/;

        for my $lane (qw(inline spawn pool)) {
            my $r = $t->get("/guarded/$lane");

            is($r->status, 200, "auth_request, $lane");
            is($r->body, $lane, "auth_request, $lane: the answer is its own");
        }
    }

    SKIP: {
        skip 'no addition', 1 if $built !~ /addition_module/;

        my $r = $t->get('/added');
        my @jobs = $r->body =~ /"strategy":"(\w+)"/g;

        is("@jobs", 'cpu_pool spawn', 'add_before_body, add_after_body');
        like($r->body, qr/\}\s*plain\{/, 'in order');
    }

    my $before = $t->stats->{completed};

    is($t->get('/mirrored?inputs=1&compute_cost=5000')->body, 'plain',
       'mirror');
    until_true('the mirrored job ran',
               sub { $_[0]{completed} == $before + 1 && idle($_[0]) });
}


# Pool threads, seen by the kernel

sub threads {
    conf(workers => 2, main => 'worker_cpu_affinity auto;');
    ok($t->reload, 'worker_cpu_affinity');

    my @c = map { begin('/cpu_pool', FOREVER) } 1 .. 2;
    until_true('two run', sub { $_[0]{pool}{busy} == 2 });

    my $mask = sub {
        my ($path) = @_;
        open my $fh, '<', "$path/status" or return '';
        local $/;
        return <$fh> =~ /^Cpus_allowed:\s*(\S+)/m ? $1 : '';
    };
    my $nice = sub {
        my ($path) = @_;
        open my $fh, '<', "$path/stat" or return '';
        return (split ' ', <$fh> =~ s/.*\) //sr)[16];
    };
    my $mine = $mask->("/proc/$$");
    my $seen = 0;

    for my $pid ($t->workers) {
        my $loop = $nice->("/proc/$pid");

        for my $thread (glob "/proc/$pid/task/*") {
            next if $thread =~ m|/$pid$| || $nice->($thread) == $loop;

            $seen++;
            is($nice->($thread), $loop + 5, 'nice of a pool thread');
            is($mask->($thread), $mine, 'a pool thread may run anywhere');
        }
    }

    cmp_ok($seen, '>=', 2, 'both are there');
    all_gone(@c);
}


sub pools {
    for my $pool ([ 'default busy=off', '' ],
                  [ 'shared concurrency=2 busy=off',
                    'thread_pool shared threads=2 max_queue=16;' ])
    {
        my ($name) = split ' ', $pool->[0];

        conf(pool => $pool->[0], main => $pool->[1], workers => 2,
             batch => 'size=2 delay=1ms');
        ok($t->reload, "pool $name");

        my @c = map { begin($_ % 4 ? '/cpu_pool' : '/batch', 20_000_000) }
                    1 .. 100;

        is(scalar(grep { my $r = $_->recv; $r && $r->status == 200 } @c), 100,
           "pool $name: all are served");
    }

    unlike($t->read('logs/error.log'), qr/queue overflow/,
           'nginx never refused a task');
}


sub adaptation {
    my ($second) = @_;

    my @conf = (pool => 'jobs threads=4 concurrency=2 busy=off',
                http => 'helix_adapt p95=1ms step=1;'
                        . 'helix_inline_threshold 100;');

    conf(@conf);
    ok($t->reload, 'adaptation');

    my $c = $t->connect;

    until_true('slow: the threshold rises', sub {
        for (1 .. 6) {
            $c->send(job('/cpu_pool', int($second / 200)));
            $c->recv;
        }

        return $_[0]{thresholds}{spawn} > $_[0]{thresholds}{spawn_configured};
    });

    my $high = $t->stats->{thresholds}{spawn};

    until_true('fast: it falls', sub {
        for (1 .. 60) {
            $c->send(job('/cpu_pool', 1));
            $c->recv;
        }

        my $now = $_[0]{thresholds}{spawn};
        $high = $now if $now > $high;

        return $now < $high;
    });

    $c->close;

    # what was adapted belongs to the configuration it began with

    $conf[3] .= 'helix_spawn_threshold 1000;';
    conf(@conf);
    ok($t->reload, 'another threshold');
    is($t->stats->{thresholds}{spawn}, 1000, 'counts at once');
}


sub single_process {
    $t->{read} = 1;
    is_deeply([ $t->books ], [], 'the books');
    $t->stop;

    # a single process leaves its connections as they are

    local $ENV{TEST_ASAN_OPTIONS} = 'detect_leaks=0';

    conf(main => 'master_process off; daemon on;');
    $t->{workers} = 0;
    $t->start;

    for my $lane (qw(inline spawn cpu_pool batch)) {
        my $r = $t->get("/$lane?inputs=1&compute_cost=100000");

        is($r->status, 200, "master_process off: $lane");
        is($r->json->{strategy}, $lane, "master_process off: its strategy");
    }

    is_deeply([ $t->books ], [], 'master_process off: the books');
}


my $second = full_queue();

deadline_order();
pressure();
batches();
timeouts();
event_loop();
subrequests();
bounds($_, $second) for 2, 4;
threads();
pools();
adaptation($second);
single_process();
