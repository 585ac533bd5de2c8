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
        like($_[0]->{$_}, qr/^\d+$/, $_) for qw(completed dropped);
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


# as in its README

my $s = $t->stats;

is_deeply({ map { $_ => $s->{strategies}{$_}{completed} }
            qw(inline spawn cpu_pool batch) },
          { inline => 12, spawn => 97, cpu_pool => 56, batch => 35 },
          'the mix of its README');
is("$s->{completed} $s->{dropped}", '200 0', 'completed and dropped');


# jobs by its names

for my $job ('{"id":1,"kind":"HashMix","inputs":[42,100],"compute_cost":1000,'
             . '"scaling_potential":0.3,"latency_budget_ms":50}',
             '{"id":1,"kind":"hash_mix","inputs":[42,100],'
             . '"compute_cost":1000}')
{
    my $r = $t->post('/jobs', $job);

    is($r->status, 200, $job);
    like($r->body, qr/"outputs":\[10216004649843298165\]/, 'its answer');
    is($r->json->{strategy}, 'inline', 'its strategy');
}


# the decisions, by its names

my ($decision) = @{$t->get('/api/decisions?n=1')->json};

is(join(' ', grep { !exists $decision->{$_} }
        qw(job_id strategy compute_cost cpu_busy pressure decision_source)),
   '', 'members of a decision');
is("$decision->{job_id} $decision->{strategy} $decision->{compute_cost}",
   '1 inline 1000', 'a decision');


# what is said of paths that are not there

for my $row ($page =~ /^\| (`GET [^|]*) \| none \|/mg) {
    is($t->get(s/ID/1/r)->status, 404, "GET $_")
        for $row =~ m{(/[\w/-]+)}g;
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
