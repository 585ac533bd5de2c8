#!/usr/bin/env perl

# Counters that start from zero: all formats, with jobs in flight, under load;
# the books balance before and after, and what adapts does not notice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use POSIX ();
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

    helix_zone reset;
    helix_pool compute threads=2 concurrency=2;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass hashmix;
            helix_job strategy=$arg_s;
            helix_timeout 30s;
        }

        location /helix {
            helix_status write=on;
        }

        location /read {
            helix_status;
        }
    }
}
END

$t->start;

my @lanes = qw(inline spawn cpu_pool batch drop);
my $s;

$t->wait_for(sub { @{$t->stats->{workers}} == 3 }, 'all workers');


# at rest

$s = $t->stats;

my ($epoch, $first) = ($s->{epoch}, $s->{since});

like($first, qr/^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'since');
is(start(), $epoch, 'counters start with the zone');

$t->get("/jobs?cost=1000&s=$_") for @lanes, @lanes;
$t->get('/jobs?cost=x');
$t->get('/jobs?x=1');

$s = $t->stats;

is($s->{received}, 12, 'received before');
is($s->{strategies}{spawn}{latency_ms}{count}, 2, 'histogram before');
cmp_ok($s->{predictive}{cpu_secs}, '>', 0, 'processor time before');

my $samples = $s->{kinds}{hashmix}{samples};

is($t->post('/read/api/reset', '{}')->status, 403, 'writing is guarded');
is($t->get('/helix/api/reset')->status, 405, 'a GET changes nothing');
is($t->get('/helix/api/reset')->header('Allow'), 'POST', 'Allow');
is($t->stats->{received}, 12, 'nothing was reset');

my $r = $t->post('/helix/api/reset', '{}');

is($r->status, 200, 'reset');
is(join(' ', keys %{$r->json}), 'since', 'members of the answer');
is($r->header('Cache-Control'), 'no-store', 'not to be cached');
like($t->read('logs/error.log'),
     qr/\[notice\] .*the counters of zone "reset" were reset, client: /,
     'a line in the log');

$s = $t->stats;

is($s->{since}, $r->json->{since}, 'since is that of the answer');
cmp_ok($s->{since}, 'gt', $first, 'and later');
is($s->{epoch}, $epoch, 'the epoch stays');
cmp_ok(start(), '>', $epoch, 'Prometheus: counters start later');

is_deeply([counters('', $s)], [], 'all counters are zero');
is($s->{kinds}{hashmix}{samples}, $samples, 'what was learned stays');

my $metrics = $t->get('/helix/metrics')->body;

is_deeply([grep { !/^\S+(?:_total|_count|_sum|_bucket)\{.*\} 0(?:\.0+)?$/ }
                grep { /^\S+?(?:_total|_count|_sum|_bucket)\{/ }
                     split /\n/, $metrics], [],
          'Prometheus: all counters are zero');
is(join('; ', Helix::imbalance($s, 1)), '', 'the books balance');

$t->get("/jobs?cost=1000&s=$_") for qw(inline spawn);
$t->get('/jobs?cost=x');

$s = $t->stats;

is($s->{received}, 3, 'counting goes on');
is($s->{strategies}{spawn}{completed}, 1, 'by strategy');
is($s->{strategies}{spawn}{latency_ms}{count}, 1, 'and with durations');
cmp_ok($s->{strategies}{spawn}{latency_ms}{avg}, '>', 0, 'of that job');
is($s->{invalid_by_code}{BadField}, 1, 'by code');


# an empty body, and a second time in a row

is($t->post('/helix/api/reset', '')->status, 200, 'without a body');
is($t->post('/helix/api/reset', '{}')->status, 200, 'twice');
is($t->stats->{received}, 0, 'zero');


# jobs in flight

my @busy = map {
    my $c = $t->connect;
    $c->send(Helix::message('GET', '/jobs?cost=2000000000&s=cpu_pool'));
    $c;
} 1 .. 4;

$t->wait_for(sub { $t->stats->{in_flight} == 4 }, 'jobs in flight');

is($t->post('/helix/api/reset', '{}')->status, 200, 'reset with jobs in flight');

$s = $t->stats;

is($s->{admitted}, $s->{in_flight} + $s->{completed}, 'these stay admitted');
cmp_ok($s->{admitted}, '<=', 4, 'and nothing else');
is(join('; ', Helix::imbalance($s)), '', 'the books balance');

is($_->recv->status, 200, 'a job that was in flight') for @busy;

$s = $t->stats;

is($s->{completed}, $s->{admitted}, 'all of them completed');
is(join('; ', Helix::imbalance($s, 1)), '', 'the books balance');


# under load: one resets, some send, some look

my $until = Time::HiRes::time() + 3;
my @children;

for (0 .. 2) {
    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        load();
        POSIX::_exit(0);
    }

    push @children, $pid;
}

