#!/usr/bin/env perl

# Reloads, graceful and fast shutdown with jobs in every state.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time sleep);
use Helix;

use constant FOREVER => 8_000_000_000_000_000;

my $t = Helix->new(timeout => 20);


sub conf {
    my (%args) = @_;

    my $pool = $args{pool} // 'threads=4 concurrency=3';
    my $more = $args{more} // '';
    my $main = $args{main} // '';
    my $workers = $args{workers} // 2;
    my $kind = $args{kind} // 'max_cost=9000000000000000';

    $t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes $workers;
$main

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_timeout 120s;

    helix_zone helix;
    helix_pool jobs $pool busy=off;
    helix_batch size=2 delay=1s;
    helix_kind hashmix $kind;
    helix_adapt off;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        $more

        location /inline   { helix_pass hashmix;
                             helix_job strategy=inline final; }
        location /spawn    { helix_pass hashmix;
                             helix_job strategy=spawn final; }
        location /cpu_pool { helix_pass hashmix;
                             helix_job strategy=cpu_pool final; }
        location /batch    { helix_pass hashmix;
                             helix_job strategy=batch final; }
        location /helix    { helix_status; }
    }
}
END
}


sub begin {
    my ($path, $cost) = @_;

    my $c = $t->connect;

    $c->send(Helix::message('GET', "$path?inputs=1&compute_cost=$cost",
                            undef, Connection => 'close'));

    return $c;
}


sub flight { $_[0]{strategies}{$_[1]}{in_flight} }
sub waiting { $_[0]{strategies}{$_[1]}{waiting} }


sub until_true {
    my ($what, $code) = @_;

    my $s;

    ok($t->wait_for(sub { $s = $t->stats; $s && $code->($s) }, $what), $what)
        or diag(explain({ map { $_ => $s->{$_} }
                          qw(in_flight cancelled completed admitted pool) }));

    return $s;
}


# A job in every strategy, running and waiting, inline last: it keeps its
# worker.  The one batch waits for the pool, the other in its buffer.

sub one_in_each {
    my ($cost) = @_;

    my @jobs = map { [ $_->[0], begin("/$_->[0]", $_->[1]) ] }
                   ([ spawn => $cost ], [ cpu_pool => $cost ],
                    [ cpu_pool => $cost ], [ cpu_pool => $cost ]);

    until_true('the pool is taken', sub { $_[0]{pool}{busy} == 3 });

    push @jobs, map { [ $_, begin("/$_", $cost) ] }
                    qw(cpu_pool batch batch batch);

    until_true('jobs run and wait', sub {
        flight($_[0], 'spawn') == 1 && flight($_[0], 'cpu_pool') == 4
        && waiting($_[0], 'cpu_pool') == 1 && flight($_[0], 'batch') == 3
    });

    push @jobs, [ inline => begin('/inline', $cost) ];

    return @jobs;
}


sub answers {
    my ($name, @jobs) = @_;

    for (@jobs) {
        my ($lane, $c) = @$_;
        my $r = $c->recv;

        is($r ? $r->status : $c->error, 200, "$name: $lane");
        is($r && $r->json->{strategy}, $lane, "$name: $lane is its strategy");
    }
}


conf();
$t->start;

# how long is a cost?

my $r = $t->get('/cpu_pool?inputs=1&compute_cost=4000000000');
my $second = int(4_000_000_000 / ($r->json->{exec_ms} || 1000) * 1000);

# nine jobs on the processors of this machine: the last end after 3 s and more

my $cost = int($second * 0.7);


# reload

my @jobs = one_in_each($cost);
ok($t->reload, 'reload');
my $new = begin('/cpu_pool', 1000);
answers('reload', @jobs);
answers('reload, new', [ cpu_pool => $new ]);

my $s = until_true('reload: the books balance', sub {
    $_[0]{in_flight} == 0 && $_[0]{completed} == 11
});
is_deeply([ Helix::imbalance($s, 1) ], [], 'reload: in every strategy');
is($s->{generation}, 2, 'generation');


# 20 reloads while jobs come and go

