#!/usr/bin/env perl

# docs/migrating.md: what clients of HelixRouter send, as its README has it,
# and what they read in the answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;
use Helix;

my $root = "$FindBin::Bin/..";
my $page = slurp("$root/docs/migrating.md");

my $t = Helix->new(stats => '/api/stats');

$t->conf(example());
$t->start;

my $port = $t->port;

local $ENV{no_proxy} = '*';


# the location "/" has the paths directly below

my %type = ('/' => 'text/plain', '/health' => 'application/json',
            '/metrics' => 'text/plain; version=0.0.4; charset=utf-8',
            '/api/stats' => 'application/json');

for my $path (sort keys %type) {
    my $r = $t->get($path);

    is($r->status, 200, "GET $path");
    is($r->header('Content-Type'), $type{$path}, "GET $path: type");
    is($t->get("/helix$path")->status, 200, "GET /helix$path");
}

is($t->get($_)->status, 404, "GET $_") for qw(/none /api /api/stats/ /healthx);
is($t->get($_)->status, 405, "GET $_") for qw(/api/simulate /api/explain);


for my $r ($t->get('/', 'Accept' => 'text/html,*/*;q=0.8')) {
    is($r->status, 200, 'the dashboard');
    is($r->header('Content-Type'), 'text/html; charset=utf-8',
       'the dashboard: type');
}


# its dashboard, and what a program sends without a type

is($t->request('POST', '/api/simulate?jobs=1&rate=1', '')->status, 415,
   'a simulation without a type');


# the command lines

