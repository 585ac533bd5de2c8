#!/usr/bin/env perl

# Every directive: what is accepted, what is refused and with which words,
# what is inherited, and what a configuration without jobs does not make.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new;
my $plain = '/jobs?kind=hashmix&inputs=1';

sub conf {
    my ($main, $http, $location) = @_;

    return <<"END";
%%TEST_GLOBALS%%
$main
events {
}

http {
    %%TEST_GLOBALS_HTTP%%
$http

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
$location
        }
    }
}
END
}


# refused: [where, text with the mark "#!" on the line to be named, words]

my @refused = (

    # thresholds

    [http => 'helix_inline_threshold 60000; #!',
     'helix_inline_threshold 60000 must be below helix_spawn_threshold 60000'],
    [http => 'helix_spawn_threshold 8000; #!',
     'helix_inline_threshold 8000 must be below helix_spawn_threshold 8000'],
    [http => "helix_inline_threshold 10;\nhelix_spawn_threshold 9; #!",
     'helix_inline_threshold 10 must be below helix_spawn_threshold 9'],
    [http => "helix_spawn_threshold 9;\nhelix_inline_threshold 10; #!",
     'helix_inline_threshold 10 must be below helix_spawn_threshold 9'],
    [http => 'helix_inline_threshold 0; #!',
     'helix_inline_threshold 0 is out of range 1-9007199254740992'],
    [http => 'helix_spawn_threshold 9007199254740993; #!',
     'helix_spawn_threshold 9007199254740993 is out of range '
     . '1-9007199254740992'],
    [http => 'helix_inline_threshold -1; #!',
     'invalid value "-1" in "helix_inline_threshold", a number such as "8000" '
     . 'is expected'],
    [http => 'helix_inline_threshold 1e3; #!',
     'invalid value "1e3" in "helix_inline_threshold", a number such as '
     . '"8000" is expected'],
    [http => 'helix_inline_threshold value=5; #!',
     'invalid parameter "value=5" in "helix_inline_threshold", a number such '
     . 'as "8000" is expected'],
    [http => 'helix_inline_threshold; #!',
     'invalid number of arguments in "helix_inline_threshold" directive'],
    [http => "helix_inline_threshold 5;\nhelix_inline_threshold 6; #!",
     '"helix_inline_threshold" directive is duplicate'],

    # batch

    [http => 'helix_batch delay=10; #!',
     'invalid value "10" of "delay" in "helix_batch", a time such as "10ms" '
     . 'is expected'],
    [http => 'helix_batch dealy=10ms; #!',
     'invalid parameter "dealy=10ms" in "helix_batch", did you mean "delay"?'],
    [http => 'helix_batch length=4; #!',
     'invalid parameter "length=4" in "helix_batch", one of "size=", "delay=" '
     . 'is expected'],
    [http => 'helix_batch size=0; #!',
     'helix_batch size=0 is out of range 2-1024'],
    [http => 'helix_batch size=1025; #!',
     'helix_batch size=1025 is out of range 2-1024'],
    [http => 'helix_batch size=18446744073709551616; #!',
     'helix_batch size=18446744073709551616 is out of range 2-1024'],
    [http => 'helix_batch delay=11s; #!',
     'helix_batch delay=11s is out of range 1ms-10s'],
    [http => 'helix_batch delay=0ms; #!',
     'helix_batch delay=0ms is out of range 1ms-10s'],
    [http => 'helix_batch size; #!',
     'invalid parameter "size" in "helix_batch", did you mean "size="?'],
    [http => 'helix_batch maybe; #!',
     'invalid value "maybe" in "helix_batch", "on" or "off" is expected'],
    [http => 'helix_batch size=4 size=5; #!',
     'duplicate parameter "size=5" in "helix_batch"'],
    [http => "helix_batch size=4;\nhelix_batch delay=5ms; #!",
     '"helix_batch" directive is duplicate'],
    [http => "helix_batch size=4\n    delay=5;   #!",
     'invalid value "5" of "delay" in "helix_batch", a time such as "10ms" is '
     . 'expected'],

    # pool

    [http => "helix_policy threshold;\nhelix_pool compute threads=4 queue=4; #!",
     'helix_pool queue=4 must be at least concurrency=8'],
    [http => 'helix_pool compute threads=4 concurrency=4 busy=5; #!',
     'helix_pool busy=5 must be at most concurrency=4'],
    [http => 'helix_pool compute threads=4 concurrency=65; #!',
     'helix_pool concurrency=65 is out of range 1-64'],
    [http => 'helix_pool compute threads=4 concurrency=0; #!',
     'helix_pool concurrency=0 is out of range 1-64'],
    [http => 'helix_pool compute threads=4 concurrency=all; #!',
     'invalid value "all" of "concurrency" in "helix_pool", a number such as '
     . '"8" or "auto" is expected'],
    [http => 'helix_pool compute threads=4 busy=no; #!',
     'invalid value "no" of "busy" in "helix_pool", a number such as "7" or '
     . '"off" is expected'],
    [http => 'helix_pool compute threads=4 nice=20; #!',
     'helix_pool nice=20 is out of range 0-19'],
    [http => 'helix_pool compute threads=4 queue=65537; #!',
     'helix_pool queue=65537 is out of range 1-65536'],
    [http => 'helix_pool compute threads=4 concurency=2; #!',
     'invalid parameter "concurency=2" in "helix_pool", did you mean '
     . '"concurrency"?'],
    [http => 'helix_pool compute thread=4; #!',
     'invalid parameter "thread=4" in "helix_pool", did you mean "threads="?'],
    [http => 'helix_pool compute other; #!',
     'invalid parameter "other" in "helix_pool", one of "concurrency=", '
     . '"queue=", "busy=", "nice=", "memory=" is expected'],
    [http => 'helix_pool compute threads=4 queue=9 queue=8; #!',
     'duplicate parameter "queue=8" in "helix_pool"'],
    [http => 'helix_pool compute threads=4 threads=5; #!',
     'duplicate parameter "threads=5" in "helix_pool"'],
    [http => "helix_pool compute threads=4;\nhelix_pool compute queue=9; #!",
     '"helix_pool" directive is duplicate'],
    [http => 'helix_pool compute threads=none; #!',
     'invalid value "none" of "threads" in "helix_pool", a number from 1 to '
     . '1024 is expected'],
    [http => 'helix_pool compute threads=0; #!',
     'invalid value "0" of "threads" in "helix_pool", a number from 1 to 1024 '
     . 'is expected'],
    [http => 'helix_pool compute; #!',
     'unknown thread pool "compute"',
     '(declare "thread_pool compute threads=4;" before "events", or give '
     . '"helix_pool" a "threads=4")'],
    [http => 'helix_pool compute threads=4; #!',
     'duplicate thread pool "compute"', '',
     'thread_pool compute threads=2;'],

    # adapt

    [http => 'helix_adapt step=0; #!',
     'helix_adapt step=0 is out of range, above 0 and at most 1 is expected'],
    [http => 'helix_adapt step=1.01; #!',
     'helix_adapt step=1.01 is out of range, above 0 and at most 1 is '
     . 'expected'],
    [http => 'helix_adapt alpha=0; #!',
     'helix_adapt alpha=0 is out of range, above 0 and at most 1 is expected'],
    [http => 'helix_adapt alpha=2; #!',
     'helix_adapt alpha=2 is out of range, above 0 and at most 1 is expected'],
    [http => 'helix_adapt factor=0.5; #!',
     'helix_adapt factor=0.5 is out of range 1-100'],
    [http => 'helix_adapt p95=200; #!',
     'invalid value "200" of "p95" in "helix_adapt", a time such as "200ms" '
     . 'is expected'],
    [http => 'helix_adapt step=nan; #!',
     'invalid value "nan" of "step" in "helix_adapt", a number such as "0.1" '
     . 'is expected'],
    [http => 'helix_adapt setp=0.1; #!',
     'invalid parameter "setp=0.1" in "helix_adapt", did you mean "step"?'],

    # kinds

    [http => 'helix_kind hashmix cost=5; helix_kind hashmix cost=6; #!',
     'duplicate parameter "cost=6" in "helix_kind"'],
    [http => 'helix_kind hashmix max_cost=5; #!',
     'helix_kind hashmix cost=1000 must be at most max_cost=5'],
    [http => 'helix_kind hashmx; #!',
     'unknown job kind "hashmx" (known: hashmix, primecount, '
     . 'montecarlo_risk), did you mean "hashmix"?'],
    [http => 'helix_kind image; #!',
     'unknown job kind "image" (known: hashmix, primecount, '
     . 'montecarlo_risk)'],
    [http => 'helix_kind hashmix bach=on; #!',
     'invalid parameter "bach=on" in "helix_kind", did you mean "batch="?'],
    [http => 'helix_kind hashmix cost; #!',
     'invalid parameter "cost" in "helix_kind", did you mean "cost="?'],
    [http => 'helix_kind hashmix batch=yes; #!',
     'invalid value "yes" of "batch" in "helix_kind", "on" or "off" is '
     . 'expected'],
    [http => 'helix_kind hashmix cost=0; #!',
     'invalid value "0" of "cost" in "helix_kind", a positive integer is '
     . 'expected'],
    [http => 'helix_kind hashmix max_cost=1e9; #!',
     'invalid value "1e9" of "max_cost" in "helix_kind", a positive integer '
     . 'is expected'],
    [http => 'helix_kind hashmix scaling=1.5; #!',
     'invalid value "1.5" of "scaling" in "helix_kind", a number from 0 to 1 '
     . 'is expected'],
    [http => 'helix_kind hashmix budget=soon; #!',
     'invalid value "soon" of "budget" in "helix_kind", a time such as "50ms" '
     . 'is expected'],
    [http => 'helix_kind hashmix max_inputs=1048577; #!',
     'invalid value "1048577" of "max_inputs" in "helix_kind", an integer '
     . 'from 1 to 1048576 is expected'],

    # zone, policy

    [http => "helix_zone a;\nhelix_zone a; #!",
     'helix_zone "a" is already declared in %%DIR%%/test.conf:%%1%%, there is '
     . 'one router'],
    [http => "helix_zone a;\nhelix_zone b; #!",
     'helix_zone "a" is already declared in %%DIR%%/test.conf:%%1%%, there is '
     . 'one router'],
    [http => 'helix_zone main:8m; #!',
     'invalid name "main:8m" in "helix_zone", 1 to 64 letters, digits, "_", '
     . '"." and "-" are expected'],
    [http => 'helix_zone ' . 'a' x 65 . '; #!',
     'invalid name "' . 'a' x 65 . '" in "helix_zone", 1 to 64 letters, '
     . 'digits, "_", "." and "-" are expected'],
    [http => 'helix_zone main sate=/x; #!',
     'invalid parameter "sate=/x" in "helix_zone", did you mean "state="?'],
    [http => 'helix_zone main state=; #!',
     'invalid value "" of "state" in "helix_zone", the name of a file is '
     . 'expected'],
    [http => 'helix_policy fast; #!',
     'unknown policy "fast" in "helix_policy", "predictive" or "threshold" is '
     . 'expected'],
    [http => 'helix_policy Predictive; #!',
     'unknown policy "Predictive" in "helix_policy", "predictive" or '
     . '"threshold" is expected'],
    [http => 'helix_policy predictive threshold; #!',
     'invalid number of arguments in "helix_policy" directive'],
    map({ [http => "helix_policy $_->[0];\nhelix_policy $_->[1]; #!",
           '"helix_policy" directive is duplicate'] }
        ['threshold', 'threshold'], ['predictive', 'predictive'],
        ['predictive', 'threshold'], ['threshold', 'predictive']),

    # what a request directive says

    [location => 'helix_pass hashmx; #!',
     'unknown job kind "hashmx" (known: hashmix, primecount, '
     . 'montecarlo_risk), did you mean "hashmix"?'],
    [location => 'helix_pass hashmix primecount; #!',
     'invalid number of arguments in "helix_pass" directive'],
    [location => "helix_pass;\nhelix_pass; #!",
     '"helix_pass" directive is duplicate'],
    [location => "helix_status;\nhelix_status; #!",
     '"helix_status" directive is duplicate'],
    [location => "helix_pass; #!\nproxy_pass http://127.0.0.1:1;",
     '"helix_pass" conflicts with another content handler, such as '
     . '"proxy_pass", in the same location'],
    [location => "proxy_pass http://127.0.0.1:1;\nhelix_pass; #!",
     '"helix_pass" conflicts with another content handler, such as '
     . '"proxy_pass", in the same location'],
    [location => "helix_status; #!\nproxy_pass http://127.0.0.1:1;",
     '"helix_status" conflicts with another content handler, such as '
     . '"proxy_pass", in the same location'],
    [location => "helix_status;\nhelix_pass; #!",
     '"helix_pass" conflicts with another content handler, such as '
     . '"proxy_pass", in the same location'],
    [location => 'helix_status write=yes; #!',
     'invalid value "yes" of "write" in "helix_status", "on", "off" or a '
     . 'variable is expected'],
    [location => 'helix_status write=; #!',
     'invalid value "" of "write" in "helix_status", "on", "off" or a '
     . 'variable is expected'],
    [location => 'helix_status write=$; #!',
     'invalid value "$" of "write" in "helix_status", "on", "off" or a '
     . 'variable is expected'],
    [location => 'helix_status json write=on; #!',
     '"write=" needs the full status tree, remove the format from '
     . '"helix_status"'],
    [location => 'helix_status health stream=4; #!',
     '"stream=" needs the full status tree, remove the format from '
     . '"helix_status"'],
    [location => 'helix_status stram=4; #!',
     'invalid parameter "stram=4" in "helix_status", did you mean "stream="?'],
    [location => 'helix_status stream=1025; #!',
     'invalid value "1025" of "stream" in "helix_status", a number from 0 to '
     . '1024 is expected'],
    [location => 'helix_status stream=-1; #!',
     'invalid value "-1" of "stream" in "helix_status", a number from 0 to '
     . '1024 is expected'],

    # settings file

    [http => 'helix_settings; #!',
     'invalid number of arguments in "helix_settings" directive'],
    [http => 'helix_settings a.json b.json; #!',
     'invalid number of arguments in "helix_settings" directive'],
    [http => 'helix_settings ""; #!',
     '"helix_settings" needs the name of a file'],
    [http => "helix_settings a.json;\nhelix_settings b.json; #!",
     '"helix_settings" directive is duplicate'],
    [location => 'helix_settings a.json; #!',
     '"helix_settings" directive is not allowed here'],

    [location => "helix_pass;\nhelix_status; #!",
     '"helix_status" conflicts with another content handler, such as '
     . '"proxy_pass", in the same location'],
    [location => "helix_pass; helix_job kind=hash_mxi; #!",
     'unknown job kind "hash_mxi" (known: hashmix, primecount, '
     . 'montecarlo_risk), did you mean "hashmix"?'],
    [location => "helix_pass; helix_job colour=red; #!",
     'invalid parameter "colour=red" in "helix_job"'],
    [location => "helix_pass; helix_job stategy=inline; #!",
     'invalid parameter "stategy=inline" in "helix_job", did you mean '
     . '"strategy="?'],
    [location => "helix_pass; helix_job kind; #!",
     'invalid parameter "kind" in "helix_job", did you mean "kind="?'],
    [location => "helix_pass; helix_job strategy=fast; #!",
     'invalid value "fast" of "strategy" in "helix_job", inline, spawn, '
     . 'cpu_pool, batch or drop is expected'],
    [location => "helix_pass; helix_job cost=-1; #!",
     'invalid value "-1" of "cost" in "helix_job", an unsigned 64-bit integer '
     . 'is expected'],
    [location => "helix_pass; helix_job id=18446744073709551616; #!",
     'invalid value "18446744073709551616" of "id" in "helix_job", an '
     . 'unsigned 64-bit integer is expected'],
    [location => "helix_pass; helix_job inputs=1,,2; #!",
     'invalid value "1,,2" of "inputs" in "helix_job", unsigned 64-bit '
     . 'integers, [42,100] in JSON, 42,100 in a form is expected'],
    [location => "helix_pass; helix_job scaling=-0.1; #!",
     'invalid value "-0.1" of "scaling" in "helix_job", a number from 0 to 1 '
     . 'is expected'],
    [location => "helix_pass; helix_job budget=0; #!",
     'invalid value "0" of "budget" in "helix_job", a time such as "50ms" is '
     . 'expected'],
    [location => "helix_pass; helix_job budget=2d; #!",
     'invalid value "2d" of "budget" in "helix_job", a time such as "50ms" is '
     . 'expected'],
    [location => "helix_pass; helix_job final; #!",
     'no parameter before "final" in "helix_job"'],
    [location => 'helix_pass; helix_job id=$nothing; #!',
     'unknown "nothing" variable', undef],
    [location => "helix_pass; helix_timeout 0; #!",
     '"helix_timeout" directive must be from 1ms to 24h'],
    [server => "location ~ ^/status { helix_status; } #!",
     '"helix_status" needs a format such as "text" in a location that is no '
     . 'prefix'],
    [server => "location \@status { helix_status; } #!",
     '"helix_status" needs a format such as "text" in a location that is no '
     . 'prefix'],
    [location => "helix_pass; helix_timeout 25h; #!",
     '"helix_timeout" directive must be from 1ms to 24h'],
    [location => "helix_pass; helix_timeout soon; #!",
     '"helix_timeout" directive invalid value'],
    [location => "helix_pass; helix_timeout 1s; helix_timeout 1s; #!",
     '"helix_timeout" directive is duplicate'],
    [location => "helix_pass; helix_reject_status 399; #!",
     'value must be between 400 and 599'],
    [location => "helix_pass; helix_reject_status 600; #!",
     'value must be between 400 and 599'],
    [location => "helix_pass; helix_reject_status 5xx; #!",
     '"helix_reject_status" directive invalid number'],
    [location => "helix_pass;\nhelix_reject_status 503;\n"
                 . "helix_reject_status 503; #!",
     '"helix_reject_status" directive is duplicate'],
    [location => "helix_pass; helix_retry_after 10ms; #!",
     'invalid value "10ms" in "helix_retry_after", "auto", "off" or a time '
     . 'of at least "1s" is expected'],
    [location => "helix_pass; helix_retry_after never; #!",
     'invalid value "never" in "helix_retry_after", "auto", "off" or a time '
     . 'of at least "1s" is expected'],
    [location => "helix_pass; helix_retry_after 1s; helix_retry_after off; #!",
     '"helix_retry_after" directive is duplicate'],
    [location => 'helix_status yaml; #!',
     'invalid format "yaml" in "helix_status", "text", "json", "health" or '
     . '"prometheus" is expected'],

    map({ [$_ => 'helix_explain yes; #!',
           'invalid value "yes" in "helix_explain" directive, it must be "on" '
           . 'or "off"'],
          [$_ => "helix_explain on;\nhelix_explain on; #!",
           '"helix_explain" directive is duplicate'],
          [$_ => 'helix_explain; #!',
           'invalid number of arguments in "helix_explain" directive'] }
        qw(http server)),

    # a directive in a place that is not its own

    map({ my ($name) = /(\w+)/;
          ([server => "$_; #!", "\"$name\" directive is not allowed here"],
           [location => "$_; #!", "\"$name\" directive is not allowed here"]) }
        'helix_zone a', 'helix_kind hashmix', 'helix_policy threshold',
        'helix_inline_threshold 1', 'helix_spawn_threshold 9',
        'helix_pool a threads=1', 'helix_batch off', 'helix_adapt off'),

    [http => 'helix_pass; #!', '"helix_pass" directive is not allowed here'],
    [server => 'helix_pass; #!', '"helix_pass" directive is not allowed here'],
    [http => 'helix_status; #!',
     '"helix_status" directive is not allowed here'],
    [server => 'helix_status; #!',
     '"helix_status" directive is not allowed here'],
    [location => 'helix_pas; #!', 'unknown directive "helix_pas"'],
);

