#!/usr/bin/env perl

# Every benchmark runs and prints its rows; figures are not looked at, but for
# what must hold on any machine.

use strict;
use warnings;

use FindBin;

use Test::More;

my $root = "$FindBin::Bin/..";

plan skip_all => 'the benchmarks run on Debian\'s nginx'
    if defined $ENV{TEST_NGINX_MODULE} && $ENV{TEST_NGINX_MODULE} eq '';
plan skip_all => 'under valgrind' if $ENV{TEST_WRAP};

sub bench {
    my ($name) = @_;

    delete local @ENV{qw(TEST_NGINX_BINARY TEST_NGINX_MODULE)};

    my $out = `$root/t/bench/run $name --quick 2>&1`;

    is($?, 0, $name) or diag($out);

    return $out;
}

my $out = bench('kinds');

# name, least that it is on any machine, row

for (['hashmix shares work', 4, qr/plain: batch of 8, \d+ iterations/],
     ['primecount shares work', 3,
      qr/primecount batch of 8 \/ singles, n 250000/],
     ['montecarlo_risk shares work', 2,
      qr/batch of 8, 8 assets, delta_gamma \/ singles/],
     ['primecount counts', 20, qr/byte sieve \/ own, n = 2.5e\+05/],
     ['score has its rows', 0, qr/\w+, h = 256: gain of a batch of 8/])
{
    my ($name, $least, $row) = @$_;
    my ($value) = $out =~ /^$row\s+([\d.]+) x/m;

    cmp_ok($value // -1, '>=', $least, "kinds: $name");
}

$out = bench('decision');
like($out, qr/^$_\s+[\d.]+\s+[\d.]+$/m, "decision: $_")
    for 'decision, threshold', 'decision, predictive, inline',
        'decision, predictive, 100 waiting', 'accounting of a completed job',
        'record of a decision and its end',
        'choose_strategy/inline', 'router/submit_inline, cost 100';

$out = bench('paths');
like($out, qr/^inline\s+\d+\s+[\d.]+ of return 200$/m, 'paths: inline');
like($out, qr/^pool, 20 ns jobs\s+[\d.]+ of Lua$/m, 'paths: pool');

$out = bench('reject');
like($out, qr/^a dropped job\s+\d+ ns$/m, 'reject: a dropped job');

$out = bench('canary');
like($out, qr/^$_\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+[\d.]+/m, "canary: $_")
    for qw(idle pool lua);

$out = bench('batches');
is(() = $out =~ /^\s+2x (?:one by one|pulled|window)(?:\s+[\d.]+){8}/mg, 6,
   'batches: three rules, two kinds');

$out = bench('thumbnail');

SKIP: {
    skip "thumbnail: $1", 1 if $out =~ /^skipped: (.*)/m;

    is(() = $out =~ /^large\.jpg\s+(?:image_filter|thumbnail)
                      \s+[\d.]+\s+[\d.]+\s+[\d.]+\s+[1-9]\d*\s+0\s/xmg, 2,
       'thumbnail: both answer');
}

$out = bench('strategies');
is(() = $out =~ /^\w[\w ,.^]+?(?: +\d+ \( *[\d.]+\)){4}   (?:inline|spawn|cpu_pool|batch)$/mg,
   2, 'strategies: two jobs');

$out = bench('stream');
like($out, qr/^one reader, \/jobs\s+\d+\s+(\d+)\s+\1\s+0\s+0$/m,
     'stream: every decision');
like($out, qr/^$_\s+\d+\s+-?\d+\s+\d+$/m, "stream: $_")
    for 'no reader', 'one, everything', 'four, everything';
like($out, qr/^readers come back(?:\s+[\d.]+){4}/m, 'stream: others wait');

$out = bench('footprint');
like($out, qr/^CPU of GET \/helix\/metrics\s+\d+ us/m, 'footprint: a scrape');

$out = bench('scrape');
like($out, qr/^workers +16\nkinds +8\n/m, 'scrape: workers and kinds');

for ($out =~ /^CPU of GET (\S+ +\d+) us/mg) {
    my ($path, $us) = split;
    cmp_ok($us, '<', 1000, "scrape: less than 1 ms for $path");
}

$out = bench('overload');
like($out, qr/^balanced, $_\n.*\n +2x +[\d.]+ +[\d.]+/m, "overload: $_")
    for qw(predictive threshold);

$out = bench('sweep');
is(() = $out =~ /^\s+\d+\s+\d+\s+\d+\s+[\d.]+\s+[\d.]+   \w/mg, 7,
   'sweep: seven rows');

done_testing;
