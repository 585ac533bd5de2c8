#!/usr/bin/env perl

# Workers that die: what they had is counted as lost, nothing else is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);
use Helix;

use constant FOREVER => 8_000_000_000_000_000;

my $t = Helix->new(timeout => 10);


sub conf {
    my ($workers) = @_;

    $t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes $workers;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_zone helix;
    helix_pool jobs threads=4 concurrency=2 queue=100 busy=off;
    helix_batch size=3 delay=10s;
    helix_kind hashmix max_cost=9000000000000000;
    helix_adapt off;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /inline   { helix_pass hashmix;
                             helix_job strategy=inline final; }
        location /spawn    { helix_pass hashmix;
                             helix_job strategy=spawn final; }
        location /cpu_pool { helix_pass hashmix;
                             helix_job strategy=cpu_pool final; }
        location /batch    { helix_pass hashmix;
                             helix_job strategy=batch final; }
        location /pid      { return 200 \$pid; }
        location /helix    { helix_status; }
    }
}
END
}


# A connection to a worker that is one of those given.

sub to {
    my (@pids) = @_;

    for (1 .. 5000) {
        my $c = $t->connect;
        my $r = $c->request('GET', '/pid');

        return $c if $r && grep { $r->body == $_ } @pids;

        $c->close;
    }

    die "no connection to @pids";
}


