#!/usr/bin/env perl

# The kinds against an oracle that shares nothing with them: the same answer,
# bit for bit, whatever the strategy.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open2;
use Test::More;
use Helix;

my $python = '/usr/bin/python3';
my $oracle = "$FindBin::Bin/oracle/kinds.py";

plan skip_all => "no $python" if !-x $python;

my $max = '18446744073709551615';
my @lanes = qw(inline spawn cpu_pool batch);

my $t = Helix->new;

sub conf {
    my ($delay, $workers) = @_;

    return $t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes $workers;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_policy threshold;
    helix_batch size=8 delay=$delay;
    helix_pool concurrency=4 busy=off;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /run {
            helix_pass;
            helix_job strategy=\$arg_s;
        }

        location /helix {
            helix_status;
        }
    }
}
END
}


# jobs: [kind, id, inputs, cost]

my @vectors = (
    ['hashmix', 0, [1, 2], 1000, '13360402971603015598'],
    ['hashmix', 0, [], 0, '16797079287624391536'],
    ['hashmix', 0, [1 .. 5], 60000, '16785651071698070415'],
    ['hashmix', 0, [42, 100], 1000, '10216004649843298165'],
    ['hashmix', 0, [100, 200, 300], 5000, '2307964673835805074'],
    ['primecount', 0, [], 0, '1229'],
    ['primecount', 0, [], 50000, '5133'],
    ['primecount', 0, [], 100000, '9592'],
    ['primecount', 0, [], 250000, '22044'],
    ['primecount', 0, [], $max, '22044'],
    ['montecarlo_risk', 1, [100, 200, 300], 20000, '-0.044513253216794044'],
    ['montecarlo_risk', 9999, [100, 200, 300], 20000, '-0.04394385354156136'],
    ['montecarlo_risk', 42, [], 10000000, '-0.04500552167450135'],
    ['montecarlo_risk', 7, ['9223372036854775808', $max], 2000000,
     '-0.04426523844592885'],
);

srand 7;

sub word { int(rand 4294967296) << 32 | int rand 4294967296 }

sub number {
    my @edges = (0, 1, 2, '9223372036854775807', '9223372036854775808', $max,
                 '1311768467463790320');

    return rand() < 0.3 ? $edges[rand @edges]
           : rand() < 0.5 ? word() : int rand 1000000;
}

my %cost = (
    hashmix         => [0, 1, 63, 64, 65, 127, 128, 300000, 1000000],
    primecount      => [0, 9999, 10000, 10001, 10007, 249999, 250000, 250001],
    montecarlo_risk => [0, 999999, 1000000, 1000199, 1000200, 1200000],
);

my %spread = (hashmix => 200000, primecount => 300000,
              montecarlo_risk => 1500000);

my @random;

for my $kind (sort keys %cost) {
    for my $n (1 .. 48) {
        my $costs = $cost{$kind};

        push @random, [$kind, number(), [map { number() } 1 .. rand 20],
                       $n <= @$costs ? $costs->[$n - 1]
                       : int rand $spread{$kind}];
    }
}

# the generator's only fixed point

push @random, ['montecarlo_risk', '1311768467463790320', [5], 0],
              ['hashmix', $max, [($max) x 300], 100];

sub text {
    my ($job) = @_;

    return sprintf '{"kind":"%s","id":%s,"inputs":[%s],"compute_cost":%s}',
                   $job->[0], $job->[1], join(',', @{$job->[2]}), $job->[3];
}

my $pid = open2(my $answers, my $questions, $python, $oracle);
my @jobs = (@vectors, @random);

if (!fork) {
    close $answers;
    print $questions map { text($_) . "\n" } @jobs;
    close $questions;
    POSIX::_exit(0);
}

close $questions;
chomp(my @right = <$answers>);
waitpid $pid, 0;

is(scalar @right, scalar @jobs, 'the oracle has answered all');

for my $i (0 .. $#vectors) {
    ok(same($right[$i], $vectors[$i][4]), "the oracle knows vector $i")
        or diag("$right[$i] for " . text($vectors[$i]));
}


sub same {
    my ($a, $b) = @_;

    return $a =~ /[.e]/ || $b =~ /[.e]/ ? pack('d', $a) eq pack('d', $b)
                                        : $a eq $b;
}

sub wrong {
    my ($r, $i, $lane) = @_;

    my $what = text($jobs[$i]);

    return "no answer to $what" if !$r || $r->status != 200;

    my ($got) = $r->body =~ /"outputs":\[([^],]*)\]/;

    return "strategy is not $lane: $what"
        if $r->json->{strategy} ne $lane;

    return if defined $got && same($got, $right[$i]);
    return ($got // $r->body) . " instead of $right[$i]: $what";
}

sub none {
    my ($name, @wrong) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    splice @wrong, 10, @wrong - 10, 'and more' if @wrong > 10;

    ok(!@wrong, $name) or diag(join "\n", @wrong);
}

sub post {
    my ($c, $i, $lane) = @_;

    $c->send(Helix::message('POST', "/run?s=$lane", text($jobs[$i]),
                            'Content-Type' => 'application/json'));
}


# one after the other

conf('1ms', 1);
$t->start;

for my $lane (@lanes) {
    my $c = $t->connect;
    my @wrong;

    for my $i (0 .. $#jobs) {
        post($c, $i, $lane);
        push @wrong, wrong(scalar $c->recv, $i, $lane);
    }

    none(@jobs . " jobs, $lane", @wrong);
}


# side by side, all strategies at once, on two workers

conf('1ms', 2);
ok($t->reload, 'reload to two workers');

{
    my @c = map { $t->connect } 1 .. 16;
    my @wrong;

    for (my $i = 0; $i < @jobs; $i += @c) {
        my @now = grep { $i + $_ <= $#jobs } 0 .. $#c;

        post($c[$_], $i + $_, $lanes[$_ % 4]) for @now;

        push @wrong, map { wrong(scalar $c[$_]->recv, $i + $_, $lanes[$_ % 4])
                         } @now;
    }

    none(@jobs . ' jobs, 16 at a time', @wrong);
}


# batches of eight: only the eighth job sets them off

conf('10s', 1);
ok($t->reload, 'reload to batches of eight');

my $batches = 0;

for my $kind (sort keys %cost) {
    my @mine = grep { $jobs[$_][0] eq $kind } 0 .. $#jobs;
    my @c = map { $t->connect } 1 .. 8;
    my (@wrong, @sizes);

    while (@mine >= 8) {
        my @batch = splice @mine, 0, 8;

        post($c[$_], $batch[$_], 'batch') for 0 .. 7;

        for (0 .. 7) {
            my $r = $c[$_]->recv;

            push @wrong, wrong($r, $batch[$_], 'batch');
            push @sizes, $r ? $r->json->{batch_size} : 0;
        }

        $batches++;
    }

    none("$kind in batches of eight", @wrong);
    is(join(' ', grep { $_ != 8 } @sizes), '', "$kind, all were of eight");
}

# and one of equal jobs, and one of the largest beside the smallest

for my $pick ([(0) x 8], [0, 1, 2, 3, 4, $#jobs, $#jobs, 1]) {
    my @c = map { $t->connect } 1 .. 8;

    post($c[$_], $pick->[$_], 'batch') for 0 .. 7;
    none("a batch of jobs @$pick",
         map { wrong(scalar $c[$_]->recv, $pick->[$_], 'batch') } 0 .. 7);
    $batches++;
}

is($t->stats->{strategies}{batch}{in_flight}, 0, "after $batches batches");
