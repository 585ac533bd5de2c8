#!/usr/bin/env perl

# The engines behind parameters, through nginx: known answers in every lane,
# and less than the full answer where that cannot be had.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_pool concurrency=2 busy=off;
    helix_batch size=8 delay=20ms;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs { helix_pass; }
        location /run  { helix_pass; helix_job strategy=$arg_s; }
        location /helix { helix_status; }
    }
}
END

$t->start;

sub job {
    my ($path) = @_;

    my $r = $t->get($path);

    return ($r, $r->json);
}

my @lanes = qw(inline spawn cpu_pool batch);
my ($r, $j);


# primecount

my %pi = (0 => 0, 1 => 0, 2 => 1, 3 => 2, 10 => 4, 100 => 25, 1000 => 168,
          1000000 => 78498, 2147483648 => 105097565, 1e9 => 50847534,
          10000000000 => 455052511);

for my $lane (@lanes) {
    for my $n (sort { $a <=> $b } keys %pi) {
        ($r, $j) = job("/run?kind=primecount&n=$n&s=$lane");
        is_deeply([$r->status, $j->{strategy}, $j->{outputs}],
                  [200, $lane, [$pi{$n}]], "$lane: primes up to $n");
    }
}

($r, $j) = job('/jobs?kind=primecount&n=10000000000001');
is_deeply([$r->status, $j->{field}], [400, 'n'], 'more than there may be');
($r, $j) = job('/jobs?kind=primecount&cost=250000');
is_deeply($j->{outputs}, [22044], 'the form without parameters');

# 10^13 takes much longer than this

my $pi13 = 346065536839;

($r, $j) = job('/jobs?kind=primecount&n=10000000000000&latency_budget_ms=20');
is($r->status, 200, 'an answer in time');
like($j->{level}, qr/^(?:interval|truncated)$/, 'with less');
my $i = $j->{outputs}[0];
ok($i->{low} <= $pi13 && $pi13 <= $i->{high}, 'the truth is within')
    or diag($r->body);
ok(($i->{high} - $i->{low}) / $pi13 < 1e-5, 'and not much else');
is($i->{exact}, JSON::PP::false(), 'it does not claim more');
cmp_ok($j->{quality}, '>', 0, 'how good it is');

($r, $j) = job('/jobs?kind=primecount&n=10000000000000&latency_budget_ms=20'
               . '&min_quality=1');
is($r->status, 503, 'all or nothing');

$t->done;