sub begin {
    my ($c, $lane, $cost) = @_;

    $c->send(Helix::message('GET', "/$lane?inputs=1&compute_cost="
                                   . ($cost // FOREVER)));

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

    ok($t->wait_for(sub { $s = eval { $t->stats }; $s && $code->($s) },
                    $what, $seconds), $what)
        or diag(explain({ map { $_ => $s->{$_} }
                          qw(in_flight lost cancelled completed admitted
                             pool workers) }));

    return $s;
}


sub kill_worker {
    my ($pid) = @_;

    $t->expect_kill;

    kill 'KILL', $pid;
}


sub settled {
    $t->wait_for(sub { $t->workers >= $t->{workers} }, 'a new worker');
}


# One worker, a job in each state.

sub alone {
    for my $state (
        # name, lane, jobs before it, jobs, what shows that they are there
        [ 'spawn', 'spawn', 0, 3, sub { flight($_[0], 'spawn') == 3 } ],
        [ 'running in the pool', 'cpu_pool', 0, 2,
          sub { $_[0]{pool}{busy} == 2 } ],
        [ 'waiting for the pool', 'cpu_pool', 2, 4,
          sub { waiting($_[0], 'cpu_pool') == 4 } ],
        [ 'in the batch buffer', 'batch', 0, 2,
          sub { waiting($_[0], 'batch') == 2 } ],
        [ 'batch that waits', 'batch', 2, 3,
          sub { waiting($_[0], 'batch') == 3 } ],
        [ 'running batch', 'batch', 0, 3,
          sub { $_[0]{pool}{busy} == 1 && flight($_[0], 'batch') == 3 } ],
    ) {
        my ($name, $lane, $before, $n, $there) = @$state;

        my $lost = $t->stats->{lost};
        my @c = map { begin($t->connect, 'cpu_pool') } 1 .. $before;

        until_true("$name: the pool is taken",
                   sub { $_[0]{pool}{busy} == 2 }) if $before;

        push @c, map { begin($t->connect, $lane) } 1 .. $n;
        until_true("$name: in flight", $there);

        my ($pid) = $t->workers;
        my $start = time;

        kill_worker($pid);

        my $s = until_true("$name: lost", sub { idle($_[0]) });

        cmp_ok(time - $start, '<', 1.2 * Helix::SLOW, "$name: soon");
        is($s->{lost} - $lost, $before + $n, "$name: exactly those");
        is_deeply([ Helix::imbalance($s, 1) ], [], "$name: the books");
        is($t->get('/cpu_pool?inputs=1')->status, 200, "$name: served again");

        ok(!grep({ $_->recv } @c), "$name: no answers");
        settled();
    }

    # inline: nobody can look before it is over

    my $lost = $t->stats->{lost};
    my $c = begin($t->connect, 'inline');

    sleep(0.1 * Helix::SLOW);
    kill_worker($t->workers);

    my $s = until_true('inline: lost', sub { idle($_[0]) });
    is($s->{lost} - $lost, 1, 'inline: exactly that');
    settled();
}


# Several workers: the others keep what they have.

sub among {
    my ($workers) = @_;

    my $name = "1 of $workers";
    my $before = $t->stats;
    my ($victim, @others) = $t->workers;

    my @mine = map { begin(to(@others), $_) } qw(spawn cpu_pool);

    until_true("$name: jobs of others run", sub {
        flight($_[0], 'spawn') == 1 && $_[0]{pool}{busy} == 1
    });

    begin(my $c = to($victim), 'cpu_pool');

    until_true("$name: both tokens are taken",
               sub { $_[0]{pool}{busy} == 2 });

    # a job that waits for the token that the dead one holds

    my $next = begin(to(@others), 'cpu_pool', 1000);
    my @c = map { begin(to($victim), $_) } qw(spawn cpu_pool batch batch);

    until_true("$name: all are in flight", sub { $_[0]{in_flight} == 8 });

    my $start = time;

    kill_worker($victim);

    my $r = $next->recv;
    is($r && $r->status, 200, "$name: the token is free again");
    cmp_ok(time - $start, '<', 1.2 * Helix::SLOW, "$name: soon");

    my $s = until_true("$name: lost",
                       sub { $_[0]{lost} - $before->{lost} == 5 });

    is($s->{in_flight}, 2, "$name: the others' jobs are in flight");
    is($s->{cancelled}, $before->{cancelled}, "$name: and not cancelled");
    ok(!$_->closed(0.01), "$name: its client waits") for @mine;
    settled();

    $_->close for @mine;
    $s = until_true("$name: idle", sub { idle($_[0]) });
    is($s->{lost} - $before->{lost}, 5, "$name: lost once");
    is_deeply([ Helix::imbalance($s, 1) ], [], "$name: the books");
}


# A stopped worker is not a dead one; while it is stopped others are found.

sub stopped {
    my $before = $t->stats;
    my ($stopped, $victim, @others) = $t->workers;

    # the lowest slot first: it may be the one that looks after the others

    my ($lowest) = sort { $a->{slot} <=> $b->{slot} } @{$before->{workers}};

    ($stopped, $victim, @others) = ($lowest->{pid},
                                    grep { $_ != $lowest->{pid} } $t->workers);

    my $c = to(@others);
    my @held = map { begin(to($stopped), $_) } qw(spawn cpu_pool batch);
    my @lost = map { begin(to($victim), $_) } qw(spawn cpu_pool batch);

    until_true('SIGSTOP: in flight', sub { $_[0]{in_flight} == 6
                                           && $_[0]{pool}{busy} == 2 });

    my $stats = sub { $c->request('GET', '/helix/api/stats')->json };

    kill 'STOP', $stopped;

    my $start = time;

    kill_worker($victim);

    ok($t->wait_for(sub { $stats->()->{lost} - $before->{lost} == 3 },
                    'the dead one'), 'SIGSTOP: another that dies is found');
    cmp_ok(time - $start, '<', 1.2 * Helix::SLOW, 'SIGSTOP: soon');

    sleep(0.05) while time - $start < 3;

    my $s = $stats->();

    is($s->{in_flight}, 3, 'SIGSTOP: its jobs are in flight');
    is($s->{pool}{busy}, 1, 'SIGSTOP: its token is taken');
    is($s->{lost} - $before->{lost}, 3, 'SIGSTOP: none of them is lost');

    kill 'CONT', $stopped;

    $_->close for @held;
    $s = until_true('SIGCONT: they are its own', sub { idle($_[0]) });
    is($s->{cancelled} - $before->{cancelled}, 3, 'SIGCONT: cancelled');
    is($s->{lost} - $before->{lost}, 3, 'SIGCONT: not lost');
    settled();
}


# Kills under load: what clients saw against the books.

sub client {
    pipe my $in, my $out or die;

    my $pid = fork // die;

    if ($pid) {
        close $out;
        return [ $pid, $in ];
    }

    my %n = (ok => 0, none => 0, other => 0);
    my $end = 0;

    $SIG{TERM} = sub { $end = 1 };

    until ($end) {
        for my $lane (qw(inline spawn cpu_pool batch)) {
            my $r = eval { $t->get("/$lane?inputs=1&compute_cost=50000000") };

            $n{!$r || $r->status == 0 || $r->error ? 'none'
               : $r->status == 200 ? 'ok' : 'other'}++;
        }
    }

    print $out "@n{qw(ok none other)}";
    close $out;
    POSIX::_exit(0);
}


sub under_load {
    my $before = $t->stats;
    my @clients = map { client() } 1 .. 6;

    for my $i (1 .. 10) {
        my $s = $t->wait_for(sub { eval { $t->stats } });
        my $done = $s->{completed};

        # one that has only just been started has nothing to be missed

        my %alive = map { $_ => 1 } $t->workers;
        my @pids = grep { $alive{$_} } map { $_->{pid} } @{$s->{workers}};

        $t->wait_for(sub { $s = eval { $t->stats };
                           $s && $s->{completed} > $done + 5
                           && $s->{in_flight} }, 'jobs');

        kill_worker($pids[$i % @pids]);
        settled();
    }

    kill 'TERM', map { $_->[0] } @clients;

    my %n = (ok => 0, none => 0, other => 0);

    for (@clients) {
        my ($pid, $in) = @$_;
        my @n = split ' ', <$in> // '';

        waitpid $pid, 0;
        $n{$_} += shift @n // 0 for qw(ok none other);
    }

    my $s = until_true('10 kills: idle', sub { idle($_[0]) });
    my %b = map { $_ => $s->{$_} - $before->{$_} }
                qw(completed lost cancelled admitted);

    is_deeply([ Helix::imbalance($s, 1) ], [], '10 kills: the books');
    is($n{other}, 0, '10 kills: no other answers');
    cmp_ok($n{none}, '>', 0, '10 kills: some were not answered');

    # a worker may die between the books and the answer, or with a request
    # that it has not read

    cmp_ok($b{completed}, '>=', $n{ok}, '10 kills: all answers are counted');
    cmp_ok($b{lost}, '<=', $n{none}, '10 kills: lost are without answer');
    cmp_ok($b{completed} - $n{ok}, '<=', $n{none} - $b{lost},
           '10 kills: every job that was admitted is accounted for');

    until_true('10 kills: seen',
               sub { $_[0]{crashes} - $before->{crashes} == 10 });
}


conf(1);
$t->start;
alone();

conf(2);
ok($t->reload, 'two workers');
among(2);

conf(4);
ok($t->reload, 'four workers');
among(4);
stopped();
under_load();
