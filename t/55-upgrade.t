#!/usr/bin/env perl

# A new binary and back under a stream of jobs, a storm of reloads, and jobs
# that are subrequests of SSI and mirror.

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

my @lanes = qw(inline spawn cpu_pool batch);

my $t = Helix->new(timeout => 20);


sub conf {
    my (%args) = @_;

    my $pool = $args{pool} // 'threads=4 concurrency=2 queue=512';
    my $ssi = $args{ssi} // '';

    $t->conf(<<"END_OF_CONF");
%%TEST_GLOBALS%%

worker_processes 2;

# a new binary has only these of the environment
env HELIX_LOGS;
env ASAN_OPTIONS;
env UBSAN_OPTIONS;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone helix;
    helix_pool jobs $pool busy=off;
    helix_batch size=3 delay=5ms;
    helix_kind hashmix max_cost=9000000000000000;
    helix_adapt off;

    server {
        listen 127.0.0.1:%%PORT_0%% backlog=1024;

        location /inline   { helix_pass hashmix;
                             helix_job strategy=inline final; }
        location /spawn    { helix_pass hashmix;
                             helix_job strategy=spawn final; }
        location /cpu_pool { helix_pass hashmix;
                             helix_job strategy=cpu_pool final; }
        location /batch    { helix_pass hashmix;
                             helix_job strategy=batch final; }
        location /drop     { helix_pass hashmix;
                             helix_job strategy=drop final; }
        location /helix    { helix_status; }
        $ssi
    }
}
END_OF_CONF
}


sub flight { $_[0]{strategies}{$_[1]}{in_flight} }

sub idle {
    my ($s) = @_;

    return $s && $s->{in_flight} == 0 && $s->{pool}{busy} == 0
           && !grep { $s->{strategies}{$_}{waiting} } qw(spawn cpu_pool batch);
}


# The status of the process tree that has this epoch

sub stats_of {
    my ($epoch) = @_;

    for (1 .. 400) {
        my $s = $t->stats or next;

        return $s if $s->{epoch} eq $epoch;
    }

    return;
}


sub until_true {
    my ($what, $epoch, $code) = @_;

    my $s;

    ok($t->wait_for(sub {
        $s = $epoch ? stats_of($epoch) : $t->stats;
        $s && $code->($s);
    }, $what), $what)
        or diag(explain({ map { $_ => $s->{$_} }
                          qw(epoch in_flight cancelled completed pool) }));

    return $s;
}


# Clients that send jobs of all strategies until they are told to stop, by a
# file: a signal would interrupt them as they wait.

