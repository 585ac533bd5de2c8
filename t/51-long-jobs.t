#!/usr/bin/env perl

# A job of three seconds in every strategy: a reload and a graceful shutdown
# half a second later wait for the answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);
use Helix;

my $t = Helix->new(timeout => 60);

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_kind hashmix max_cost=9000000000000;
    helix_timeout 120s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /inline   { helix_pass hashmix; helix_job strategy=inline; }
        location /spawn    { helix_pass hashmix; helix_job strategy=spawn; }
        location /cpu_pool { helix_pass hashmix; helix_job strategy=cpu_pool; }
        location /batch    { helix_pass hashmix; helix_job strategy=batch; }
        location /helix    { helix_status; }
    }
}
END

$t->start;

# what three seconds of one core cost here

my $unit = 2_000_000_000;
my ($best) = sort { $a <=> $b }
             map { $t->get("/inline?cost=$unit")->json->{exec_ms} } 1 .. 9;
my $cost = int(3000 / $best * $unit);

for my $how (qw(reload stop)) {

    # inline comes last: it keeps its worker, and the others are to be seen

    my @jobs = map { [ $_ => $t->connect ] } qw(spawn cpu_pool batch inline);

    for (@jobs) {
        my ($lane, $c) = @$_;

        $c->send(Helix::message('GET', "/$lane?inputs=1&cost=$cost"));

        next if $lane eq 'inline';

        ok($t->wait_for(sub {
            $t->stats->{strategies}{$lane}{in_flight} == 1
        }, "$lane runs"), "$how: $lane runs");
    }

    my $started = time;

    ok($t->$how, $how) if $how eq 'reload';
    $t->signal('QUIT') if $how eq 'stop';

    my $outputs;

    for (@jobs) {
        my ($lane, $c) = @$_;
        my $r = $c->recv;

        is($r ? $r->status : $c->error, 200, "$how: $lane is answered");

        my $json = $r ? $r->json : {};

        is($json->{strategy}, $lane, "$how: $lane is its strategy");
        cmp_ok($json->{exec_ms} // 0, '>=', 1500, "$how: $lane took its time");

        $outputs //= "@{$json->{outputs}}";
        is("@{$json->{outputs}}", $outputs, "$how: $lane has the result");
    }

    diag(sprintf('%s: answered after %.1f s', $how, time - $started))
        if $ENV{TEST_VERBOSE};

    if ($how eq 'reload') {
        is_deeply([$t->books], [], 'reload: the books balance');
        next;
    }

    ok($t->stop, 'stop: nothing is left running');
}

# what the teardown looks at

$t->start;