for my $case (@refused) {
    my ($where, $text, $words, $after, $main) = @$case;

    my $conf = conf($main // '',
                    $where eq 'http' ? $text : '',
                    $where eq 'location' ? $text : 'helix_pass;');

    $conf =~ s/(server \{\n)/$1$text\n/ if $where eq 'server';

    # nginx itself leaves memory behind when it refuses a configuration

    local $ENV{TEST_ASAN_OPTIONS} = ($ENV{TEST_ASAN_OPTIONS} // '')
                                    . ':detect_leaks=0';

    my ($code, $out) = $t->nginx_t($conf);

    my $file = $t->dir . '/test.conf';
    my @lines = split /^/, $t->read('test.conf');
    my ($line) = grep { $lines[$_ - 1] =~ /#!/ } 1 .. @lines;

    my $before = $line - 1;

    $words =~ s/%%DIR%%/$t->dir/ge;
    $words =~ s/%%1%%/$before/;

    # nginx knows an unknown variable only when all is read

    my $want = defined $after || @$case < 4
               ? "nginx: [emerg] $words in $file:$line"
                 . ($after ? " $after" : '') . "\n"
               : "nginx: [emerg] $words\n";

    $out =~ s{^nginx: [^[].* (?:test failed|syntax is ok)\n}{}mg;

    (my $name = $text) =~ s/\n/ /g;

    ok($code == 1 && $out eq $want, "refused in $where: $name")
        or diag("code $code\ngot      $out\nexpected $want");
}

cmp_ok(scalar @refused, '>', 40, 'enough of them');


# accepted

my @accepted = (
    [http => ''],
    [http => "helix_zone a-b_c.9;\nhelix_policy threshold;"],
    [http => 'helix_policy predictive;'],
    [http => "helix_policy predictive;\nhelix_pool concurrency=64;"],
    [http => "helix_inline_threshold 5;\nhelix_policy predictive;"],
    map({ [$_ => 'helix_explain on;'], [$_ => 'helix_explain off;'] }
        qw(http server)),
    [location => 'helix_pass; helix_explain on;'],
    [location => 'helix_status; helix_explain on;'],
    [http => 'helix_zone ' . 'a' x 64 . ';'],
    [http => 'helix_inline_threshold 59999;'],
    [http => "helix_inline_threshold 1; helix_spawn_threshold 2;"],
    [http => 'helix_spawn_threshold 9007199254740992;'],
    [http => 'helix_pool compute threads=4 concurrency=4 queue=4 busy=4 '
             . 'nice=0;'],
    [http => 'helix_pool compute threads=1 concurrency=64 queue=65536 '
             . 'busy=off nice=19;'],
    [http => 'helix_pool threads=2;'],
    [http => 'helix_pool concurrency=2;'],
    [http => 'helix_pool concurrency=auto;'],
    [http => 'helix_pool default;'],
    [http => 'helix_pool compute;', 'thread_pool compute threads=2;'],
    [http => 'helix_batch off;'],
    [http => 'helix_batch on size=2 delay=1ms;'],
    [http => 'helix_batch size=1024 delay=10s;'],
    [http => 'helix_batch delay=1s500ms;'],
    [http => 'helix_adapt off;'],
    [http => 'helix_adapt on step=1 alpha=1 factor=1 p95=1ms;'],
    [http => 'helix_adapt step=1e-3 alpha=0.5 factor=100 p95=10m;'],
    [http => 'helix_kind hashmix;'],
    [http => 'helix_kind Hash-Mix batch=off cost=5 scaling=0.5 budget=50ms '
             . 'max_cost=18446744073709551615 max_inputs=1048576;'],
    [http => "helix_kind hashmix cost=5;\nhelix_kind primecount cost=6;"],
    [http => "helix_job kind=hashmix; helix_timeout 1s;\n"
             . "helix_reject_status 429; helix_retry_after off;"],
    [server => "helix_job kind=hashmix; helix_timeout 1ms;\n"
               . "helix_reject_status 400; helix_retry_after 1m;"],
    [location => 'helix_pass hashmix;'],
    [location => 'helix_pass prime_count;'],
    [location => 'helix_pass $arg_k;'],
    [location => 'if ($arg_x) { helix_pass; }'],
    [location => 'if ($arg_x) { helix_status json; }'],
    [location => 'helix_pass; helix_reject_status 599; helix_retry_after 1s;'],
    [location => 'helix_pass; helix_job id=18446744073709551615 kind=hashmix '
                 . 'inputs=0,18446744073709551615 cost=7 scaling=1 '
                 . 'budget=1d strategy=cpu_pool final;'],
    [location => 'helix_pass; helix_job compute_cost=1 scaling_potential=0 '
                 . 'latency_budget_ms=86400000;'],
    map({ [location => "helix_pass; helix_job strategy=$_;"] }
        qw(inline spawn cpu_pool batch drop)),
    map({ [location => "helix_status $_;"] } qw(text json health)),
    map({ [location => "helix_status $_;"] }
        'write=on', 'write=off', 'write=$arg_w', 'stream=0',
        'write=on stream=1024', 'stream=1 write=$remote_addr'),
    [http => 'helix_settings no/such/file.json;'],
    [http => 'helix_settings /etc;'],
);

for my $case (@accepted) {
    my ($where, $text, $main) = @$case;

    my $conf = conf($main // '', $where eq 'http' ? $text : '',
                    $where eq 'location' ? $text : 'helix_pass;');

    $conf =~ s/(server \{\n)/$1$text\n/ if $where eq 'server';

    my ($code, $out) = $t->nginx_t($conf);

    ok($code == 0, "accepted in $where: $text") or diag($out);
}


# "nginx -t" leaves nothing of ours

sub listing {
    my @names = glob $t->dir . '/*';

    return join "\n", sort(@names), glob('/dev/shm/*'), glob('/var/lib/nginx/*')
}

my $before = listing();
my ($code) = $t->nginx_t(conf('', 'helix_zone main; helix_pool c threads=2;',
                              'helix_pass;'));

is($code, 0, 'a configuration is tested');
is(listing(), $before, 'and nothing is created');


# loaded and not used: no memory, no threads

my $auto;

sub threads {
    my ($want, $name) = @_;

    my @tasks;

    # a worker has been started before it starts its threads

    $t->wait_for(sub {
        my ($pid) = $t->workers;
        @tasks = glob "/proc/$pid/task/*";
        return @tasks == $want;
    }, "$want threads");

    is(scalar @tasks, $want, $name);
}

sub threads_of {
    my ($n) = @_;

    for (16, 2 * $auto) {
        $n = $_ if $n < $_;
    }

    return $n > 64 ? 64 : $n;
}

sub shared {
    my ($pid) = $t->workers;

    open my $fh, '<', "/proc/$pid/maps" or return -1;

    return scalar grep { m|/dev/zero| } <$fh>;
}

$t->conf(conf('', "helix_zone main;\nhelix_batch size=4;\n"
                  . "helix_pool c threads=3;", 'return 204;'));
$t->start;

my $idle_shared = shared();

threads(1, 'no threads');

is($t->get('/jobs')->status, 204, 'not used');

# five lines are enough

$t->conf(<<'END');
%%TEST_GLOBALS%%
events {}
http {
    %%TEST_GLOBALS_HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /jobs { helix_pass; }
        location /helix { helix_status; }
    }
}
END

ok($t->reload, 'reload to five lines');
is(shared(), $idle_shared + 1, 'one zone, and only now');

my $s = $t->stats;

$auto = $s->{pool}{concurrency};

my $cpus = qx{getconf _NPROCESSORS_ONLN};

is($s->{zone}, 'helix', 'default zone');
is($s->{policy}, 'predictive', 'default policy');
cmp_ok($s->{pool}{concurrency}, '>=', 1, 'default concurrency');
cmp_ok($s->{pool}{concurrency}, '<=', $cpus, 'not more than there are CPUs');
is_deeply([@{$s->{pool}}{qw(name busy busy_limit)}],
          ['helix', 0, POSIX::ceil($s->{pool}{concurrency} * 7 / 8)],
          'default pool');
my $threads = threads_of($s->{pool}{concurrency});

threads(1 + $threads, 'enough threads to raise that, and only now');
is($s->{strategies}{cpu_pool}{waiting_limit}, 512, 'default queue');
is($t->get("$plain&cost=70000")->json->{strategy}, 'inline',
   'what is short runs inline');
is($t->get("$plain&cost=200000000&budget_ms=60000")->json->{strategy},
   'cpu_pool', 'what is not on a thread');
is($t->get("$plain&explain=0")->status, 200, 'nothing is to be explained');
is($t->get("$plain&explain=1")->status, 400, 'and nothing is');


# the defaults of the other policy

$t->conf(<<'END');
%%TEST_GLOBALS%%
events {}
http {
    %%TEST_GLOBALS_HTTP%%
    helix_policy threshold;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /jobs { helix_pass; }
        location /helix { helix_status; }
    }
}
END

ok($t->reload, 'reload to the policy threshold');
threads(1 + threads_of(8), 'its threads');

$s = $t->stats;

is($s->{policy}, 'threshold', 'the policy');
is_deeply([@{$s->{pool}}{qw(name concurrency busy busy_limit)}],
          ['helix', 8, 0, 7], 'its pool');
is_deeply($s->{thresholds}, { inline => 8000, spawn => 60000,
                              spawn_configured => 60000 },
          'default thresholds');
is($s->{strategies}{cpu_pool}{waiting_limit}, 512, 'default queue');

for ([8000, 'inline'], [8001, 'spawn'], [59999, 'spawn'],
     [60000, 'cpu_pool'], ['60000&scaling=0.69', 'cpu_pool'],
     ['60000&scaling=0.7', 'batch'])
{
    is($t->get("$plain&cost=$_->[0]")->json->{strategy}, $_->[1],
       "default for a cost of $_->[0]");
}


# automatic concurrency: the CPUs that this process may use

$t->conf(conf('', "helix_policy threshold;\nhelix_pool concurrency=auto;",
              'helix_pass;')
         =~ s/location \/jobs/location \/helix { helix_status; }
              location \/jobs/r);

ok($t->reload, 'reload to concurrency=auto');

$s = $t->stats;

is($s->{pool}{concurrency}, $auto, 'automatic concurrency');
is($s->{pool}{busy_limit}, POSIX::ceil($s->{pool}{concurrency} * 7 / 8),
   'busy follows it');
threads(1 + threads_of($auto), 'enough threads');
is($t->get("$plain&cost=70000")->json->{strategy}, 'cpu_pool', 'they work');


# settings have an effect, directives are inherited

$t->conf(<<'END');
%%TEST_GLOBALS%%
events {}
http {
    %%TEST_GLOBALS_HTTP%%
    helix_zone main;
    helix_policy threshold;
    helix_inline_threshold 100;
    helix_spawn_threshold 200;
    helix_batch size=2 delay=1ms;
    helix_pool compute threads=3 concurrency=2 queue=9 busy=off;
    helix_kind hashmix cost=150 batch=off;
    helix_kind primecount cost=50;

    helix_job kind=hashmix;
    helix_reject_status 429;
    helix_retry_after 7s;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        helix_job kind=primecount;

        location /own { helix_pass; helix_job id=5; }
        location /jobs { helix_pass; }
        location /drop { helix_pass; helix_job strategy=drop kind=hashmix; }
        location /told {
            helix_pass hashmix; helix_explain on;
            location /told/not { helix_pass hashmix; helix_explain off; }
            location /told/nested { helix_pass hashmix; }
        }
        location /off {
            helix_pass; helix_job strategy=drop kind=hashmix;
            helix_reject_status 503; helix_retry_after off;
            location /off/nested { helix_pass; }
        }
        location /if {
            helix_pass hashmix;
            if ($arg_id) { set $nothing 1; }
        }
        location /limit {
            helix_pass hashmix;
            limit_except POST { allow all; }
        }
        location /status {
            helix_status health;
            limit_except POST { allow all; }
        }
        location /helix { helix_status; if ($arg_x) { set $nothing 1; } }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        location /jobs { helix_pass; }
    }
}
END

ok($t->reload, 'reload to other settings');

$s = $t->stats;

is($s->{zone}, 'main', 'zone');
is_deeply([@{$s->{pool}}{qw(name concurrency busy busy_limit)}],
          ['compute', 2, 0, 0], 'pool');
threads(4, 'threads');
is($s->{strategies}{cpu_pool}{waiting_limit}, 9, 'queue');
is($s->{thresholds}{inline}, 100, 'inline threshold');

my $r = $t->get('/jobs?inputs=1');

is($r->json->{kind}, 'primecount', 'helix_job of the server');
is($r->json->{strategy}, 'inline', 'cost of the kind');

$r = $t->raw("GET /jobs?inputs=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
             . "\r\n", port => 1);

is($r->json->{kind}, 'hashmix', 'helix_job of http');
is($r->json->{strategy}, 'spawn', 'cost of the other kind');

is($t->get('/jobs?kind=hashmix&cost=300&scaling=1')->json->{strategy},
   'cpu_pool', 'a kind without batches');
is($t->get('/jobs?kind=primecount&cost=300&scaling=1')->json->{strategy},
   'batch', 'a kind with batches');
is($t->get('/own?inputs=1')->status, 400,
   'helix_job of a location replaces that of the server');
is($t->get('/own?kind=hashmix')->json->{id}, 5, 'and has its own');

$r = $t->get('/drop');
is($r->status, 429, 'helix_reject_status of http');
is($r->header('Retry-After'), 7, 'helix_retry_after of http');

for ('/off', '/off/nested') {
    $r = $t->get($_);
    is($r->status, 503, "helix_reject_status in $_");
    is($r->header('Retry-After'), undef, "helix_retry_after in $_");
    is($r->json->{reason}, 'pinned', "helix_job in $_");
}

for (['/told', 200], ['/told/nested', 200], ['/told/not', 400],
     ['/jobs', 400])
{
    is($t->get("$_->[0]?explain=1")->status, $_->[1],
       "helix_explain in $_->[0]");
}

is($t->get('/if')->status, 200, 'beside an if');
is($t->get('/if?id=3')->status, 200, 'within an if');
is($t->get('/helix?x=1')->status, 200, 'status within an if');
is($t->get('/helix/api/stats?x=1')->status, 200, 'its tree too');
is($t->post('/limit', 'inputs=1', 'application/x-www-form-urlencoded')->status,
   200, 'beside a limit_except');
is($t->get('/limit')->status, 200, 'within a limit_except');
like($t->get('/status')->body, qr/^\{"status":"\w+","uptime_secs":\d+\}$/,
     'status within a limit_except');