my %check = (
    'GET /health' => sub {
        is($_[0]->{status}, 'ok', 'status');
        like($_[0]->{uptime_secs}, qr/^\d+$/, 'uptime_secs');
    },

    'GET /api/stats' => sub {
        like($_[0]->{$_}, qr/^\d+$/, $_)
            for qw(completed dropped adaptive_spawn_threshold);
        like($_[0]->{pressure_score}, qr/^[01](?:\.\d+)?(?:e-\d+)?$/,
             'pressure_score');
        is(ref $_[0]->{$_}, 'ARRAY', $_)
            for qw(routed_by_strategy latency_by_strategy);
    },

    'GET /metrics' => sub {
        like($_[0], qr/^helix_\Q$_\E\{/m, "helix_$_")
            for qw(completed_total dropped_total pressure_ratio
                   job_duration_seconds_bucket);
    },

    'POST /api/simulate' => sub {
        is_deeply($_[0], { started => 200, rate => 40, seconds => 5,
                           seed => 7 }, 'what was started');
        $t->wait_for(sub {
            $t->read('logs/error.log') =~ /simulation 1 ended/;
        }, 'the simulation', 30);

        mix();
    },

    'GET /api/config' => sub {
        my $config = defaults();

        is($_[0]->{$_}, $config->{$_}, $_) for sort keys %$config;
    },

    'PATCH /api/config' => sub {
        my $config = defaults();

        $config->{spawn_threshold} = 80000;
        $config->{batch_max_size} = 16;

        is($_[0]->{$_}, $config->{$_}, $_) for sort keys %$config;
    },

    'GET /api/stream/decisions' => sub {
        my @decisions = map { JSON::PP->new->decode($_) }
                        $_[0] =~ /(?:^|\n\n)(?:id: .*\n)?data: (.*)\n/g;

        cmp_ok(scalar @decisions, '>=', 10, 'unnamed events') or diag($_[0]);
        is(join(' ', map { members($_) } @decisions), '', 'their members');
    },
);

# what has to happen before

my %before = (
    'GET /api/stream/decisions' => sub {
        is($t->post('/api/simulate?jobs=60', '')->status, 202, 'some jobs');
    },
);

my %status = ('POST /api/simulate' => 202, 'GET /api/neural' => 404,
              'GET /api/autoscaler/forecast' => 404);

my @lines = map { split /\n/ } $page =~ /^```bash\n(.*?)^```$/msg;

ok(@lines >= 5, 'there are command lines');

my %seen;

for my $line (@lines) {
    my ($path) = $line =~ m{127\.0\.0\.1:8081(/[^\s'?]*)};
    my ($method) = $line =~ / -X (\w+)/;
    my $name = ($method // 'GET') . ' ' . ($path // '?');
    my $file = $t->dir . '/body';

    $seen{$name} = 1;

    $before{$name}->() if $before{$name};

    (my $command = $line) =~ s/127\.0\.0\.1:8081/127.0.0.1:$port/g;
    $command =~ s/^curl /curl -q -s -o \Q$file\E -w '%{http_code}' /;

    my $status = qx(bash -c \Q$command\E 2>&1);
    my $body = slurp($file);

    is($status, $status{$name} // 200, $line) or diag($body);

    next if !$check{$name};

    my $json = $path eq '/metrics' || $path =~ /stream/
               ? $body : eval { JSON::PP->new->decode($body) };

    ok(defined $json, "$name: what was read") or next;

    subtest($name => sub { $check{$name}->($json) });
}

is(join(' ', grep { !$seen{$_} } sort keys %check), '',
   'all that is checked is on the page');


# all of its configuration, as a client has read it; and what it refuses

is($t->request('DELETE', '/api/config')->status, 200, 'as it was');

my $config = $t->get('/api/config')->json;

for my $name (keys %{defaults()}) {
    is($config->{$name}, defaults()->{$name}, "$name: as it was");
}

my $r = $t->post('/api/config', JSON::PP->new->encode(
    { %{defaults()}, adaptive_step => 0.2, ema_alpha => 0.5 }));

is($r->status, 200, 'a whole configuration');
is(join(' ', map { $r->json->{$_} } qw(adaptive_step ema_alpha version)),
   '0.2 0.5 1', 'is in force');

for (['{"inline_threshold":60000}', 'inline >= spawn'],
     ['{"inline_threshold":0}', 'inline = 0'],
     ['{"cpu_parallelism":0}', 'no parallelism'],
     ['{"cpu_queue_cap":0}', 'no queue'],
     ['{"cpu_queue_cap":4}', 'queue < parallelism'],
     ['{"batch_max_size":1}', 'batches of one'],
     ['{"ema_alpha":0}', 'alpha = 0'], ['{"ema_alpha":1.5}', 'alpha > 1'],
     ['{"adaptive_step":0}', 'step = 0'], ['{"adaptive_step":2}', 'step > 1'])
{
    my ($patch, $rule) = @$_;

    $r = $t->request('PATCH', '/api/config', $patch,
                     'Content-Type' => 'application/json');
    is($r->status, 422, "$rule: refused as there");
    is($t->get('/api/config')->json->{ema_alpha}, 0.5, "$rule: nothing changed");
}

is($t->request('DELETE', '/api/config')->status, 200, 'as it was, again');


# jobs by its names

for my $job ('{"id":1,"kind":"HashMix","inputs":[42,100],"compute_cost":1000,'
             . '"scaling_potential":0.3,"latency_budget_ms":50}',
             '{"id":1,"kind":"hash_mix","inputs":[42,100],'
             . '"compute_cost":1000}')
{
    $r = $t->post('/jobs', $job);

    is($r->status, 200, $job);
    like($r->body, qr/"outputs":\[10216004649843298165\]/, 'its answer');
    is($r->json->{strategy}, 'inline', 'its strategy');
}


# the decisions, by its names

my ($decision) = @{$t->get('/api/decisions?n=1')->json};

is(join(' ', members($decision)), '', 'members of a decision');
is("$decision->{job_id} $decision->{strategy} $decision->{compute_cost}",
   '1 inline 1000', 'a decision');


# what is said of paths that are not there

for my $row ($page =~ /^\| (`GET [^|]*) \| none \|/mg) {
    is($t->get(s/ID/1/r)->status, 404, "GET $_")
        for $row =~ m{(/[\w/-]+)}g;
}


# as in its README

sub mix {
    my $s = $t->stats;
    my %routed = map { $_->{strategy} => $_->{count} }
                 @{$s->{routed_by_strategy}};
    my %kinds = %{$s->{kind_routing}};

    is("$s->{completed} $s->{dropped}", '200 0', 'completed and dropped');
    is($s->{adaptive_spawn_threshold}, 60000, 'adaptive_spawn_threshold');
    is_deeply(\%routed, { inline => 12, spawn => 97, cpu_pool => 56,
                          batch => 35 }, 'the mix of its README');
    is_deeply(\%kinds, { hash_mix => 66, prime_count => 110,
                         monte_carlo_risk => 24 }, 'kinds');

    my @latency = @{$s->{latency_by_strategy}};

    is(join(' ', map { $_->{strategy} } @latency),
       'batch cpu_pool inline spawn', 'strategies with latencies, by name');

    for my $row (@latency) {
        is($row->{count}, $routed{$row->{strategy}},
           "$row->{strategy}: count");
        like($row->{$_}, qr/^\d+$/, "$row->{strategy}: $_ is an integer")
            for qw(p50_ms p95_ms p99_ms min_ms max_ms);
        like($row->{$_}, qr/^\d+(?:\.\d+)?(?:e-\d+)?$/,
             "$row->{strategy}: $_") for qw(avg_ms ema_ms);
    }

    return;
}

# its RouterConfig::default()

sub defaults {
    return {
        version => 1, inline_threshold => 8000, spawn_threshold => 60000,
        cpu_queue_cap => 512, cpu_parallelism => 8,
        backpressure_busy_threshold => 7, batch_max_size => 8,
        batch_max_delay_ms => 10, ema_alpha => 0.15, adaptive_step => 0.1,
        cpu_p95_budget_ms => 200, adaptive_p95_threshold_factor => 1.5,
    };
}

# what a decision lacks

sub members {
    my ($decision) = @_;

    return grep { !exists $decision->{$_} }
           qw(job_id strategy compute_cost cpu_busy pressure decision_source);
}

sub example {
    my $conf = slurp("$root/conf/examples/seed.conf");

    $conf =~ s/^load_module .*\n//m;
    $conf =~ s/\blisten\s+8080/listen 127.0.0.1:%%PORT_0%%/ or die;
    $conf =~ s/^http \{\n/http {\n%%TEST_GLOBALS_HTTP%%\n/m or die;
    $conf =~ s/^(\s*)helix_status;/$1helix_status write=on;/m or die;
    $conf =~ s{^( *location /jobs)}{<<END . $1}me or die;
        location / {
            helix_status write=on;
        }

END

    return "%%TEST_GLOBALS%%\n$conf";
}

sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or return '';
    local $/;

    return scalar(<$fh>) // '';
}
