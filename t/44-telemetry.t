#!/usr/bin/env perl

# Pressure that others report: what is taken, how long it holds, and that it
# makes routing more conservative under both policies.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new;

my $template = <<'END_OF_CONF';
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy POLICY;
    %%TEST_GLOBALS_HTTP%%
    helix_pool compute threads=8 concurrency=CONC BUSY;
    helix_kind hashmix batch=off;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass hashmix;
            helix_explain on;
        }

        location /hold {
            helix_pass hashmix;
            helix_job strategy=cpu_pool cost=20000000000;
            helix_timeout 10m;
        }

        location /pressure {
            return 200 "$helix_pressure\n";
        }

        location /helix {
            helix_status write=on;
        }
    }
}
END_OF_CONF

sub conf {
    my ($policy, $n, $busy) = @_;

    return $template =~ s/POLICY/$policy/r =~ s/CONC/$n/r =~ s/BUSY/$busy/r;
}

my $url = '/helix/api/telemetry';

sub report {
    my ($pressure, $source, $ttl) = @_;

    return $t->post($url, '{"pressure":' . $pressure
                          . ($source ? qq{,"source":"$source"} : '')
                          . ($ttl ? qq{,"ttl_ms":$ttl} : '') . '}');
}

sub explained {
    my ($job) = @_;

    return $t->post('/helix/api/explain', $job)->json;
}

$t->conf(conf('threshold', 4, 'busy=4'));
$t->start;


# what is taken

my $r = report(0.25);

is($r->status, 200, 'a report');
is($r->json->{external}, 0.25, 'external');
is($r->json->{pressure}, 0.25, 'pressure');
is($r->json->{internal}, 0, 'internal');
is_deeply([map { [@$_{qw(source pressure)}] } @{$r->json->{sources}}],
          [['default', 0.25]], 'the source');
cmp_ok($r->json->{sources}[0]{ttl_ms}, '<=', 30000, 'for 30 s');
cmp_ok($r->json->{sources}[0]{ttl_ms}, '>', 29000, 'from now');

is_deeply([grep { $_->{external} != 0.25 } map { $t->get($url)->json } 1 .. 10],
          [], 'every worker knows at once');
is_deeply([grep { $_->{pressure}{external} != 0.25
                  || $_->{pressure}{value} != 0.25 } map { $t->stats } 1 .. 10],
          [], 'in api/stats too');
like($t->get('/helix/metrics')->body,
     qr/^helix_pressure_component_ratio\{[^}]*"external"[^}]*\}\ 0\.25$/mx,
     'and for Prometheus');
is($t->get('/pressure')->body, "0.250\n", '$helix_pressure') for 1 .. 4;

is(report(0.75, 'a')->json->{external}, 0.75, 'another source: the highest');
is(report(0.5, 'b')->json->{external}, 0.75, 'a lower one');
is(report(0.125, 'a')->json->{external}, 0.5, 'one that goes down');
is(scalar @{$t->get($url)->json->{sources}}, 3, 'three of them');
is(report(7, 'b')->json->{external}, 1, 'no more than 1');
is(report(-7, 'b')->json->{external}, 0.25, 'no less than 0');
is(report('1e999', 'b')->json->{external}, 1, 'nor beyond numbers');
is(report('0.0', $_)->status, 200, "$_: zero") for qw(default a b);

my @lines = grep { /\[notice\].*helix: pressure/ }
                 split /\n/, $t->read('logs/error.log');

like($lines[0], qr/pressure\ 0\.250\ of\ "default"\ for\ 30000\ ms,
                   \ reported\ by\ 127\.0\.0\.1,/x, 'a line in the log');

report(0, 'b');
report($_ / 10, 'b') for 0 .. 9;
report(0, 'b');

sub told { return grep { /\[notice\].*helix: pressure/ }
                       split /\n/, $t->read('logs/error.log') }

is_deeply([map { /of "(\w+)"/ } told()], [qw(default a b)],
          'one of each source, whatever it says in a minute');

