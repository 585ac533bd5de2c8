#!/usr/bin/env perl

# More worker processes than the zone has slots: those without one refuse jobs,
# leak nothing, and take the place of the next that leaves.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

plan skip_all => '131 processes are too slow here'
    if $ENV{TEST_WRAP} || ($ENV{TEST_SLOW} // 1) > 2;

use constant SLOTS => 128;

my $t = Helix->new(timeout => 30);

my $conf = <<'END';
%%TEST_GLOBALS%%

worker_processes WORKERS;

events {
    worker_connections 32;
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_pool jobs threads=1 concurrency=2 queue=64 busy=off;
    helix_kind hashmix max_cost=9000000000000000;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        location /jobs  { helix_pass hashmix; helix_job strategy=$arg_s; }
        location /helix { helix_status; }
    }
}
END

sub workers { (my $text = $conf) =~ s/WORKERS/$_[0]/; return $text }

$t->conf(workers(SLOTS + 3));
$t->start;

ok($t->wait_for(sub {
       $t->read('logs/error.log') =~ /all 128 process slots are taken/
   }), 'the log says so');

# with reuseport a connection meets any of the workers

my (%status, %reason);

for (1 .. 400) {
    my $r = $t->get('/jobs?s=cpu_pool&cost=1000');

    $status{$r->status}++;
    $reason{$r->json->{reason} // ''}++ if $r->status == 503;
}

is(join(' ', sort keys %status), $status{503} ? '200 503' : '200', 'answers');
is(join(' ', keys %reason), $status{503} ? 'no_slot' : '', 'the reason');

is(scalar(@{$t->stats->{workers}}), SLOTS, 'all slots are taken');
is($t->stats->{completed}, $status{200}, 'what was run is in the books');

# a worker that is killed leaves its slot, and its token

my $c = $t->connect;

$c->send(Helix::message('GET', '/jobs?s=cpu_pool&cost=8000000000000000'));

my $owner = $t->wait_for(sub {
    my ($w) = grep { $_->{in_flight} } @{$t->stats->{workers}};
    return $w && $w->{pid};
}, 'a job runs');

SKIP: {
    skip 'the job met a worker without a slot', 2 if !$owner;

    $t->expect_kill(1);
    kill 'KILL', $owner;

    ok($t->wait_for(sub {
        my $s = $t->stats;
        return $s->{lost} == 1 && $s->{pool}{busy} == 0;
    }, 'the job is lost'), 'the job is lost, its token free');
    ok($t->wait_for(sub { @{$t->stats->{workers}} == SLOTS },
                    'the slot to be taken'), 'the slot is taken again');
}

# a reload to a sane number: everybody has a slot in the end, nothing is lost

$t->conf(workers(4));
ok($t->reload, 'reload');
ok($t->wait_for(sub { @{$t->stats->{workers}} == 4 }, 'four slots'),
   'each of four workers has a slot');
is($t->get('/jobs?s=cpu_pool&cost=1000')->status, 200, 'served')
    for 1 .. 20;
