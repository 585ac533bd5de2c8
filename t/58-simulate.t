#!/usr/bin/env perl

# POST api/simulate: the ancestor's workload as jobs that nobody waits for,
# decided on, run and counted as those of requests are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);
use Helix;

my $root = "$FindBin::Bin/..";

my $t = Helix->new;
my $url = '/helix/api/simulate';
my @lanes = qw(inline spawn cpu_pool batch);

# workers that are killed, and ended by TERM, leave what nginx does not free

local $ENV{TEST_ASAN_OPTIONS} = 'detect_leaks=0';

$t->conf(example());
$t->start;


# what it answers, and what it does not take

my $r = $t->get($url);

is($r->status, 405, 'GET');
is($r->header('Allow'), 'POST', 'GET, Allow');
is($t->request($_, $url, '{}', 'Content-Type' => 'application/json')->status,
   405, $_) for qw(PUT PATCH DELETE);

for (['', 'text/plain', 415], ['', undef, 415],
     ['jobs=1', 'application/x-www-form-urlencoded', 415])
{
    my ($body, $type, $status) = @$_;

    is($t->request('POST', $url, $body,
                   defined $type ? ('Content-Type' => $type) : ())->status,
       $status, 'type ' . ($type // 'none'));
}

for (['Host' => 'evil.example', 'ForeignHost'],
     ['Origin' => 'http://evil.example', 'CrossOrigin'],
     ['Sec-Fetch-Site' => 'cross-site', 'CrossOrigin'])
{
    my ($name, $value, $code) = @$_;

    $r = $t->post($url, '{}', undef, $name => $value);
    is($r->status . ' ' . $r->json->{code}, "403 $code", "$name: $value");
}

$r = $t->post('/readonly/api/simulate', '{}');
is($r->status . ' ' . $r->json->{code}, '403 WriteDisabled', 'write=off');

for (['{', 'BadJson'], ['[]', 'BadJson'], ['7', 'BadJson'], ['nil', 'BadJson'],
     ['{"jobs":}', 'BadJson'], ['{"jobs":1} x', 'BadJson'],
     ['{"jobs":1', 'BadJson'], ['{"jobs":-1}', 'BadField'],
     ['{"jobs":1.5}', 'BadField'], ['{"jobs":"1"}', 'BadField'],
     ['{"jobs":null}', 'BadField'], ['{"jobs":[1]}', 'BadField'],
     ['{"rate":1e3}', 'BadField'], ['{"seed":true}', 'BadField'],
     ['{"seed":18446744073709551616}', 'BadField'],
     ['{"job":1}', 'BadField', 'jobs'], ['{"":1}', 'BadField'],
     ['{"jobs":1,"jobs":2}', 'BadField'], ['{"jobsjobsjobs":1}', 'BadField'],
     ['{}', 'BadField', undef, '?jobs=x'], ['{}', 'BadField', undef, '?jobs='],
     ['{}', 'BadField', undef, '?jobs'], ['{}', 'BadField', undef, '?=1'],
     ['{}', 'BadField', 'rate', '?rat=1'],
     ['{}', 'BadField', undef, '?jobs=1&jobs=1'],
     ['{"jobs":1}', 'BadField', undef, '?jobs=1'])
{
    my ($body, $code, $nearest, $query) = @$_;

    $r = $t->post($url . ($query // ''), $body);
    is($r->status . ' ' . ($r->json->{code} // ''), "400 $code",
       "bad: $body " . ($query // ''));
    is($r->json->{did_you_mean}, $nearest, 'did you mean') if $nearest;
}

is($t->stats->{received}, 0, 'none of it was a job');

for (['{"jobs":0,"rate":0}', '', [1, 1, 7]],
     ['{"jobs":18446744073709551615,"rate":18446744073709551615}',
      '', [5000, 100000, 7], 'x'],
     ['{"seed":18446744073709551615,"jobs":1}', '',
      [1, 40, '18446744073709551615']],
     ['', '?jobs=2&rate=1000', [2, 1000, 7]],
     ['', '?&seed=0&jobs=3&', [3, 40, 0]],
     ['{"jobs":4}', '?rate=500', [4, 500, 7]],
     [' { } ', '?jobs=1', [1, 40, 7]])
{
    my ($body, $query, $want) = @$_;

    $r = $t->post($url . $query, $body);
    is($r->status, 202, "$body $query: status");
    is($r->header('Cache-Control'), 'no-store', "$body $query: Cache-Control");

    my $j = $r->json;

    is("$j->{started} $j->{rate} $j->{seed}", "@$want", "$body $query: bounds");
    is($j->{seconds}, $want->[0] / $want->[1], "$body $query: seconds");
    idle();
}

like($t->post($url, '{"jobs":1,"seed":18446744073709551615}')->body,
     qr/"seed":18446744073709551615\}/, 'a seed of 64 bits is exact');
idle();


# the ancestor's figure, and that its answers are

my $before = counts();

my $start = time;

$r = $t->post($url, '');
is($r->status, 202, 'the defaults');
is_deeply($r->json, { started => 200, rate => 40, seconds => 5, seed => 7 },
          'the answer');

$r = $t->post($url, '{"jobs":1}');
is($r->status . ' ' . $r->json->{code}, '409 SimulationRunning',
   'one at a time, whichever worker is asked') for 1 .. 8;

idle();
cmp_ok(time - $start, '>', 4.9, 'at the rate that was asked for');
is_deeply(since($before),
          { inline => 12, spawn => 97, cpu_pool => 56, batch => 35,
            hashmix => 66, primecount => 110, montecarlo_risk => 24,
            received => 200, invalid => 0, dropped => 0, completed => 200 },
          'seed 7: strategies and kinds');

my @recorded = @{$t->get('/helix/api/decisions?n=1000')->json};
my %ids = map { $_->{id} => 1 } @recorded;
my ($first) = sort { $a <=> $b } keys %ids;
my ($last) = sort { $b <=> $a } keys %ids;

cmp_ok(scalar keys %ids, '>=', 200, 'the decisions are recorded');
is((grep { $_ >= $last - $last % 1000000 } keys %ids), 200,
   'ids of the simulation');
cmp_ok($first, '>=', 1000000, 'ids begin at the number of the simulation');
is_deeply([sort map { "$_->{kind} $_->{cost}" }
           grep { $_->{id} % 1000000 < 3 && $_->{id} > $last - 1000 } @recorded],
          ['hashmix 111348', 'primecount 22028', 'primecount 74320'],
          'the first jobs');

my ($line) = grep { / simulation \d+: 200 jobs, / }
              split /^/, $t->read('logs/error.log');

like($line // '', qr/\[notice\] .*: 200 jobs, 40 a second, seed 7, client: /,
     'who has started it');


# much more than can be done: bounded, and others are served meanwhile

$before = counts();

my ($slowest, $probes, $busy) = (0, 0, 0);
my $c = $t->connect;
my $took = time;

is($t->post($url . '?jobs=5000&rate=100000', '{}')->status, 202,
   '5000 at once');

until (done($before, 5000)) {
    my $at = time;
    my $probe = $c->request('GET', '/probe');

    $probe && $probe->status == 200 or die 'the probe has no answer';
    $slowest = time - $at if time - $at > $slowest;
    $probes++;

    my $waiting = 0;
    $waiting += $_->{waiting} // 0 for values %{$t->stats->{strategies}};
    $busy = $waiting if $waiting > $busy;

    die 'the simulation does not end' if time - $took > 60 * Helix::SLOW;
}

$took = time - $took;
idle();

my $now = since($before);

is($now->{received}, 5000, 'all were received');
is($now->{completed} + $now->{dropped}, 5000, 'and completed or dropped');
cmp_ok($busy, '<=', 3 * 512, 'no more waited than may');
note(sprintf 'took %.2f s, the slowest of %d probes %.1f ms', $took, $probes,
     1000 * $slowest);

my @logged = grep { /helix: job rejected/ }
             split /^/, $t->read('logs/error.log');

cmp_ok(scalar @logged, '<=', 2 * ($took + 2), 'the log is not flooded');


# a worker dies in the middle of one

$before = counts();
is($t->post($url, '{"jobs":5000,"rate":200}')->status, 202, 'one more');
$t->wait_for(sub { since($before)->{received} >= 20 }, 'some jobs');
$t->expect_kill(2);
$t->expect_alert(qr/exited on signal 9/);
kill 'KILL', $t->workers;

ok($t->wait_for(sub {
    my $r = eval { $t->post($url, '{"jobs":10,"rate":1000}') };
    $r && $r->status == 202;
}, 'a simulation after the death'), 'the dead do not hold it');
idle();


# the workers are stopped in the middle of a flood

my %old = map { $_ => 1 } $t->workers;

$before = counts();
is($t->post($url, '{"jobs":5000,"rate":20000}')->status, 202, 'a flood');
$t->wait_for(sub { since($before)->{received} >= 50 }, 'some jobs');
kill 'TERM', keys %old;
ok($t->wait_for(sub {
    my @now = $t->workers;
    @now == 2 && !grep { $old{$_} } @now;
}, 'new workers'), 'TERM of the workers');

$t->wait_for(sub { gone() }, 'the old workers to leave');
is_deeply([Helix::imbalance($t->stats, 1)], [], 'the books balance');
cmp_ok(since($before)->{received}, '<=', 5000, 'not more than all');


# a reload in the middle: it ends with its worker, the books balance

$before = counts();

is($t->post($url, '{"jobs":5000,"rate":200}')->status, 202, 'a long one');
$t->wait_for(sub { since($before)->{received} >= 20 }, 'some jobs');
ok($t->reload, 'reload');

is($t->wait_for(sub { gone() }, 'the old workers to leave'), 1, 'they leave');

my $n = since($before)->{received};

cmp_ok($n, '<', 5000, 'it has ended');
$t->wait_for(sub { $t->post($url, '{"jobs":10,"rate":1000}')->status == 202 },
             'another one to start');
idle();
is(since($before)->{received}, $n + 10, 'and another one may run');


# one worker that has to compute all of it inline: the event loop goes on

my $conf = example();

$conf =~ s/(worker_processes +)2/${1}1/ or die;
$conf =~ s/(helix_inline_threshold +)8000/${1}999999/ or die;
$conf =~ s/(helix_spawn_threshold +)60000/${1}1000000/ or die;

$t->conf($conf);
ok($t->reload, 'one worker, all inline');
$t->wait_for(sub { gone() }, 'the old workers to leave');

$before = counts();
$c = $t->connect;
$start = time;
$slowest = 0;

is($c->request('POST', "$url?jobs=5000&rate=100000", '{}',
               'Content-Type' => 'application/json')->status, 202,
   'one worker: 5000 at once');

my ($answers, $received) = (0, 0);

while ($received < 5000) {
    my $at = time;
    my $s = $c->request('GET', '/helix/api/stats')->json;

    $received = $s->{received} - $before->{received};
    $slowest = time - $at if time - $at > $slowest;
    $answers++;

    die 'it does not end' if time - $start > 60 * Helix::SLOW;
}

$took = time - $start;

cmp_ok($answers, '>', 5, "one worker: $answers answers in between");
cmp_ok($slowest, '<', $took / 2,
       sprintf 'one worker: the slowest took %.1f of %.1f ms',
               1000 * $slowest, 1000 * $took);
idle();
is(since($before)->{inline}, 5000, 'one worker: all ran inline');

$t->conf(example());
ok($t->reload, 'two workers again');
$t->wait_for(sub { gone() }, 'the old worker to leave');


# all is stopped in the middle of a flood

is_deeply([$t->books], [], 'the books, before the end');
is($t->post($url, '{"jobs":5000,"rate":20000}')->status, 202, 'the last one');
ok($t->stop('TERM'), 'TERM');


sub example {
    open my $fh, '<', "$root/conf/examples/seed.conf" or die;
    local $/;
    my $conf = <$fh>;

    $conf =~ s/^load_module .*\n//m;
    $conf =~ s/\blisten\s+8080/listen 127.0.0.1:%%PORT_0%%/ or die;
    $conf =~ s/^http \{\n/http {\n%%TEST_GLOBALS_HTTP%%\n/m or die;
    $conf =~ s/^(\s*)helix_status;/$1helix_status write=on;/m or die;
    $conf =~ s{^( *location /jobs)}{<<END . $1}me or die;
        location /readonly { helix_status; }
        location /probe { return 200 ok; }

END

    return "%%TEST_GLOBALS%%\n$conf";
}

sub counts {
    my $s = $t->stats;

    return {
        (map { $_ => $s->{strategies}{$_}{completed} } @lanes),
        (map { $_ => $s->{kinds}{$_}{received} }
             qw(hashmix primecount montecarlo_risk)),
        (map { $_ => $s->{$_} } qw(received invalid dropped completed)),
    };
}

sub since {
    my ($before) = @_;

    my $now = counts();

    return { map { $_ => $now->{$_} - $before->{$_} } keys %$now };
}

sub done {
    my ($before, $jobs) = @_;

    my $now = since($before);

    return $now->{received} >= $jobs && $t->stats->{in_flight} == 0;
}

# no simulation runs: as its end is told in the log

sub idle {
    return $t->wait_for(sub {
        my $log = $t->read('logs/error.log');
        my $started = () = $log =~ /simulation \d+: \d+ jobs/g;
        my $ended = () = $log =~ /simulation \d+ ended/g;

        $started == $ended + (() = $log =~ /exited on signal 9/g) / 2;
    }, 'the simulation to end', 30) && $t->stats->{in_flight} == 0;
}

sub gone {
    my @now = $t->workers;

    return $t->stats->{workers} && @{$t->stats->{workers}} == @now;
}