for (['{}', 'BadField', 'pressure'], ['{"pressure":"1"}', 'BadField',
     'pressure'], ['{"pressure":null}', 'BadField', 'pressure'],
     ['{"pressure":1,"source":""}', 'BadField', 'source'],
     ['{"pressure":1,"source":"a b"}', 'BadField', 'source'],
     ['{"pressure":1,"source":"a\nb"}', 'BadField', 'source'],
     ['{"pressure":1,"source":"' . 'x' x 33 . '"}', 'BadField', 'source'],
     ['{"pressure":1,"source":7}', 'BadField', 'source'],
     ['{"pressure":1,"ttl_ms":0}', 'BadField', 'ttl_ms'],
     ['{"pressure":1,"ttl_ms":3600001}', 'BadField', 'ttl_ms'],
     ['{"pressure":1,"ttl_ms":1.5}', 'BadField', 'ttl_ms'],
     ['{"pressure":1,"ttl_ms":-1}', 'BadField', 'ttl_ms'],
     ['{"presure":1}', 'BadField', undef], ['[1]', 'BadJson', undef],
     ['{"pressure":1', 'BadJson', undef], ['', 'BadJson', undef],
     ['{"pressure":1}x', 'BadJson', undef],
     ['{"pressure":1,"pressure":1}', 'BadJson', undef],
     ['{"pressure":NaN}', 'BadJson', undef])
{
    my ($body, $code, $field) = @$_;

    $r = $t->post($url, $body);
    is_deeply([$r->status, @{$r->json}{qw(code field)}], [400, $code, $field],
              "400: $body");
    is($r->json->{title}, $code eq 'BadJson' ? 'The body is not valid JSON'
                          : 'A field of the report is wrong', 'its title');
}

is($t->post($url, '{"pressure":0}', undef, 'If-Match' => '"x"')->status, 200,
   'a condition means nothing');
is($t->post($url, '{"presure":1}')->json->{did_you_mean}, 'pressure',
   'what was meant');
is(report(0.5, 'x' x 32, 20)->status, 200, '32 characters');
is($t->get($url)->json->{external} > 0.5, '', 'none of that was taken');


# 16 of them, and the end of one

$t->wait_for(sub { @{$t->get($url)->json->{sources}} == 3 }, 'its end');

is(report(0.1, "s$_", 60000)->status, 200, "source $_") for 1 .. 13;

$r = report(0.9, 'one-more');

is($r->status, 429, 'no more than 16');
is_deeply([@{$r->json}{qw(code limit)}], ['TooManySources', 16], 'the code');
is(scalar(grep { /one-more/ } told()), 0, 'what is refused is not told');
cmp_ok($r->header('Retry-After'), '<=', 30, 'until the first ends');
is($t->get($url)->json->{external}, 0.1, 'it is not counted');
is(report(0.2, 's3', 200)->json->{external}, 0.2, 'one that is there is');
ok($t->wait_for(sub { report(0, 'one-more')->status == 200 }, 'its end'),
   'a place is free when one ends');
is(scalar(grep { /one-more/ } told()), 1, 'and then it is told');
is($t->get($url)->json->{external}, 0.1, 'and what it said is gone');


# the threshold policy: the limit in force

sub hold {
    my ($n) = @_;

    my @held = map { my $c = $t->connect; $c->send(Helix::message('GET',
                     '/hold')); $c } 1 .. $n;

    $t->wait_for(sub { $t->stats->{pool}{busy} == $n }, "$n busy");

    return @held;
}

sub route { return $t->get("/jobs?cost=$_[0]")->json }

report(0, "s$_", 1) for 1 .. 13;
report(0, $_, 1) for qw(default a b one-more);
ok($t->wait_for(sub { !@{$t->get($url)->json->{sources}} }, 'the end of all'),
   'all of them end');

my $before = explained('{"kind":"hashmix","cost":100000}');

for ([0, 4], [0.1, 4], [0.25, 3], [0.26, 3], [0.5, 2], [0.75, 1], [1, 1]) {
    my ($pressure, $limit) = @$_;

    report($pressure);

    my $e = explained('{"kind":"hashmix","cost":100000}');

    is_deeply([@{$e->{inputs}}{qw(external busy_limit)}], [$pressure, $limit],
              "limit in force at $pressure");
    is($t->stats->{pool}{busy_limit}, $limit, 'in api/stats');
    is($e->{would_change_if}[0], "busy >= $limit -> batch or drop",
       'and in what would change it');

    my $effective = $t->get('/helix/api/config')->json->{effective};

    is_deeply($effective, $limit == 4 ? {} : { backpressure_busy_threshold =>
                          { now => $limit, by => 'telemetry' } }, 'effective');
}

