#!/usr/bin/env perl

# The ancestor's workload against its defaults: job for job the ancestor's
# strategy, and every answer right.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $root = "$FindBin::Bin/..";
my $python = '/usr/bin/python3';

plan skip_all => "no $python" if !-x $python;


# the program that draws the jobs; others may be building it too

my $program = "$root/build/seed_jobs";

mkdir "$root/build";
system('gcc', '-std=c11', '-Wall', '-Wextra', '-Werror', '-O2',
       "-I$root/src/base", '-o', "$program.$$",
       "$FindBin::Bin/lib/seed_jobs.c", "$root/src/base/helix_workload.c",
       '-lm') == 0 or die 'gcc';
rename "$program.$$", $program or die "$program: $!";

chomp(my @jobs = qx{$program 7 200 0.15});

my $t = Helix->new;

is(scalar @jobs, 200, 'jobs');
is($jobs[0], '{"id":0,"kind":"PrimeCount","inputs":[28528,54499,190227],'
             . '"compute_cost":22028,"scaling_potential":0.47002548,'
             . '"latency_budget_ms":43}', 'the first');
like($jobs[2], qr/"HashMix","inputs":\[157401,46858,53711,181743\],
                  "compute_cost":111348,/x, 'the third');


# the oracle's answers

my %name = (HashMix => 'hashmix', PrimeCount => 'primecount',
            MonteCarloRisk => 'montecarlo_risk');

my $questions = $t->write('questions', join '', map {
    s/"kind":"(\w+)"/"kind":"$name{$1}"/r . "\n"
} @jobs);

chomp(my @right = qx{$python $FindBin::Bin/oracle/kinds.py < $questions});

is(scalar @right, 200, 'answers of the oracle');


# the rule of the seed, written once more

sub strategy {
    my ($job) = @_;

    my ($cost) = $job =~ /"compute_cost":(\d+)/;
    my ($scaling) = $job =~ /"scaling_potential":([^,]+)/;

    return 'inline' if $cost <= 8000;
    return 'spawn' if $cost < 60000;
    return $scaling >= unpack('f', pack 'f', 0.70) ? 'batch' : 'cpu_pool';
}

my %reason = (inline => 'cheap', spawn => 'moderate', cpu_pool => 'heavy',
              batch => 'batchable');


sub example {
    my ($name) = @_;

    open my $fh, '<', "$root/conf/examples/$name" or die "$name: $!";
    local $/;
    my $conf = <$fh>;

    $conf =~ s/^load_module .*\n//m;
    $conf =~ s/\blisten\s+8080/listen 127.0.0.1:%%PORT_0%%/ or die;
    $conf =~ s/^http \{\n/http {\n%%TEST_GLOBALS_HTTP%%\n/m or die;

    return "%%TEST_GLOBALS%%\n$conf";
}

sub replay {
    my ($name) = @_;

    my %before = counts();
    my (%count, %kind, @strategies, @answers);
    my $c = $t->connect;

    for my $i (0 .. $#jobs) {
        my $r = $c->request('POST', '/jobs', $jobs[$i],
                            'Content-Type' => 'application/json');

        if (!$r || $r->status != 200) {
            push @strategies, "job $i: no answer";
            next;
        }

        my $j = $r->json;
        my ($got) = $r->body =~ /"outputs":\[([^],]*)\]/;

        $count{$j->{strategy}}++;
        $kind{$j->{kind}}++;

        my $want = strategy($jobs[$i]);

        push @strategies, "$j->{strategy} for $want: $jobs[$i]"
            if $j->{strategy} ne $want || $j->{reason} ne $reason{$want};

        push @answers, ($got // 'none') . " for $right[$i]: $jobs[$i]"
            if !defined $got
               || ($right[$i] =~ /[.e]/
                   ? pack('d', $got) ne pack('d', $right[$i])
                   : $got ne $right[$i])
               || $j->{id} != $i;
    }

    is(join("\n", @strategies), '', "$name: strategies, job for job");
    is(join("\n", @answers), '', "$name: answers");
    is_deeply(\%count, { inline => 12, spawn => 97, cpu_pool => 56,
                         batch => 35 }, "$name: the mix");
    is_deeply(\%kind, { primecount => 110, hashmix => 66,
                        montecarlo_risk => 24 }, "$name: the kinds");

    my %after = counts();

    is_deeply({ map { $_ => $after{$_} - $before{$_} } keys %after },
              { inline => 12, spawn => 97, cpu_pool => 56, batch => 35,
                dropped => 0, received => 200, completed => 200 },
              "$name: the status counts the same");
}

sub counts {
    my $s = $t->stats;

    return (map({ $_ => $s->{strategies}{$_}{completed} }
                qw(inline spawn cpu_pool batch)),
            map { $_ => $s->{$_} } qw(dropped received completed));
}

$t->conf(example('seed.conf'));
$t->start;

replay('seed.conf');

my $s = $t->stats;

is($s->{thresholds}{spawn}, 60000, 'nothing was adapted');
is_deeply([@{$s->{pool}}{qw(concurrency busy_limit)}], [8, 7], 'the pool');
is($s->{strategies}{cpu_pool}{waiting_limit}, 512, 'the queue');
is($s->{strategies}{batch}{waiting_limit}, 512, 'the queue of batches');


# the same with no word but the policy's

my $conf = example('seed.conf');

$conf =~ s/^\s*helix_(?:inline_threshold|spawn_threshold|pool|batch
                       |adapt)\s[^;]*;\n//mgx;
unlike($conf, qr/helix_batch/, 'no settings are left');

$t->conf($conf);
ok($t->reload, 'reload to the defaults');

replay('defaults');
