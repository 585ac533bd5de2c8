#!/usr/bin/env perl

# Kinds from shared objects: loading them, parameters, bodies, answers with
# less than all, jobs that are shared, memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new;
my $dir = $t->dir;
my $src = "$FindBin::Bin/..";

sub probe {
    my ($name, @flags) = @_;

    system('gcc', '-shared', '-fPIC', '-O2', "-I$src/src/kinds", @flags,
           "$src/t/lib/probe_kind.c", '-o', "$dir/$name.so") == 0
        or die "cannot build $name.so\n";
}

probe('probe');
probe('blocking', '-DBLOCKING');
probe('nameless', '-DNAMELESS');
probe("broken$_", "-DBREAK=$_", '-w') for 1 .. 7;


# what is refused

system('cp', "$dir/probe.so", "$dir/open.so");
chmod 0775, "$dir/open.so";
$t->write('text.so', 'no object');
mkdir "$dir/dir.so";

my $names = 'at most 31 lower-case letters, digits and "_" are expected';

for my $case (
    ["p probe.so colour=red",
     'helix_kernel "p": unknown key "colour", "greeting" is expected'],
    ["p probe.so greeting",
     'invalid parameter "greeting" in "helix_kernel", "key=value" is expected'],
    ["p probe.so =x",
     'invalid parameter "=x" in "helix_kernel", "key=value" is expected'],
    ["hashmix probe.so",
     'there is a kind "hashmix" already, "helix_kernel" needs another name'],
    ["hash_mix probe.so",
     'there is a kind "hash_mix" already, "helix_kernel" needs another name'],
    ["P probe.so", qq{invalid name "P" in "helix_kernel", $names}],
    ["p1234567890123456789012345678901 probe.so",
     qq{invalid name "p1234567890123456789012345678901" in "helix_kernel", }
     . $names],
    ["p hashmiks", qr/unknown source "hashmiks" in "helix_kernel", .* did you mean "hashmix"\?/],
    ["p hashmix size=3",
     '"size=3" in "helix_kernel": the kind has no parameters'],
    ["p none.so",
     qq{"$dir/none.so" of "helix_kernel" cannot be read (2: No such file or }
     . 'directory)'],
    ["p dir.so", qq{"$dir/dir.so" of "helix_kernel" is not a file}],
    ["p open.so",
     qq{"$dir/open.so" of "helix_kernel" may be written by others than its }
     . 'owner: chmod go-w'],
    ["p text.so",
     qr/"\Q$dir\E\/text.so" of "helix_kernel" cannot be loaded: .*(header|short)/],
    ["p broken1.so",
     qq{the kind of "$dir/broken1.so" is broken: its "size" is too small}],
    ["p broken2.so",
     qq{"$dir/broken2.so" was built for version 2 of the ABI of kinds, this is }
     . 'version 1: build it against the header of this helix'],
    ["p broken3.so",
     qq{the kind of "$dir/broken3.so" is broken: a parameter has a bad name, }
     . 'type or range'],
    ["p broken4.so",
     qq{the kind of "$dir/broken4.so" is broken: it has flags that this helix }
     . 'does not know'],
    ["p broken5.so",
     qq{the kind of "$dir/broken5.so" is broken: plan(), start(), step() or }
     . 'finish() is missing'],
    ["p broken6.so",
     qq{"$dir/broken6.so" of "helix_kernel" is no kind: it has no function }
     . '"helix_kind_entry"'],
    ["p broken7.so",
     qr/"\Q$dir\E\/broken7.so" does not want to work with helix [\d.]+/],
) {
    my ($args, $words) = @$case;

    # nginx frees nothing on its way out

    local $ENV{TEST_ASAN_OPTIONS} = ($ENV{TEST_ASAN_OPTIONS} // '')
                                    . ':detect_leaks=0';

    my ($code, $out) = $t->nginx_t(<<"END");
%%TEST_GLOBALS%%
events {
}
http {
    %%TEST_GLOBALS_HTTP%%
    helix_kernel $args;
}
END

    my $line = '';
    my ($first) = $out =~ /^nginx: \[emerg\] (.*)$/m;
    $first //= '';
    my $ok = ref $words ? $first =~ $words
                        : $first =~ /^\Q$words\E in \S+:\d+$/;

    ok($code == 1 && $ok, "refused: helix_kernel $args")
        or diag("code $code: $out");
}


# what is run

sub text {
    my ($more) = @_;

    return <<"END";
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format h '\$helix_result \$helix_level \$helix_quality '
                 '\$helix_reason \$arg_tag';

    helix_kernel probe probe.so "greeting=good day";
    helix_kernel down probe.so down=1;
    helix_kernel blocking blocking.so;
    helix_kernel nameless nameless.so;
    helix_kernel mix hashmix;
    helix_pool concurrency=1 queue=64 busy=off memory=1m;
    @{[$more // '']}

    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_max_body_size 1m;
        access_log logs/h.log h;

        location /jobs {
            helix_pass;
            helix_explain on;
        }

        location /pool {
            helix_pass \$arg_k;
            helix_job strategy=cpu_pool;
        }

        location /fixed {
            helix_pass probe;
            helix_job params.count=7 params.note=\$arg_words;
            helix_job params.ratio=0.25 final;
        }

        location /helix {
            helix_status;
        }
    }
}
END
}

my $out;

{
    local $ENV{TEST_ASAN_OPTIONS} = ($ENV{TEST_ASAN_OPTIONS} // '')
                                    . ':detect_leaks=0';
    (undef, $out) = $t->nginx_t(text('helix_kind none batch=on;'));
}

like($out, qr/unknown job kind "none"/, 'a kind that no helix_kernel has');

$t->conf(text(''));
$t->start;

sub job {
    my ($path, $body, @rest) = @_;

    my $r = defined $body ? $t->post($path, $body, @rest) : $t->get($path);

    return ($r, $r->json);
}

my ($r, $j) = job('/jobs?kind=probe&cost=5');

is($r->status, 200, 'a job of a loaded kind');
is($j->{kind}, 'probe', 'by the name it was given');
is_deeply($j->{outputs},
          [{ greeting => 'good day', count => 0, ratio => 0, note => '',
             data => '', type => '', bytes => 0, level => 0,
             truncated => JSON::PP::false(), list => [1, 2.5] }],
          'objects, lists, text, booleans');

($r, $j) = job('/jobs?kind=mix&inputs=42,100&cost=1000');
is($r->body =~ /10216004649843298165/ ? 1 : 0, 1,
   'a built-in one under another name');


# parameters

($r, $j) = job('/jobs?kind=probe&cost=5&count=1000&ratio=-1&note=a+b%21'
               . '&data=%5B1,%7B%22a%22:null%7D%5D');
is($r->status, 200, 'parameters in a query string');
is($j->{outputs}[0]{count}, 1000, 'an integer');
is($j->{outputs}[0]{ratio}, -1, 'a number');
is($j->{outputs}[0]{note}, 'a b!', 'text');
is($j->{outputs}[0]{data}, '[1,{"a":null}]', 'JSON, as it was sent');

($r, $j) = job('/jobs', '{"params":{"count":3,"ratio":1.5,"note":"x\u00e9",'
               . '"data": {"b":[ 1, "}" ]} },"cost":5,"kind":"probe"}');
is($r->status, 200, 'parameters in JSON, before the kind');
is($j->{outputs}[0]{count}, 3, 'an integer');
is($j->{outputs}[0]{note}, "x\x{e9}", 'text with an escape');
is($j->{outputs}[0]{data}, '{"b":[ 1, "}" ]}', 'JSON within JSON');

($r, $j) = job('/jobs', '{"kind":"probe","cost":5,"params":{"count":"12"}}');
is($j->{outputs}[0]{count}, 12, 'an integer may be quoted');

($r, $j) = job('/jobs', 'kind=probe&cost=5&count=4',
               'application/x-www-form-urlencoded');
is($j->{outputs}[0]{count}, 4, 'parameters in a form');

($r, $j) = job('/fixed?cost=5&words=hello');
is_deeply([@{$j->{outputs}[0]}{qw(count ratio note)}], [7, 0.25, 'hello'],
          'parameters from the configuration');
($r, $j) = job('/fixed?cost=5&count=9&ratio=1');
is_deeply([@{$j->{outputs}[0]}{qw(count ratio note)}], [9, 0.25, ''],
          'a default gives way, a final one does not');

for my $case (
    ['count=0', 'count', 'an integer from 1 to 1000: how many'],
    ['count=1001', 'count', 'an integer from 1 to 1000: how many'],
    ['count=1.0', 'count', 'an integer from 1 to 1000: how many'],
    ['count=', 'count', 'an integer from 1 to 1000: how many'],
    ['ratio=1.6', 'ratio', 'a number from -1 to 1.5: how much'],
    ['ratio=nan', 'ratio', 'a number from -1 to 1.5: how much'],
    ['ratio=1e999', 'ratio', 'a number from -1 to 1.5: how much'],
    ['note=12345678901234567', 'note', 'text of at most 16 bytes: a few words'],
    ['note=%ff', 'note', 'text of at most 16 bytes: a few words'],
    ['data=%7B', 'data', 'JSON of at most 4096 bytes: anything'],
    ['data=', 'data', 'JSON of at most 4096 bytes: anything'],
    ['data=1+2', 'data', 'JSON of at most 4096 bytes: anything'],
) {
    my ($query, $field, $words) = @$case;

    ($r, $j) = job("/jobs?kind=probe&$query");
    is($r->status, 400, "refused: $query");
    is($j->{field} // '', $field, 'the parameter at fault');
    is($j->{detail}, "the value is not $words", 'in words');
}

($r, $j) = job('/jobs', '{"kind":"probe","params":{"count":[1]}}');
is($r->status, 400, 'a list is no number');
($r, $j) = job('/jobs', '{"kind":"probe","params":{"note":1}}');
is($r->status, 400, 'a number is no text');
($r, $j) = job('/jobs', '{"kind":"probe","params":[]}');
is($r->status, 400, 'params is an object');
($r, $j) = job('/jobs', '{"kind":"probe","params":{"count":1,"count":2}}');
is($j->{detail}, 'the parameter is given twice', 'a parameter twice');
($r, $j) = job('/jobs?kind=probe&count=1', '{"params":{"count":1}}');
is($j->{detail}, 'the parameter is given twice', 'once in each place');
($r, $j) = job('/jobs?kind=probe&cuont=1');
is($j->{did_you_mean}, 'count', 'did you mean');
is($j->{value}, 'cuont', 'not this');
($r, $j) = job('/jobs?kind=hashmix&count=1');
is($r->status, 400, 'of another kind');
($r, $j) = job('/jobs?knid=probe');
is($j->{did_you_mean}, 'kind', 'without a kind');
($r, $j) = job('/jobs?kind=probe&' . join('&', map { "p$_=1" } 1 .. 40));
is($r->status, 400, 'too many');
($r, $j) = job('/jobs', '{"kind":"probe","params":{"count":1');
is($j->{code}, 'BadJson', 'cut off');
($r, $j) = job('/jobs?kind=probe&fail=1');
is_deeply([$r->status, $j->{field}, $j->{detail}], [400, 'fail', 'told to fail'],
          'what the kind itself does not like');
($r, $j) = job('/jobs?kind=probe&fail=2');
is_deeply([$r->status, $j->{code}], [422, 'Kernel'], 'and finds out late');


# bodies

my $bytes = join '', map { chr($_ % 256) } 0 .. 99999;

for my $path ('/jobs?kind=probe&cost=5', '/pool?k=probe&cost=5') {
    ($r, $j) = job($path, $bytes, 'application/octet-stream');
    is($r->status, 200, "a body of bytes to $path");
    is($j->{outputs}[0]{bytes}, 100000, 'in full');
    is($j->{outputs}[0]{type}, 'application/octet-stream', 'its type');

    $r = $t->post("$path&binary=1", $bytes, 'text/x-probe; charset=latin1');
    is($r->header('Content-Type'), 'application/x-probe', 'an answer of bytes');
    ok($r->body eq $bytes, 'the same');
    is($r->header('X-Helix-Strategy'), $path =~ /pool/ ? 'cpu_pool' : 'inline',
       'with headers');
}

($r, $j) = job('/jobs?kind=hashmix', $bytes, 'application/octet-stream');
is_deeply([$r->status, $j->{code}], [415, 'MediaType'],
          'a kind that takes none');
($r, $j) = job('/jobs?kind=probe', $bytes, 'image/png');
is($r->status, 415, 'another type');
($r, $j) = job('/jobs', $bytes, 'application/octet-stream');
is($r->status, 400, 'no kind');
$r = $t->post('/jobs?kind=probe', 'x' x 1100000, 'application/octet-stream');
is($r->status, 413, 'more than client_max_body_size');


# levels: what is refused in full is answered with less

my $occupied;

sub occupy { $occupied = async('/pool?k=probe&micros=700000') }
sub async {
    my ($path) = @_;

    my $c = $t->connect;
    $c->send(Helix::message('GET', $path, undef, Connection => 'close'));

    return $c;
}

$t->conf(text('helix_policy threshold;') =~ s/busy=off/busy=1/r);
$t->reload;
$t->wait_for(sub { $t->stats->{policy} eq 'threshold' }, 'the other policy');

occupy();
$t->wait_for(sub { $t->stats->{pool}{busy} == 1 }, 'the only thread taken');

my $query = '/jobs?kind=probe&micros=100&levels=2';

($r, $j) = job("$query&cost=50000");
is_deeply([$r->status, $j->{level}], [200, 'half'],
          'small enough, but the pool is busy');

($r, $j) = job("$query&cost=1000000");
is_deeply([$r->status, $j->{reason} // ''], [503, 'pressure'],
          'too much at every level');

($r, $j) = job("$query&cost=100000&explain=1");
is($r->status, 200, 'too much in full');
is_deeply([$j->{level}, $j->{quality}], ['half', 0.5], 'so it is halved');
is($j->{outputs}[0]{level}, 1, 'the kind knows');
is($r->header('X-Helix-Level'), 'half', 'a header');
is($r->header('X-Helix-Quality'), '0.5', 'another');

($r, $j) = job("$query&cost=400000");
is_deeply([$j->{level}, $r->header('X-Helix-Quality') // ''], ['tenth', 0.1],
          'the next level') or diag($r->body);

($r, $j) = job($query =~ s/probe/nameless/r . '&cost=100000');
is_deeply([$r->status, $j->{reason} // ''], [503, 'pressure'],
          'levels of a kind that names none');

($r, $j) = job("$query&cost=400000&min_quality=0.3");
is($r->status, 503, 'less than the client wants');
($r, $j) = job("$query&cost=100000&min_quality=0.5");
is($j->{level}, 'half', 'not less');
($r, $j) = job("$query&cost=100000&min_quality=1.1");
is_deeply([$r->status, $j->{field}], [400, 'min_quality'], 'out of range');

is($occupied->recv->status, 200, 'pinned: in full');

my $s = $t->stats;
is_deeply($s->{kinds}{probe}{levels},
          { truncated => 0, half => 3, tenth => 1 }, 'counted by level');
is($s->{kinds}{probe}{approximated}, 4, 'and together');
is($s->{approximated}, 4, 'and of all kinds');

my $metrics = $t->get('/helix/metrics')->body;
like($metrics, qr/^helix_approximated_total\{zone="\w+",kind="probe",level="half"\} 3$/m,
     'a metric');

# the predictive policy too, and a pinned job is not cut short

$t->conf(text(''));
$t->reload;
$t->wait_for(sub { $t->stats->{policy} eq 'predictive' }, 'the policy');

job('/jobs?kind=probe&micros=10000') for 1 .. 20;

($r, $j) = job('/jobs?kind=probe&levels=2&micros=500000'
               . '&latency_budget_ms=300');
is($r->status, 200, 'predictive: an answer in time');
ok(defined $j->{level}, 'with less') or diag($r->body);
($r, $j) = job('/jobs?kind=probe&levels=2&micros=500000'
               . '&latency_budget_ms=300&min_quality=1');
is($r->status, 503, 'or none');
($r, $j) = job('/pool?k=probe&micros=300000&latency_budget_ms=60');
is($r->status, 200, 'pinned: no deadline cuts it short');
ok(!exists $j->{level}, 'in full');


# cut short by its deadline: the model has not seen that a unit of work takes
# longer now

$t->conf(text('helix_policy threshold;'));
$t->reload;
$t->wait_for(sub { $t->stats->{policy} eq 'threshold' }, 'the other policy');

my $grace = 100 * ($ENV{TEST_SLOW} // 1);

for my $lane ([8000, 'inline', 4], [59000, 'spawn', 25],
              [70000, 'cpu_pool', 30])
{
    my ($cost, $strategy, $budget) = @$lane;

    ($r, $j) = job("/jobs?kind=probe&cost=$cost&latency_budget_ms=$budget");
    is($r->status, 200, "$strategy: an answer by the deadline");
    is($j->{strategy}, $strategy, 'how it ran');
    is($j->{level}, 'truncated', 'with what there was');
    is($j->{outputs}[0]{truncated}, JSON::PP::true(), 'the kind knows');
    ok($j->{quality} > 0 && $j->{quality} < 0.9, 'and how good it is');
    ok($j->{total_ms} >= 0.8 * $budget && $j->{total_ms} < $budget + $grace,
       'at the right time')
        or diag($j->{total_ms});
}

($r, $j) = job('/jobs?kind=probe&micros=70000');
is($j->{strategy}, 'cpu_pool', 'no cost is declared: the work counts');
($r, $j) = job('/jobs?kind=probe&micros=70000&cost=10');
is($j->{strategy}, 'cpu_pool', 'one that is too low does not');
($r, $j) = job('/jobs?kind=probe');
is($j->{strategy}, 'inline', 'no parameters: the default');

($r, $j) = job('/jobs?kind=probe&cost=70000&micros=900000&latency_budget_ms=30'
               . '&min_quality=0.9');
is($r->status, 504, 'not good enough');

# a kind that may not run in the event loop

($r, $j) = job('/jobs?kind=blocking&cost=5');
is_deeply([$r->status, $j->{strategy}], [200, 'cpu_pool'],
          'blocking, threshold');

$t->conf(text(''));
$t->reload;
$t->wait_for(sub { $t->stats->{policy} eq 'predictive' }, 'the policy');

($r, $j) = job('/jobs?kind=blocking&cost=5') for 1 .. 3;
is_deeply([$r->status, $j->{strategy}], [200, 'cpu_pool'],
          'blocking, predictive');


# one that does not work

($r, $j) = job('/jobs?kind=down&cost=5');
is_deeply([$r->status, $j->{reason}], [503, 'kernel'], 'a kind that is down');


# jobs that are the same

sub waiting { $t->stats->{in_flight} }

my $same = '/jobs?kind=probe&micros=400000&pure=1&count=5';

for my $case (
    ["$same&id=1", "$same&id=2", 1, 'whatever the id'],
    ["$same&id=3&pure=2", "$same&id=4&pure=2", 0, 'unless it counts'],
    [$same, "$same&ratio=1", 0, 'another parameter'],
    [$same, "$same&inputs=1", 0, 'other inputs'],
    [$same, "$same&note=a", 0, 'other text'],
    ["/jobs?kind=probe&micros=400000", "/jobs?kind=probe&micros=400000", 0,
     'not pure'],
    ["$same&latency_budget_ms=4000", "$same&latency_budget_ms=20000", 0,
     'much more time'],
) {
    my ($first, $second, $shared, $name) = @$case;
    s/&pure=1(?=.*&pure=)// for $first, $second;

    my $before = $t->stats->{coalesced};

    my $a = async($first);
    $t->wait_for(sub { waiting() == 1 }, 'the first');
    my $b = async($second);
    $t->wait_for(sub { waiting() == 2 || $t->stats->{dropped} }, 'the second');

    my ($ra, $rb) = ($a->recv, $b->recv);

    is_deeply([$ra->status, $rb->status], [200, 200], "both: $name");
    is($t->stats->{coalesced} - $before, $shared, "shared or not: $name");
    is($rb->json->{reason} eq 'coalesced' ? 1 : 0, $shared, 'its reason');
    is_deeply($ra->json->{outputs}, $rb->json->{outputs}, 'the same answer')
        if $shared;
}

# the type of a body is a part of what is asked

my @types = ('application/octet-stream', 'text/x-probe');
my @posted;

for my $type (@types) {
    push @posted, $t->connect;
    $posted[-1]->send(Helix::message('POST', $same, 'a body',
                                     'Content-Type' => $type,
                                     Connection => 'close'));
    $t->wait_for(sub { waiting() == @posted }, 'a body');
}

is_deeply([map { $_->recv->json->{outputs}[0]{type} } @posted], \@types,
          'each its own type');

# the first may leave, the others may too

my $long = '/jobs?kind=probe&micros=600000&pure=1&count=6';
my $cancelled = $t->stats->{cancelled};
my $a = async($long);
$t->wait_for(sub { waiting() == 1 }, 'the first');
my @others = map { async($long) } 1 .. 3;
$t->wait_for(sub { waiting() == 4 }, 'the others');
$a->close;
$others[0]->close;
$_ = $_->recv for @others[1, 2];
is_deeply([map { $_->status } @others[1, 2]], [200, 200],
          'the first one left, others are served');
$t->wait_for(sub { $t->stats->{cancelled} == $cancelled + 2 }, 'two cancelled');
is($t->stats->{cancelled}, $cancelled + 2, 'the two that left');

$long =~ s/600000/1500000/;
$cancelled = $t->stats->{cancelled};
my @all = async("$long&latency_budget_ms=10000");
$t->wait_for(sub { waiting() == 1 }, 'the first');
push @all, async("$long&latency_budget_ms=20000");
$t->wait_for(sub { waiting() == 2 }, 'the second');
$_->close for @all;
$t->wait_for(sub { waiting() == 0 }, 'all gone');
is($t->stats->{cancelled}, $cancelled + 2, 'all left: it is stopped');

# one with less time does not wait for one with more

$long =~ s/1500000/500000/;
my $before = $t->stats->{coalesced};
$a = async("$long&latency_budget_ms=5000");
$t->wait_for(sub { waiting() == 1 }, 'the first');
my $b = async("$long&latency_budget_ms=4000");
is_deeply([map { $_->recv->status } $a, $b], [200, 200], 'each by itself');
is($t->stats->{coalesced}, $before, 'not shared');


# memory is bounded

my ($m1, $m2) = map { async("/pool?k=probe&micros=300000&extra=400000") }
                    1, 2;
$t->wait_for(sub { waiting() == 2 }, 'two jobs');
($r, $j) = job('/pool?k=probe&micros=1&extra=400000');
is_deeply([$r->status, $j->{reason}], [503, 'memory'], 'no memory for a third');
ok($t->stats->{pool}{memory_bytes} > 800000, 'what the two have');
$_->recv for $m1, $m2;
$t->wait_for(sub { $t->stats->{pool}{memory_bytes} == 0 }, 'all given back');
is($t->stats->{pool}{memory_bytes}, 0, 'given back');

like($t->read('logs/h.log'), qr/^COMPLETED half 0\.5 \w+/m, 'variables');

like($t->read('logs/error.log'),
     qr/\[error\] .*helix: kind down cannot work in this worker: told to be down/,
     'a kind that is down is logged');

$t->done;
