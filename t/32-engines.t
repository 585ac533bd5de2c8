#!/usr/bin/env perl

# The engines behind parameters, through nginx: known answers in every lane,
# and less than the full answer where that cannot be had.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Helix;

my $t = Helix->new;
my $dir = $t->dir;
my $root = "$FindBin::Bin/..";
my $python = '/usr/bin/python3';

# the kinds that have to be made first

sub run { qx{$_[0] 2>&1}; return $? }

is(run("gcc -std=c11 -O2 -fPIC -shared -I$root/src/kinds "
       . "-o $dir/levenshtein.so $root/conf/examples/kinds/levenshtein.c"), 0,
   'the example of a kind');
is(run("$python $root/conf/examples/kinds/make-model $dir/circle.safetensors"),
   0, 'the example of a model');

chomp(my $vips = qx{pkg-config --cflags --libs vips 2>/dev/null});
$vips =~ s/-I/-isystem /g;

my $thumbnail = '';

# libvips is not built for the thread sanitizer, which is misled by it

$vips = '' if $ENV{TSAN_OPTIONS};

if ($vips ne '') {
    is(run("gcc -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -I$root/src/kinds "
           . "-I$root/src/base -o $dir/thumbnail.so "
           . "$root/src/kinds/thumbnail/*.c $root/src/base/helix_number.c "
           . "$vips -lm"), 0, 'thumbnail');
    is(run("gcc -std=c11 -D_GNU_SOURCE -O1 -o $dir/images "
           . "$root/t/lib/thumbnail_images.c $vips"), 0, 'what draws images');
    mkdir "$dir/images.d";
    chmod 0755, "$dir/images.d";
    is(run("$dir/images $dir/images.d"), 0, 'images');

    $thumbnail = "helix_kernel thumbnail $dir/thumbnail.so "
                 . "root=$dir/images.d;";
}

$t->conf(<<'END' =~ s/THUMBNAIL/$thumbnail/r);
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_pool concurrency=2 busy=off;
    helix_batch size=8 delay=20ms;

    helix_kernel distance levenshtein.so;
    helix_kernel circle score model=%%DIR%%/circle.safetensors
                        activation=tanh output=sigmoid;
    THUMBNAIL

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


# montecarlo_risk: the example, against numpy; the same whatever the strategy

open my $fh, '<', "$root/conf/examples/kinds/portfolio.json" or die;
my $portfolio = do { local $/; <$fh> };
my @outputs;

for my $lane (@lanes) {
    $r = $t->post("/run?s=$lane", $portfolio);
    is($r->status, 200, "$lane: a portfolio") or diag($r->body);
    push @outputs, $r->body =~ /"outputs":(\[.*\]),"/;
    $t->write("answer.$lane", $r->body);
}

is($outputs[$_], $outputs[0], "$lanes[$_]: the same answer") for 1 .. $#lanes;

SKIP: {
    skip 'no numpy', 1 if run("$python -c 'import numpy'");

    is(run("$python $root/t/oracle/risk.py "
           . "$root/conf/examples/kinds/portfolio.json $dir/answer.inline"), 0,
       'it can be true');
}

my $risk = JSON::PP->new->decode($portfolio);

# twice the paths in half the time that it took, on this machine and build

$risk->{params}{paths} = 131072;
$risk->{latency_budget_ms} = 1 + int 0.5 * JSON::PP->new->decode(
                                     $t->read('answer.inline'))->{exec_ms};
$r = $t->post('/jobs', JSON::PP->new->encode($risk));
is($r->status, 200, 'an answer in time') or diag($r->body);
ok(defined $r->json->{level}, 'with less') or diag($r->body);
ok($r->json->{quality} > 0 && $r->json->{quality} < 1, 'how good it is');

$risk->{params}{positions}[3]{strike} = -1;
$r = $t->post('/jobs', JSON::PP->new->encode($risk));
is($r->status, 400, 'a mistake');
like($r->json->{detail}, qr/positions\[3\]\.strike/, 'where it is');
is($r->json->{field}, 'positions', 'in which parameter');


# score

for my $lane (@lanes) {
    ($r, $j) = job("/run?kind=circle&features=[[0,0],[0.9,0.9]]&s=$lane");
    is($r->status, 200, "$lane: a model") or diag($r->body);
    ok($j->{outputs}[0][0] > 0.99 && $j->{outputs}[1][0] < 0.01,
       'inside and outside');
}

$r = $t->post('/jobs?kind=circle&format=binary', pack('f<2', 0, 0),
              'application/octet-stream');
is($r->header('Content-Type'), 'application/octet-stream', 'binary');
ok(unpack('f<', $r->body) > 0.99, 'the same answer');

($r, $j) = job('/jobs?kind=circle&features=[1,2,3]');
is($r->status, 400, 'another number of features');


# one of one's own

for my $lane (@lanes) {
    ($r, $j) = job("/run?kind=distance&a=kitten&b=sitting&s=$lane");
    is_deeply([$r->status, $j->{outputs}], [200, [3]], "$lane: the example");
}


# thumbnail: never in the event loop

SKIP: {
    skip 'no libvips-dev', 9 if $thumbnail eq '';

    open my $image, '<:raw', "$dir/images.d/rgb.jpg" or die;
    my $bytes = do { local $/; <$image> };

    for my $lane (@lanes) {
        $r = $t->post("/run?kind=thumbnail&width=100&format=png&s=$lane",
                      $bytes, 'image/jpeg');
        is($r->header('Content-Type'), 'image/png', "$lane: an image")
            or diag($r->body);
        is_deeply([unpack('x16 N2', $r->body)], [100, 75], 'of that size');
    }

    $r = $t->get('/jobs?kind=thumbnail&width=100&format=png&file=rgb.jpg');
    is_deeply([$r->status, unpack('x16 N2', $r->body)], [200, 100, 75],
              'of a file');
    is($r->header('X-Helix-Strategy'), 'cpu_pool', 'on a thread');
    $r = $t->get('/jobs?kind=thumbnail&width=100&file=../nginx.conf');
    is($r->status, 400, 'not of any file');
    $r = $t->post('/jobs?kind=thumbnail&width=100', substr($bytes, 0, 2000),
                  'image/jpeg');
    cmp_ok($r->status, '>=', 400, 'half an image');
    $r = $t->post('/jobs?kind=thumbnail&width=100', 'x' x 2000, 'image/jpeg');
    is($r->status, 400, 'none at all');
}

$t->done;