sub stream {
    my ($cost) = @_;

    pipe my $in, my $out or die;

    my $pid = fork // die;

    return { pid => $pid, in => $in } if $pid;

    close $in;

    my ($n, @bad) = (0);

    until (-e $t->dir . "/stop.$$") {
        my @jobs = map {
            my $c = $t->connect;

            $c->send(Helix::message('GET', "/$_?inputs=1&compute_cost="
                                    . int($cost * (1 + $n % 7)), undef,
                                    Connection => 'close'));
            [ $_, $c ];
        } @lanes;

        for (@jobs) {
            my ($lane, $c) = @$_;
            my $r = $c->recv;

            $n++;
            push @bad, "$lane: " . ($r ? $r->status . ($r->error // '')
                                       : $c->error)
                if !$r || $r->status != 200 || $r->error
                   || $r->json->{strategy} ne $lane;
        }
    }

    print $out join "\n", $n, @bad;
    close $out;

    POSIX::_exit(0);
}


# Ends them: the number of answers.

sub ended {
    my ($what, @clients) = @_;

    my ($answers, @bad) = (0);

    $t->write("stop.$_->{pid}", '') for @clients;

    for (@clients) {
        my $in = $_->{in};

        local $/;
        my ($n, @wrong) = split /\n/, <$in> // '';

        waitpid $_->{pid}, 0;
        $answers += $n // 0;
        push @bad, @wrong;
        push @bad, 'a client has died' if !defined $n;
    }

    is_deeply([ splice @bad, 0, 5 ], [], "$what: every job has its answer");
    cmp_ok($answers, '>', 20, "$what: jobs have come");

    return $answers;
}


sub alive {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return 0;

    return (<$fh> // '') =~ /\) [^ZX] /;
}


sub children {
    my ($master) = @_;

    return grep {
        my $line;

        if (open my $fh, '<', "/proc/$_/stat") {
            $line = <$fh>;
        }

        ($line // '') =~ /\) [^ZX] $master /;
    } map { m|/(\d+)$| } glob '/proc/[0-9]*';
}


# A second master beside the first: its pid.

sub upgrade {
    my ($what, $old) = @_;

    my $new;

    kill 'USR2', $old;

    ok($t->wait_for(sub {
        ($new) = $t->read('nginx.pid') =~ /^(\d+)\n/;
        $new && $new != $old && alive($new) && children($new) >= 2;
    }, 'a new master'), "$what: a new master");

    is($t->read('nginx.pid.oldbin'), "$old\n", "$what: the old one remembered");

    return $new;
}


# The epochs that answer now.

sub epochs {
    my %seen;

    $seen{$_->{epoch}}++ for grep { $_ } map { $t->stats } 1 .. 50;

    return sort keys %seen;
}


sub upgrade_and_back {
    my ($cost) = @_;

    my $old = $t->master_pid;
    my $first = $t->stats;
    my @clients = map { stream($cost) } 1 .. 2;
    my $new = upgrade('upgrade', $old);
    my @epochs;

    ok($t->wait_for(sub { @epochs = epochs(); @epochs == 2 }, 'two epochs'),
       'upgrade: two zones');

    my ($other) = grep { $_ ne $first->{epoch} } @epochs;

    ok(defined $other && grep({ $_ eq $first->{epoch} } @epochs),
       'upgrade: one of them is the old');

    # the old workers finish what they have

    kill 'WINCH', $old;
    ok($t->wait_for(sub { !grep { $_ != $new } children($old) },
                    'the old workers'), 'WINCH: the old workers have left');
    is(join(' ', epochs()), $other, 'WINCH: only the new answer');

    # back: the old master has kept its zone

    kill 'HUP', $old;
    ok($t->wait_for(sub { @epochs = epochs(); @epochs == 2 }, 'two epochs'),
       'roll back: both answer');
    is(join(' ', @epochs), join(' ', sort $first->{epoch}, $other),
       'roll back: with the zones that they had');

    my $answers = ended('upgrade and back', @clients);

    my $a = until_true('the old: idle', $first->{epoch}, \&idle);
    my $b = until_true('the new: idle', $other, \&idle);

    is_deeply([ Helix::imbalance($a, 1) ], [], 'the books of the old');
    is_deeply([ Helix::imbalance($b, 1) ], [], 'the books of the new');
    is($a->{completed} - $first->{completed} + $b->{completed}, $answers,
       'no job is lost, and none counted twice');
    cmp_ok($a->{completed}, '>', $first->{completed}, 'the old had some');
    cmp_ok($b->{completed}, '>', 0, 'the new had some');
    is($b->{generation}, 1, 'the new counts generations from the start');

    # without the new one, under another stream

    @clients = map { stream($cost) } 1 .. 2;
    $t->wait_for(sub { stats_of($other)->{completed} > $b->{completed} + 10 });

    kill 'QUIT', $new;
    ok($t->wait_for(sub { !alive($new) }, 'the new master'),
       'roll back: the new master has left');
    ok($t->wait_for(sub { $t->read('nginx.pid') eq "$old\n" }, 'the pid'),
       'roll back: the pid of the old');

    ended('roll back', @clients);

    is(join(' ', epochs()), $first->{epoch}, 'roll back: only the old answers');
    is_deeply([ $t->books ], [], 'roll back: the books');

    return;
}


sub upgrade_for_good {
    my ($cost) = @_;

    my $old = $t->master_pid;
    my $epoch = $t->stats->{epoch};
    my @clients = map { stream($cost) } 1 .. 2;

    my $new = upgrade('for good', $old);

    # long jobs of the old workers, too

    my @long = map {
        my $c = $t->connect;

        $c->send(Helix::message('GET', '/cpu_pool?inputs=1&compute_cost='
                                       . 500 * $cost, undef,
                                Connection => 'close'));
        $c;
    } 1 .. 8;

    kill 'QUIT', $old;
    ok($t->wait_for(sub { !alive($old) }, 'the old master'),
       'for good: the old master has left');

    is_deeply([ map { my $r = $_->recv; $r ? $r->status : $_->error } @long ],
              [ (200) x 8 ], 'for good: long jobs are finished');

    ended('for good', @clients);

    is($t->master_pid, $new, 'for good: the new master');

    my $s = until_true('for good: idle', undef, \&idle);

    isnt($s->{epoch}, $epoch, 'for good: another epoch');
    is_deeply([ Helix::imbalance($s, 1) ], [], 'for good: the books');

    return;
}


sub storm {
    my ($cost) = @_;

    my $before = until_true('storm: idle before', undef, \&idle);
    my @clients = map { stream($cost) } 1 .. 2;

    my @long = map {
        my $c = $t->connect;

        $c->send(Helix::message('GET', "/$_?inputs=1&compute_cost="
                                       . 300 * $cost, undef,
                                Connection => 'close'));
        $c;
    } qw(spawn cpu_pool cpu_pool);

    my $start = time;
    my $due = $start;

    for (1 .. 30) {
        $t->signal('HUP');
        $due += 0.1;
        sleep($due - time) if $due > time;
    }

    my $took = time - $start;

    is_deeply([ map { my $r = $_->recv; $r ? $r->status : $_->error } @long ],
              [ (200) x 3 ], 'storm: long jobs are finished');

    my $answers = ended('storm', @clients);

    ok($t->wait_for(sub { children($t->master_pid) == 2 }, 'old workers', 30),
       'storm: the old workers have left');

    my $s = until_true('storm: idle', undef, \&idle);

    is_deeply([ Helix::imbalance($s, 1) ], [], 'storm: the books');
    is($s->{completed} - $before->{completed}, $answers + 3,
       'storm: no job is lost, and none counted twice');
    is($s->{epoch}, $before->{epoch}, 'storm: the same epoch');
    cmp_ok($s->{generation}, '>', $before->{generation} + 2,
           'storm: there were reloads');

    note(sprintf 'storm: 30 HUP in %.1f s, %d generations, %d jobs', $took,
         $s->{generation} - $before->{generation}, $answers);

    return;
}


# Jobs as subrequests

sub includes {
    my $forever = FOREVER;

    $t->write('pages/all.html', join '|', 'a', (map {
        qq(<!--# include virtual="/$_?inputs=1&id=7" -->)
    } @lanes, 'drop'), 'z');
    $t->write('pages/bad.html',
              'a|<!--# include virtual="/inline?inputs=x" -->|z');
    $t->write('pages/wait.html',
              'a|<!--# include virtual="/cpu_pool?inputs=1" wait="yes" -->|'
              . '<!--# include virtual="/batch?inputs=1" -->|z');
    $t->write("pages/$_.html",
              'a|<!--# include virtual="/inline?inputs=1" -->|<!--# include '
              . qq(virtual="/$_?inputs=1&compute_cost=$forever" -->|z))
        for qw(spawn cpu_pool);

    my $r = $t->get('/pages/all.html');

    is($r->status, 200, 'SSI');
    is($r->error, undef, 'SSI: complete');

    my @parts = split /\|/, $r->body;

    is(join('', @parts[0, -1]), 'az', 'SSI: in place');
    is(join(' ', map { /"strategy":"(\w+)"/ ? $1 : 'none' } @parts[1 .. 4]),
       "@lanes", 'SSI: a job in every strategy');
    like($parts[5], qr/"code":"Rejected"/, 'SSI: a job that is dropped');
    is($r->header('Retry-After'), undef, 'SSI: no header of a part');
    is($r->header('X-Helix-Job'), undef, 'SSI: no header of a job');

    my ($answer) = $t->get('/inline?inputs=1&id=7')->body
                   =~ /"outputs":(\[.*?\])/;

    is(scalar(() = $r->body =~ /"outputs":\Q$answer\E/g), 4,
       'SSI: the same answers');

    like($t->get('/pages/bad.html')->body, qr/\Aa\|.*BadField.*\|z\z/s,
         'SSI: a job that is wrong');
    like($t->get('/pages/wait.html')->body, qr/cpu_pool.*\|.*batch.*\|z\z/s,
         'SSI: one after the other');

    # on one connection, one after the other

    my $c = $t->connect;
    my $whole = 0;

    for (1 .. 20) {
        my $r = $c->request('GET', '/pages/all.html');

        $whole++ if $r && !$r->error
                    && (() = $r->body =~ /"outputs"/g) == 4;
    }

    is($whole, 20, 'SSI: keepalive');

    # clients that leave

    for my $lane (qw(spawn cpu_pool)) {
        my $before = until_true("SSI, $lane: idle", undef, \&idle);
        my @c = map { $t->connect } 1 .. 3;

        $_->send(Helix::message('GET', "/pages/$lane.html")) for @c;

        until_true("SSI, $lane: in flight", undef,
                   sub { flight($_[0], $lane) == 3 });
        $c[0]->rst;
        $c[1]->close;
        $c[2]->rst;

        my $s = until_true("SSI, $lane: gone with the client", undef, \&idle);

        is($s->{cancelled} - $before->{cancelled}, 3,
           "SSI, $lane: cancelled");
        is_deeply([ Helix::imbalance($s, 1) ], [], "SSI, $lane: the books");
    }

    return;
}


sub mirrors {
    my ($cost) = @_;

    for my $lane (@lanes, 'drop') {
        my $before = until_true("mirror, $lane: idle", undef, \&idle);
        my $answers = 0;

        for (1 .. 5) {
            my $r = $t->get("/mirror/$lane?inputs=1&compute_cost=1000");

            $answers++ if $r->status == 200 && $r->body eq 'plain';
        }

        is($answers, 5, "mirror, $lane: the answer is not the job's");

        my $key = $lane eq 'drop' ? 'dropped' : 'completed';

        my $s = until_true("mirror, $lane: all have run", undef, sub {
            $_[0]{$key} == $before->{$key} + 5 && idle($_[0])
        });

        is_deeply([ Helix::imbalance($s, 1) ], [], "mirror, $lane: the books");
    }

    # the client is gone, the job goes or comes to its end

    for my $lane (qw(spawn cpu_pool batch)) {
        my $before = until_true("mirror, $lane: idle again", undef, \&idle);

        my @c = map { $t->connect } 1 .. 5;
        my $long = 50 * $cost;

        $_->send(Helix::message('GET', "/mirror/$lane?inputs=1"
                                       . "&compute_cost=$long")) for @c;
        until_true("mirror, $lane: received", undef, sub {
            $_[0]{received} == $before->{received} + 5
        });
        $_->rst for @c;

        my $s = until_true("mirror, $lane: ended", undef, \&idle);

        is($s->{completed} + $s->{cancelled}
           - $before->{completed} - $before->{cancelled}, 5,
           "mirror, $lane: each has one end");
        is_deeply([ Helix::imbalance($s, 1) ], [],
                  "mirror, $lane: the books of those that left");
    }

    return;
}


conf();
$t->start;

# how long is a cost?

my $r = $t->get('/cpu_pool?inputs=1&compute_cost=400000000');
my $cost = int(400_000_000 / ($r->json->{exec_ms} || 100));     # 1 ms

upgrade_and_back($cost);
upgrade_for_good($cost);
storm($cost);

SKIP: {
    skip 'no SSI or no mirror', 1
        if $built =~ /without-http_(?:ssi|mirror)_module/;

    $t->write('plain', 'plain');
    conf(ssi => <<'END_OF_CONF');
        location /pages { ssi on; root %%DIR%%; }

        location /mirror/inline   { mirror /inline;   try_files /plain =404; }
        location /mirror/spawn    { mirror /spawn;    try_files /plain =404; }
        location /mirror/cpu_pool { mirror /cpu_pool; try_files /plain =404; }
        location /mirror/batch    { mirror /batch;    try_files /plain =404; }
        location /mirror/drop     { mirror /drop;     try_files /plain =404; }
END_OF_CONF
    ok($t->reload, 'reload');

    includes();
    mirrors($cost);
}