sub stream {
    my ($seconds) = @_;

    pipe my $in, my $out or die;

    my $pid = fork // die;

    return [ $pid, $in ] if $pid;

    my $end = time + $seconds * Helix::SLOW;
    my ($n, @bad) = (0);

    while (time < $end) {
        for my $lane (qw(inline spawn cpu_pool batch)) {
            my $r = eval {
                $t->get("/$lane?inputs=1&compute_cost="
                        . int($second / 1000 * (1 + $n % 7)))
            };

            $n++;
            push @bad, "$lane " . ($r ? $r->status . ($r->error // '') : $@)
                if !$r || $r->status != 200 || $r->json->{strategy} ne $lane;
        }
    }

    print $out "$n @bad";
    close $out;

    require POSIX;
    POSIX::_exit(0);
}

conf(pool => 'threads=4 concurrency=3 queue=513');

my $before = $t->stats->{completed};
my @clients = map { stream(4) } 1 .. 3;
my $reloads = 0;

$reloads += $t->reload ? 1 : 0 for 1 .. 20;

is($reloads, 20, '20 reloads');

my $sent = 0;

for (@clients) {
    my ($pid, $in) = @$_;

    local $/;
    my ($n, @bad) = split ' ', <$in> // '';

    waitpid $pid, 0;
    is("@bad", '', 'a client has all its answers');
    $sent += $n // 0;
}

$s = until_true('20 reloads: all have ended', sub { $_[0]{in_flight} == 0 });
is($s->{completed} - $before, $sent, '20 reloads: nothing lost');
is_deeply([ Helix::imbalance($s, 1) ], [], '20 reloads: the books balance');
is($s->{generation}, 22, '20 reloads: generation');
is(grep({ $_->{in_flight} } @{$s->{workers}}), 0, 'no worker holds a job');


# reloads that fail

$t->expect_alert(qr/unknown directive "helix_nonsense"/,
                 qr/bind\(\) to \S+ failed|still could not bind/);

my @workers = $t->workers;
my $epoch = $s->{epoch};

conf(more => 'helix_nonsense;');
$t->signal('HUP');
ok($t->wait_for(sub { $t->read('logs/error.log') =~ /helix_nonsense/ }),
   'bad configuration');

my $taken = IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
                                  LocalAddr => '127.0.0.1') or die;

my $client = begin('/cpu_pool', $second);
conf(more => 'listen 127.0.0.1:' . $taken->sockport . ';',
     pool => 'threads=1 concurrency=1', kind => 'max_cost=1000');
$t->signal('HUP');
ok($t->wait_for(sub { $t->read('logs/error.log') =~ /still could not bind/ }),
   'taken port');

is("@{[$t->workers]}", "@workers", 'failed reloads: the workers are the same');
answers('failed reloads', [ cpu_pool => $client ]);
is($t->get('/cpu_pool?inputs=1&compute_cost=2000')->status, 200,
   'failed reloads: the old configuration serves');
$s = $t->stats;
is($s->{pool}{concurrency}, 3, 'failed reloads: the old settings');
is($s->{epoch}, $epoch, 'the epoch is the same');


# limits

conf(kind => 'max_cost=1000 max_inputs=2');
ok($t->reload, 'reload with other limits');
is($t->get('/cpu_pool?inputs=1&compute_cost=2000')->status, 413, 'max_cost');
is($t->get('/cpu_pool?inputs=1,2,3')->status, 413, 'max_inputs');
is($t->get('/cpu_pool?inputs=1&compute_cost=100')->status, 200, 'below them');


# less concurrency

conf(pool => 'threads=4 concurrency=2', workers => 1);
ok($t->reload, 'one worker, concurrency=2');

my @old = map { begin('/cpu_pool', FOREVER) } 1 .. 4;
until_true('two run, two wait', sub {
    $_[0]{pool}{busy} == 2 && waiting($_[0], 'cpu_pool') == 2
});

conf(pool => 'threads=4 concurrency=1', workers => 1);
ok($t->reload, 'concurrency=1');

my @next = map { begin('/cpu_pool', FOREVER) } 1 .. 2;
until_true('two of each wait', sub { waiting($_[0], 'cpu_pool') == 4 });

# one of the two leaves, which has the first token or the second

my $cancelled = $t->stats->{cancelled};

for my $c ($old[0], $old[1]) {
    $c->rst;
    $cancelled++;

    until_true('one leaves', sub { $_[0]{cancelled} == $cancelled });

    my $most = 0;

    for (1 .. 60) {
        my $busy = $t->stats->{pool}{busy};
        $most = $busy if $busy > $most;
    }

    is($most, 1, 'one runs');
}

for my $c (@old[2, 3], @next) {
    $c->rst;
    $cancelled++;
    until_true('the next leaves', sub { $_[0]{cancelled} == $cancelled });
}

until_true('concurrency=1: all are gone', sub {
    $_[0]{in_flight} == 0 && $_[0]{pool}{busy} == 0
});


# worker_shutdown_timeout

conf(main => 'worker_shutdown_timeout 500ms;', workers => 4);
ok($t->reload, 'worker_shutdown_timeout');

@jobs = map { begin("/$_", FOREVER) }
            qw(spawn spawn cpu_pool cpu_pool cpu_pool cpu_pool batch batch
               batch);
until_true('all are in flight', sub { $_[0]{in_flight} == 9 });

my $pids = join '|', $t->workers;
my $start = time;

ok($t->reload, 'reload with jobs that do not end');
ok($t->wait_for(sub {
       my %gone = map { $_ => 1 } $t->read('logs/error.log')
                                  =~ /process ($pids) exited with code 0/g;
       return keys %gone == 4;
   }, 'the old workers to exit'), 'the old workers have left');
cmp_ok(time - $start, '<', 3 * Helix::SLOW, 'in time');

until_true('their jobs are cancelled', sub {
    $_[0]{cancelled} == $cancelled + 9 && $_[0]{in_flight} == 0
});


# fast shutdown

is_deeply([ $t->books ], [], 'the books');
ok($t->stop, 'all leave');

for my $lane (qw(spawn cpu_pool batch all)) {

    # nginx leaves the requests of open connections as they are

    local $ENV{TEST_ASAN_OPTIONS} = 'detect_leaks=0';

    $t->start;

    my @c = $lane eq 'all' ? one_in_each(FOREVER)
                           : map { begin("/$lane", FOREVER) } 1 .. 7;

    until_true("TERM, $lane: in flight",
               sub { flight($_[0], $lane) == 7 }) if $lane ne 'all';

    is_deeply([ Helix::imbalance($t->stats) ], [], "TERM, $lane: books")
        if $lane ne 'all';

    # the worker has read it

    sleep(0.1) if $lane eq 'all';

    $start = time;
    ok($t->stop('TERM'), "TERM, $lane");
    cmp_ok(time - $start, '<', 1.5 * Helix::SLOW, "TERM, $lane: in time");
}


# graceful shutdown

conf();
$t->start;

is($t->stats->{received}, 0, 'another epoch');

@jobs = one_in_each($cost);
$t->signal('QUIT');
answers('QUIT', @jobs);
ok($t->stop, 'QUIT ends');
