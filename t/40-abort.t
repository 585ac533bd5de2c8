#!/usr/bin/env perl

# Clients that leave, at every stage of a job and in every way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open2;
use Test::More;
use Time::HiRes qw(time sleep);
use Helix;

my $binary = $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx';
my $python = '/usr/bin/python3';

my $version = `$binary -V 2>&1`;
my ($minor) = $version =~ m|^nginx version: \S+?/1\.(\d+)|;
my $v2 = $version =~ /http_v2_module/
         && system("$python -c 'import h2' 2>/dev/null") == 0;

use constant FOREVER => 8_000_000_000_000_000;

my $t = Helix->new(timeout => 5);

my $listen = !$v2 ? 'listen 127.0.0.1:%%PORT_1%%;'
             : ($minor // 99) < 25 ? 'listen 127.0.0.1:%%PORT_1%% http2;'
             : 'listen 127.0.0.1:%%PORT_1%%; http2 on;';

$t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes 1;

events {
    worker_connections 2048;
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone helix;
    helix_pool jobs threads=2 concurrency=1 queue=200 busy=off;
    helix_policy threshold;
    helix_batch size=2 delay=10s;
    helix_adapt off;
    helix_kind hashmix max_cost=9000000000000000;
    helix_timeout 600s;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        $listen

        location /inline   { helix_pass hashmix;
                             helix_job strategy=inline final; }
        location /spawn    { helix_pass hashmix;
                             helix_job strategy=spawn final; }
        location /cpu_pool { helix_pass hashmix;
                             helix_job strategy=cpu_pool final; }
        location /batch    { helix_pass hashmix;
                             helix_job strategy=batch final; }

        location /auth {
            auth_request /guard;
            try_files /none =404;
        }

        location /guard    { helix_pass hashmix;
                             helix_job inputs=1 cost=@{[FOREVER]};
                             helix_job strategy=cpu_pool final; }

        location /helix    { helix_status; }
    }
}
END

$t->start;

my %leave = (
    FIN  => sub { $_[0]->close },
    RST  => sub { $_[0]->rst },
    half => sub { $_[0]->shutdown_write },
);

my $base;


sub begin {
    my ($path, $cost) = @_;

    my $c = $t->connect;

    $cost //= FOREVER;
    $c->send(Helix::message('GET', "$path?inputs=1&compute_cost=$cost"));

    return $c;
}


# What has changed since the last call of mark().

sub mark { $base = $t->stats }

sub since {
    my ($s, $key, $lane) = @_;

    return $lane ? $s->{strategies}{$lane}{$key}
                   - $base->{strategies}{$lane}{$key}
                 : $s->{$key} - $base->{$key};
}


sub flight { $_[0]{strategies}{$_[1]}{in_flight} }
sub waiting { $_[0]{strategies}{$_[1]}{waiting} }
sub busy { $_[0]{pool}{busy} }


sub idle {
    my ($s) = @_;

    return $s->{in_flight} == 0 && busy($s) == 0
           && !grep { waiting($s, $_) } qw(spawn cpu_pool batch);
}


sub until_true {
    my ($what, $code) = @_;

    my $s;

    ok($t->wait_for(sub { $s = $t->stats; $s && $code->($s) }, $what), $what)
        or diag(explain({ map { $_ => $s->{$_} }
                          qw(in_flight cancelled completed admitted pool) }));

    return $s;
}


# A job that has the only token, until it is told to go.

sub occupy {
    my $c = begin('/cpu_pool');

    $t->wait_for(sub { my $s = $t->stats;
                       busy($s) == 1 && flight($s, 'cpu_pool') == 1 },
                 'the pool to be taken') or die;

    return $c;
}