report(0.5);

my @held = hold(2);

is(route(1)->{reason}, 'pressure', '2 busy at 0.5: refused');

my $e = explained('{"kind":"hashmix","cost":1}');

is_deeply($e->{would_change_if}, ['busy < 2 -> another strategy',
                                  'external < 0.500 -> another strategy'],
          'what would change it');
report(0.499);
is(route(1)->{strategy}, 'inline', 'and so it does');
report(1);
is(route(1)->{reason}, 'pressure', 'at 1 it is refused');
report(0);
is(route(1)->{strategy}, 'inline', 'not at 0');

report(1, 'short', 2000 * Helix::SLOW);
is(route(1)->{reason}, 'pressure', 'a short one');
ok($t->wait_for(sub { $t->get($url)->json->{external} == 0 }, 'its end'),
   'ends');
is(route(1)->{strategy}, 'inline', 'is over when it is over');
is_deeply([grep { $_ ne 'inline' } map { route(1)->{strategy} } 1 .. 10], [],
          'for every worker');

undef @held;
ok($t->wait_for(sub { $t->stats->{pool}{busy} == 0 }, 'idle'), 'idle');
$t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'idle');

$e = explained('{"kind":"hashmix","cost":100000}');
delete $_->{inputs}{pressure} for $e, $before;
is_deeply($e, $before, 'as it was, to the bit');


# nothing without a limit

$t->conf(conf('threshold', 4, 'busy=off'));
ok($t->reload, 'reload without backpressure');
report(1);
is(explained('{"kind":"hashmix","cost":100000}')->{inputs}{busy_limit}, 0,
   'there is none');
report(0);


# the predictive policy: capacity

$t->conf(conf('predictive', 2, ''));
ok($t->reload, 'reload to the predictive policy');

is($t->get('/jobs?cost=100000000')->status, 200, 'a job to learn from')
    for 1 .. 20;

sub predicted {
    my ($budget) = @_;

    return explained('{"kind":"hashmix","cost":400000000,"budget_ms":'
                     . $budget . '}');
}

my $mean;
my $cpus = qx{getconf _NPROCESSORS_ONLN};

$t->wait_for(sub {
    $e = predicted(60000);
    $mean = $e->{prediction}{mean_ms};
    return $mean > 1;
}, 'a prediction');

for my $pressure (0.25, 0.5, 1) {
    report($pressure);

    my $p = predicted(60000)->{prediction};
    my $full = 2 * $p->{efficiency};

    $full = $cpus if $full > $cpus;

    cmp_ok(abs($p->{capacity} / ($full * (1 - 0.9 * $pressure)) - 1), '<',
           0.001, "capacity at $pressure");
}

# as it is thought to take now

sub enough { return int(3 * predicted(60000)->{prediction}{mean_ms}) + 10 }

report(0);

my $budget = enough();

is(predicted($budget)->{strategy}, 'cpu_pool', "$budget ms are enough");
report(1);
$budget = enough();
$e = predicted($budget);
is_deeply([@$e{qw(strategy reason)}], [qw(drop infeasible)],
          'not under the pressure of others');
like($e->{would_change_if}[-1], qr/^within_ms >= [\d.]+ -> cpu_pool$/,
     'what would change it');

my ($needed) = $e->{would_change_if}[-1] =~ /([\d.]+)/;

is(predicted(int($needed * 1.2 / 0.88))->{strategy}, 'cpu_pool',
   'and so it does');
is($t->get('/jobs?cost=1000')->json->{strategy}, 'inline',
   'what is cheap is not touched');
$budget = enough();
is($t->get("/jobs?cost=400000000&budget_ms=$budget")->status, 503, 'refused');
report(0);
is($t->get("/jobs?cost=400000000&budget_ms=$budget")->status, 200,
   'not any more');
