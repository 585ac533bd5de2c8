#!/usr/bin/env perl

# t/kind-check: the example of a kind passes, and each kind that is broken in
# one way fails, for the right reason.

use strict;
use warnings;

use File::Temp;
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/..";
my $check = "$root/t/kind-check";
my $dir = File::Temp->newdir;

# what is broken => the check, what it says

my @broken = (
    1  => 'unknown pairs are refused', 'configure() accepts no_such_key=1',
    2  => 'unknown pairs are refused',
          'configure() fails without a sentence',
    3  => 'it is configured and starts',
          'a thread was started before init()',
    4  => 'instances do not disturb each other',
          'configure() gives the same instance twice',
    5  => 'odd jobs are refused or answered', 'plan() blames "colour"',
    6  => 'odd jobs are refused or answered',
          'plan() fails without a sentence',
    7  => 'plans are sound and repeatable',
          'plan() sets flags that are none: 0x80',
    8  => 'plans are sound and repeatable', 'plan() plans no work',
    9  => 'plans are sound and repeatable',
          'plan() plans the same job in another way',
    10 => 'jobs are answered',
          'start() touches memory beyond what it was given',
    11 => 'plans are sound and repeatable',
          'the level "half" is no less work than the full answer',
    12 => 'plans are sound and repeatable',
          'the level "half" has a quality of 50',
    13 => q{a job's memory suffices and is initialized},
          'with other rubbish in its memory: ',
    14 => 'nothing leaks', ' bytes behind',
    15 => 'jobs are answered',
          'start() touches memory beyond what it was given',
    16 => 'jobs are answered',
          'step() touches its arguments after start() has returned',
    17 => 'jobs run on many threads', 'beside other threads: ',
    18 => 'sliced is as whole', 'sliced: ',
    19 => 'jobs are answered', 'crashed: Aborted',
    20 => 'sliced is as whole', 'sliced: ',
    21 => 'polls are not far apart', 'more than 1 ms between two polls',
    22 => 'sliced is as whole',
          'step() works on although poll() has said stop',
    23 => 'sliced is as whole', 'it does not go on where it was',
    24 => 'jobs are answered',
          'step() returns HELIX_AGAIN although nobody has told it to stop',
    25 => 'batched is as single', 'step_batch() crashes',
    26 => 'batched is as single', 'batched: ',
    27 => 'batched is as single',
          'step_batch() returns 0 when not all jobs have ended',
    28 => 'it answers after any step', 'quality() is 2',
    29 => 'jobs are answered',
          'finish() writes the key "sum" where none can be',
    30 => 'jobs are answered', 'finish() leaves an object or array open',
    31 => 'jobs are answered',
          'finish() writes a number that is not finite',
    32 => 'jobs are answered', 'finish() for a second time: ',
    33 => 'jobs are answered', 'finish() writes text that is not UTF-8',
    34 => 'jobs are answered', 'finish() writes nothing',
    35 => 'it is loaded', 'the param "id" is a field of all jobs',
    36 => 'it is loaded', 'the param "rounds" has no range',
    37 => 'it is loaded', q{a param's name is none: "Text"},
    38 => 'it is loaded', q{a level's name is none: "half way"},
    39 => 'it is loaded', 'its helix_kind_t has a size of 16: too small',
    40 => 'it is loaded', 'it has ABI 2, this helix 1',
    41 => 'it is loaded', 'max_work is 0',
    42 => 'it is loaded', 'it has unknown flags: 0x10',
    43 => 'a job stops when it is told', 'it has never asked stop()',
    44 => 'it is loaded',
          'plan(), start(), step() and finish() are all needed',
    45 => 'it is loaded', 'gives no kind to this host, of ABI 1',
);


# the example, by the command in its comment

my $example = "$root/conf/examples/kinds/levenshtein.c";
my ($command) = slurp($example) =~ /^ \*\s+(gcc .*)$/m;

like($command // '', qr/-shared.* -Isrc\/kinds -o levenshtein\.so /,
     'the example says how it is built');

$command =~ s{\blevenshtein\.so\b}{$dir/levenshtein.so};
$command =~ s{\blevenshtein\.c\b}{$example};

is(run("cd $root && $command -Wall -Wextra -Wshadow -Wconversion -Werror"),
   '', 'it is built without a warning');

cmp_ok(scalar(split /\n/, slurp($example)), '<', 150, 'and it is short');

my $out = run("$check $dir/levenshtein.so");

is($?, 0, 'it passes') or diag($out);
unlike($out, qr/^not ok/m, 'all of it');
like($out, qr/^1\.\.17$/m, 'with all checks');

my ($long, $near) = ('ab' x 200, 'ab' x 190 . 'c' x 15);

for (['kitten', 'sitting', 3], ['', '', 0], ['abc', '', 3], ['', 'x', 1],
     ['flaw', 'lawn', 2], [$long, $near, 20])
{
    my ($x, $y, $distance) = @$_;
    my $job = qq<{"params":{"a":"$x","b":"$y"}}>;

    like(run("$check $dir/levenshtein.so --job '$job' --only answer"),
         qr/^# the first: \[$distance\]$/m, "a distance of $distance");
}

my $pair = qq<{"params":{"a":"$long","b":"$near"}}>;

like(run("$check $dir/levenshtein.so --job '$pair' --only levels"),
     qr/^# 1 answers; work 0\.\d+, time /m, 'its level');


# how it is called

for ("$dir/levenshtein.so case=ignore",
     qq<$dir/levenshtein.so --job '{"params":{"c":"x"}}'>,
     qq<$dir/levenshtein.so --job '{"params":{"a":1}}'>,
     qq<$dir/levenshtein.so --job '{"params":'>,
     "$dir/none.so")
{
    run("$check $_");
    isnt($? >> 8, 0, "fails: " . s{\Q$dir/\E}{}r);
}

for ('', '--wrong', "$dir/levenshtein.so pair",
     "$dir/levenshtein.so --job")
{
    like(run("$check $_"), qr{usage: kind-check|^t/kind-check }m,
         "usage: " . s{\Q$dir/\E}{}r);
    is($? >> 8, 2, 'and its code');
}

chmod 0666, "$dir/levenshtein.so";
like(run("$check $dir/levenshtein.so --only none"),
     qr/^not ok 1 - the file is safe\n# .*may be written by others/m,
     'a file that others may write');


# what is broken, and nothing if it is not

compile(0);
$out = run("$check $dir/broken.so");
is($?, 0, 'not broken') or diag($out);

while (my ($n, $name, $text) = splice @broken, 0, 3) {
    compile($n);
    $out = run("$check $dir/broken.so --only "
               . "'" . ($name =~ s{'.*}{}r) . "'");

    isnt($?, 0, "broken $n fails");
    like($out, qr/^not ok \d+ - \Q$name\E\n(?:# .*\n)*?# .*\Q$text\E/m,
         "and says why: $text")
        or diag($out);
}


# with sanitizers: the memory of a job is guarded, what it allocates is not

SKIP: {
    my $over = "$dir/over.c";

    open my $fh, '>', $over or die;
    print $fh <<"END";
#include <stdlib.h>
#define malloc(n)  over()
static void *over(void);
#include "$root/t/lib/broken_kind.c"
#undef malloc
static void *over(void) 
{
    volatile int  i = 9;
    char         *p = malloc(9);
    p[i] = 0; free(p); return 0;
}
END
    close $fh;

    local $ENV{CFLAGS} = '-DBREAK=14';

    $out = run("$check --asan $over --only answered");

    skip 'no sanitizers', 2 if $out =~ /cannot find|unrecognized/;

    isnt($?, 0, 'an overflow fails with sanitizers');
    like($out, qr/^# .*(?:heap-buffer-overflow|insufficient space)/m,
         'and is shown');
}

done_testing();


sub compile {
    my ($n) = @_;

    is(run("gcc -std=c11 -D_GNU_SOURCE -O1 -fPIC -shared -Wall -Wextra "
           . "-Wshadow -Werror -I$root/src/kinds -DBREAK=$n "
           . "-o $dir/broken.so $root/t/lib/broken_kind.c -lpthread"), '',
       "broken $n is built");
}


sub run {
    my ($command) = @_;

    my $out = qx{{ $command; } 2>&1};

    return $out;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<', $file or die "$file: $!";
    local $/;

    return scalar <$fh>;
}
