#!/usr/bin/env perl

# Mistakes that were made once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Helix;

my $t = Helix->new;

my $conf = <<'END';
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    log_format times '$uri $request_time $helix_time';

    helix_pool jobs threads=1 concurrency=1 queue=1 busy=off;
    helix_kind hashmix max_cost=9000000000000000;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /slow   { helix_pass hashmix; helix_job strategy=inline;
                           access_log %%DIR%%/logs/times.log times; }
        location /short  { helix_pass hashmix; helix_job strategy=cpu_pool;
                           helix_timeout 400ms; }
        location /pool   { helix_pass hashmix; helix_job strategy=cpu_pool; }
        location /spawn  { helix_pass hashmix; helix_job strategy=spawn; }
        location /dry    { helix_pass hashmix; helix_dry_run on;
                           helix_job strategy=drop; }
        location /drop   { helix_pass hashmix; helix_job strategy=drop;
                           error_page 503 /bad; }
        location = /bad  { helix_pass; helix_job kind=nothing_$pid; }
        location /helix  { helix_status; }
    }
}
END

$t->conf($conf);
$t->start;

# an inline job holds the cached time: what follows must not be late for it

my $unit = 1_000_000_000;
my $ms = $t->get("/slow?cost=$unit")->json->{exec_ms};
my $cost = int(800 / $ms * $unit);

my $c = $t->connect;

$c->send(Helix::message('GET', "/slow?cost=$cost")
         . Helix::message('GET', '/short?cost=1000'));

is($c->recv->status, 200, 'a slow inline job');
is($c->recv->status, 200, 'the next one has all of its timeout');

my $line = $t->wait_for(sub {
    return ($t->read('logs/times.log') =~ /^(\/slow .*)\n\z/m)[0];
}, 'the log');

my (undef, $request, $helix) = split / /, $line;

cmp_ok($request, '>=', $helix * 0.9, 'the time of the request in the log');

# dry run counts what was run

my @busy = map { $t->connect } 1 .. 2;

for my $n (1 .. 2) {
    $busy[$n - 1]->send(Helix::message('GET', '/pool?cost=8000000000000000'));
    $t->wait_for(sub {
        my $s = $t->stats;
        return $s->{in_flight} == $n && $s->{pool}{busy} == 1;
    }, "job $n");
}

my $before = $t->stats;
my $r = $t->get('/dry');

is($r->status, 503, 'dry run: the queue is full');
is($t->stats->{dry_run}, $before->{dry_run}, 'dry run: not counted');
is($t->stats->{dropped}, $before->{dropped} + 1, 'dry run: dropped');

# the wait that a full spawn lane stands for is that lane's

my $spawn = $t->connect;

$spawn->send(Helix::message('GET', "/spawn?cost=$cost"));
is($spawn->recv->status, 200, 'a spawn job of a known length');
$spawn->send(Helix::message('GET', '/spawn?cost=8000000000000000'));
$t->wait_for(sub { $t->stats->{strategies}{spawn}{waiting} == 1 }, 'spawn');

$r = $t->get('/spawn?cost=1000');
is($r->json->{reason}, 'queue_full', 'spawn: the lane is full');
cmp_ok($r->json->{retry_after_ms}, '>=', 200, 'spawn: the wait is its own');

$_->rst for @busy, $spawn;
$t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'all are gone');

# a problem says the status that the response has

$r = $t->get('/drop');
is($r->status, 503, 'error_page to another job location');
is($r->json->{code}, 'UnknownKind', 'which is invalid');
is($r->json->{status}, 503, 'status and response agree');

# a reload that fails is none

my $generation = $t->stats->{generation};

my $taken = IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
                                  LocalAddr => '127.0.0.1')
    or die "socket: $@";

$t->conf($conf =~ s/(listen )/listen 127.0.0.1:@{[$taken->sockport]};\n$1/r);
$t->expect_alert(qr/bind\(\) to .* failed|still could not bind/);
$t->signal('HUP');
ok($t->wait_for(sub { $t->read('logs/error.log') =~ /still could not bind/ },
                'the reload to fail'), 'a reload fails');
is($t->stats->{generation}, $generation, 'the generation stays');