my ($resets, $looks, @wrong) = (0, 0);
my $last = '';

while (Time::HiRes::time() < $until) {
    $r = $t->post('/helix/api/reset', '{}');
    $resets++;

    push @wrong, 'reset: ' . $r->status if $r->status != 200;

    for (1 .. 5) {
        $s = $t->stats;
        $looks++;

        push @wrong, Helix::imbalance($s);
        push @wrong, "since $s->{since}, before $last" if $s->{since} lt $last;
        push @wrong, huge('', $s);

        my $sum = 0;
        $sum += $_ for values %{$s->{dropped_by_reason}};

        push @wrong, "dropped $s->{dropped}, by reason $sum"
            if abs($sum - $s->{dropped}) > 3;

        $last = $s->{since};
    }
}

waitpid $_, 0 for @children;

cmp_ok($resets, '>=', 5, "resets under load: $resets, looked $looks times");
is_deeply([@wrong > 10 ? @wrong[0 .. 9] : @wrong], [], 'the books balance');

$t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'the end of the load');

$s = $t->stats;

my ($dropped, $invalid) = (0, 0);

$dropped += $_ for values %{$s->{dropped_by_reason}};
$invalid += $_ for values %{$s->{invalid_by_code}};

is($dropped, $s->{dropped}, 'what was dropped, by reason, is all of it');
is($invalid, $s->{invalid}, 'and what was invalid');


# a worker that is killed in the middle of jobs, before and after a reset

my $c = $t->connect;
$c->send(Helix::message('GET', '/jobs?cost=20000000000&s=cpu_pool'));

$t->wait_for(sub { $t->stats->{in_flight} == 1 }, 'a job in flight');

is($t->post('/helix/api/reset', '{}')->status, 200, 'reset');

my ($worker) = map { $_->{pid} } grep { $_->{in_flight} }
                   @{$t->stats->{workers}};

$t->expect_kill(1);
kill 'KILL', $worker;

$t->wait_for(sub { ($t->stats || {})->{lost} }, 'the job to be lost');

$s = $t->stats;

is($s->{lost}, 1, 'it counts as lost after the reset');
is($s->{admitted}, 1, 'admitted before');
is($s->{crashes}, 1, 'a crash');

is($t->post('/helix/api/reset', '{}')->status, 200, 'reset');
is_deeply([@{$t->stats}{qw(lost admitted crashes)}], [0, 0, 0], 'zero again');


# a reload keeps it

$t->get('/jobs?cost=1000&s=inline');

my $since = $t->stats->{since};

$t->reload;

is($t->stats->{since}, $since, 'since, after a reload');
is($t->stats->{completed}, 1, 'counters, after a reload');

$t->done;
done_testing();


sub start {
    my ($value) = $t->get('/helix/metrics')->body
                  =~ /^helix_zone_start_timestamp_seconds\{[^}]*\} (\S+)$/m;

    return sprintf '%.0f', $value * 1000;
}


# Counters that are not zero.

sub counters {
    my ($path, $node) = @_;

    return map { counters("$path.$_", $node->{$_}) } sort keys %$node
        if ref $node eq 'HASH'
           && $path !~ /^\.(?:config|pressure|pool|rate|stream|thresholds)/;

    return if ref $node || !defined $node || $node !~ /^[\d.e+-]+$/
              || $path =~ /^\.(?:api|module|nginx|uptime_secs|epoch|generation)$/
              || $node == 0
              || $path =~ /^\.zone_(?:size|used)$|waiting_limit$/
              || $path =~ /^\.(?:adaptive_spawn_threshold|pressure_score)$/
              || $path =~ /\.(?:predicted_ms|share|samples)$/
              || ($path =~ /^\.predictive\./ && $path !~ /_secs$/)
              || $path =~ /\.(?:queued|lag|inline_limit)_secs$/
              || $path =~ /\.(?:ema|window|jobs_per_sec)\b/;

    return "$path = $node";
}


# Less than zero, as a 64 bit number.

sub huge {
    my ($path, $node) = @_;

    return map { huge("$path.$_", $node->{$_}) } sort keys %$node
        if ref $node eq 'HASH';
    return if ref $node || !defined $node || $node !~ /^\d+$/;
    return $node > 9e18 ? "$path = $node" : ();
}


sub load {
    my $c = $t->connect;

    while (Time::HiRes::time() < $until) {
        my $lane = $lanes[rand @lanes];
        my $cost = rand() < 0.1 ? 'x' : int(rand 20000);

        $c->send(Helix::message('GET', "/jobs?cost=$cost&s=$lane"));
        $c->recv or $c = $t->connect;
    }
}