sub before_and_mid_body {
    my ($how) = @_;

    for my $part ('', '{"kind":"hash') {
        my $name = ($part eq '' ? 'before the body' : 'mid body') . ", $how";
        my $ended = sub {
            return scalar(() = $t->read('logs/access.log')
                               =~ m|"POST /spawn \S+ 4|g);
        };

        mark();
        my $n = $ended->();

        my $c = $t->connect;
        $c->send("POST /spawn HTTP/1.1\r\nHost: localhost\r\n"
                 . "Content-Type: application/json\r\n"
                 . "Content-Length: 40\r\n\r\n$part");

        # what came later has been answered: so this has been read
        $t->stats;

        $leave{$how}->($c);

        ok($t->wait_for(sub { $ended->() > $n }, $name), $name);
        is(since($t->stats, 'received'), 0, "$name: no job");
    }
}


sub in_the_queue {
    my ($how) = @_;

    my $first = occupy();
    mark();

    my @c = map { begin('/cpu_pool') } 1 .. 3;

    until_true("queued, $how: three wait",
               sub { waiting($_[0], 'cpu_pool') == 3 });

    $leave{$how}->($c[1]);

    my $s = until_true("queued, $how: one is gone",
                       sub { since($_[0], 'cancelled', 'cpu_pool') == 1 });

    is(waiting($s, 'cpu_pool'), 2, "queued, $how: its place is free");
    is(busy($s), 1, "queued, $how: the first still runs");

    $leave{$how}->($_) for @c[0, 2];
    until_true("queued, $how: all are gone",
               sub { since($_[0], 'cancelled') == 3
                     && waiting($_[0], 'cpu_pool') == 0 });

    $leave{$how}->($first);
    until_true("running in the pool, $how",
               sub { since($_[0], 'cancelled') == 4 && idle($_[0]) });
}


sub in_a_batch {
    my ($how) = @_;

    mark();

    my $c = begin('/batch');

    until_true("in the buffer, $how: it waits",
               sub { waiting($_[0], 'batch') == 1 });
    $leave{$how}->($c);
    until_true("in the buffer, $how",
               sub { since($_[0], 'cancelled', 'batch') == 1
                     && idle($_[0]) });

    my $first = occupy();
    mark();

    my @c = map { begin('/batch') } 1 .. 2;

    until_true("in a flushed batch, $how: both wait",
               sub { waiting($_[0], 'batch') == 2 });

    for my $n (1, 2) {
        $leave{$how}->(shift @c);
        until_true("in a flushed batch, $how: $n gone",
                   sub { since($_[0], 'cancelled', 'batch') == $n
                         && waiting($_[0], 'batch') == 2 - $n });
    }

    # one of two leaves while both run: the other is computed to its end

    @c = (begin('/batch'), begin('/batch', 20_000_000_000));

    until_true("running batch, $how: both wait",
               sub { waiting($_[0], 'batch') == 2 });

    $leave{$how}->($first);

    until_true("running batch, $how: it runs",
               sub { waiting($_[0], 'batch') == 0 && busy($_[0]) == 1
                     && flight($_[0], 'cpu_pool') == 0 });

    $leave{$how}->($c[0]);

    my $r = $c[1]->recv;

    is($r && $r->status, 200, "running batch, $how: the other is answered");
    is($r && $r->json->{batch_size}, 2, "running batch, $how: of two");

    until_true("running batch, $how",
               sub { since($_[0], 'cancelled') == 4
                     && since($_[0], 'completed') == 1 && idle($_[0]) });
}


sub in_the_loop {
    my ($how) = @_;

    mark();

    my @c = map { begin('/spawn') } 1 .. 3;

    until_true("spawn, $how: three run",
               sub { flight($_[0], 'spawn') == 3 });
    $leave{$how}->($c[1]);
    until_true("spawn, $how: one is gone",
               sub { since($_[0], 'cancelled', 'spawn') == 1
                     && flight($_[0], 'spawn') == 2 });
    $leave{$how}->($_) for @c[0, 2];
    until_true("spawn, $how",
               sub { since($_[0], 'cancelled', 'spawn') == 3 && idle($_[0]) });

    # nobody looks at the connection while a job runs inline

    mark();
    $c[0] = begin('/inline', 3_000_000_000);
    $leave{$how}->($c[0]);
    until_true("inline, $how",
               sub { since($_[0], 'completed', 'inline') == 1
                     && idle($_[0]) });
}


sub after_the_answer {
    my ($how) = @_;

    for my $lane (qw(inline spawn cpu_pool)) {
        mark();

        my $c = begin("/$lane", 1000);
        my $r = $c->recv;

        is($r && $r->status, 200, "answered, $lane, $how");
        $leave{$how}->($c);

        my $s = $t->stats;

        is(since($s, 'completed', $lane), 1, "answered, $lane, $how: counted");
        is(since($s, 'cancelled'), 0, "answered, $lane, $how: once");
    }
}


for my $how (qw(FIN RST half)) {
    before_and_mid_body($how);
    in_the_queue($how);
    in_a_batch($how);
    in_the_loop($how);
    after_the_answer($how);
}


# The work stops long before its own end, and others are not disturbed.

for my $lane (qw(spawn cpu_pool)) {
    my $c = begin("/$lane");
    until_true("$lane runs", sub { flight($_[0], $lane) == 1 });

    my $start = time;
    $c->rst;
    until_true("$lane stops", sub { idle($_[0]) });

    cmp_ok(time - $start, '<', Helix::SLOW, "$lane stops soon");
    is($t->get('/cpu_pool?inputs=1&compute_cost=1000')->status, 200,
       "$lane: the next is served");
}


# The job of a subrequest of another module.

mark();
my $client = begin('/auth');
until_true('auth_request: the job runs',
           sub { flight($_[0], 'cpu_pool') == 1 });
$client->rst;
until_true('auth_request: the job is cancelled',
           sub { since($_[0], 'cancelled') == 1 && idle($_[0]) });


# Jobs that end while their clients leave.

mark();

for my $round (1 .. 40) {
    for my $lane (qw(spawn cpu_pool batch inline)) {
        my @c = map { begin("/$lane", 2_000_000 * $_) } 1 .. 4;

        sleep(0.0001 * ($round % 8));
        $_->rst for @c;
    }
}

my $raced = until_true('racing clients: all end',
                       sub { since($_[0], 'admitted')
                             && since($_[0], 'admitted')
                                == since($_[0], 'cancelled')
                                   + since($_[0], 'completed')
                             && idle($_[0]) });

cmp_ok(since($raced, 'cancelled'), '>', 0, 'racing clients: some were first');
cmp_ok(since($raced, 'completed'), '>', 0, 'racing clients: some were not');


# HTTP/2

SKIP: {
    skip 'no HTTP/2', 1 if !$v2;

    h2_streams($_) for qw(spawn cpu_pool batch);
    h2_rapid_reset();
}


sub h2_client {
    my $pid = open2(my $out, my $in, $python, "$FindBin::Bin/lib/h2.py",
                    $t->port(1));

    return sub {
        print $in "@_\n";
        $in->flush;

        my $line = <$out> // 'nothing';
        chomp $line;

        waitpid $pid, 0 if $_[0] eq 'close' || $_[0] eq 'rst';

        return $line;
    };
}


sub h2_streams {
    my ($lane) = @_;

    my $job = "/$lane?inputs=1&compute_cost=";

    mark();

    my $say = h2_client();
    my (undef, @streams) = split ' ', $say->("get $job@{[FOREVER]} 3");

    is(scalar @streams, 3, "h2 $lane: three streams");
    until_true("h2 $lane: in flight", sub { flight($_[0], $lane) == 3 });

    # the third of a batch of two is still in the buffer

    $say->("reset $streams[2]");
    until_true("h2 $lane: RST_STREAM",
               sub { since($_[0], 'cancelled', $lane) == 1
                     && flight($_[0], $lane) == 2 });

    my (undef, $id) = split ' ', $say->('get /inline?inputs=1');

    is($say->("answer $id"), "answer $id 200", "h2 $lane: others live");

    $say->('reset');
    until_true("h2 $lane: all reset",
               sub { since($_[0], 'cancelled', $lane) == 3 && idle($_[0]) });

    for my $end (qw(close rst half)) {
        mark();

        $say = h2_client() if $end ne 'close';
        $say->("get $job@{[FOREVER]} 3");

        until_true("h2 $lane, $end: in flight",
                   sub { flight($_[0], $lane) == 3 });
        $say->($end);
        until_true("h2 $lane, $end",
                   sub { since($_[0], 'cancelled', $lane) == 3
                         && idle($_[0]) });

        $say->('close') if $end eq 'half';
    }

    # what a client says by GOAWAY is not that it leaves

    $say = h2_client();
    (undef, $id) = split ' ', $say->("get ${job}3000000000");
    $say->("get ${job}1000");
    $say->('goaway');
    is($say->("answer $id"), "answer $id 200", "h2 $lane: GOAWAY");
    $say->('close');
}


sub h2_rapid_reset {
    my $burst = "burst /cpu_pool?inputs=1&compute_cost=@{[FOREVER]} 1000";
    my $first = occupy();

    # nginx since 1.25.3, and others by a patch, close the connection of such a
    # client after a while

    my $all = 100;

    mark();

    my $say = h2_client();

    is($say->($burst), 'ok', 'rapid reset');

    my $s = until_true('rapid reset: all have ended',
                       sub { since($_[0], 'received') >= $all
                             && $_[0]{in_flight} == 1 });

    is(waiting($s, 'cpu_pool'), 0, 'rapid reset: no place is taken');
    is(since($s, 'cancelled') + since($s, 'dropped'), since($s, 'received'),
       'rapid reset: all are accounted for');
    is(busy($s), 1, 'rapid reset: another job keeps its token');

    $first->rst;
    until_true('rapid reset: idle', sub { idle($_[0]) });

    # the same with jobs that get to run

    $say->('close');
    $say = h2_client();
    mark();

    is($say->($burst), 'ok', 'rapid reset of running jobs');

    my $most = 0;

    until_true('rapid reset of running jobs: all have ended', sub {
        $most = busy($_[0]) if busy($_[0]) > $most;
        return since($_[0], 'received') >= $all && idle($_[0]);
    });

    cmp_ok($most, '<=', 1, 'rapid reset of running jobs: one at a time');
    is($t->get('/cpu_pool?inputs=1')->status, 200,
       'rapid reset of running jobs: others are served');

    $say->('close');
}
