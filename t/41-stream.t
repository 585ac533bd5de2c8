#!/usr/bin/env perl

# What is decided and what comes of it: the newest decisions, and the stream.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;
use HelixStream;

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_batch size=4 delay=1ms;
    helix_pool compute threads=2 concurrency=2 busy=off;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
            helix_job strategy=$arg_s;
        }

        location /late {
            helix_pass;
            helix_timeout 10ms;
            helix_job strategy=$arg_s;
        }

        location /alike {
            helix_pass hashmix;
        }

        location /dry {
            helix_pass;
            helix_dry_run on;
            helix_job strategy=drop;
        }

        location /helix {
            helix_status;
        }

        location /admin {
            helix_status write=on;
        }
    }
}
END

$t->start;


# the newest decisions

is_deeply($t->get('/helix/api/decisions')->json, [], 'nothing is decided yet');

my @jobs;

for my $n (1 .. 60) {
    my $s = (qw(inline spawn cpu_pool batch drop), '')[$n % 6];
    my $kind = qw(hashmix primecount)[$n % 2];

    my $r = $t->get("/jobs?s=$s&kind=$kind&id=$n&cost=${n}00&scaling=0.25"
                    . ($n % 3 ? '' : '&budget_ms=5000'));

    my $got = $r->status == 200 ? $r->json->{strategy} : 'drop';

    unshift @jobs, [$n, $kind, $n * 100, 0.25, $n % 3 ? undef : 5000, $got];
}

is($t->get('/jobs?kind=hashmix&colour=red')->status, 400, 'an invalid request');

sub decisions {
    my $r = $t->get("/helix/api/decisions?$_[0]");

    return $r->status == 200 ? $r->json : $r->status;
}

sub job { [@{$_[0]}{qw(id kind cost scaling budget_ms strategy)}] }

my $all = decisions('n=1000');

is_deeply([map { job($_) } @$all], \@jobs, 'all decisions, newest first');
is_deeply([map { job($_) } @{decisions('')}], [@jobs[0 .. 49]], '50 of them');
is_deeply(decisions('n=7'), [@$all[0 .. 6]], 'n=7');

for my $d (@$all) {
    my @keys = qw(seq w t id kind cost scaling strategy reason policy pressure
                  busy waiting job_id compute_cost cpu_busy decision_source);

    push @keys, 'budget_ms' if $d->{id} % 3 == 0;

    is_deeply([sort keys %$d], [sort @keys], "keys of $d->{id}");
}

is_deeply([grep { $_->{job_id} != $_->{id} || $_->{compute_cost} != $_->{cost}
                  || $_->{cpu_busy} != $_->{busy}
                  || $_->{decision_source}
                     ne ($_->{strategy} eq 'drop' ? 'drop' : 'heuristic') }
               @$all], [], "the ancestor's names");
cmp_ok(abs($all->[0]{t} - time), '<', 60, 'it is Unix time');
is_deeply([sort { $b <=> $a } map { $_->{t} } @$all], [map { $_->{t} } @$all],
          'by time');
is(scalar(keys %{{ map { ("$_->{w} $_->{seq}" => 1) } @$all }}), 60,
   'names of records');

for my $filter (['strategy=drop', sub { $_[0]{strategy} eq 'drop' }],
                ['strategy=spawn,batch',
                 sub { $_[0]{strategy} =~ /^(spawn|batch)$/ }],
                ['kind=hash_mix', sub { $_[0]{kind} eq 'hashmix' }],
                ['reason=pinned', sub { $_[0]{reason} eq 'pinned' }],
                ['reason=pinned&kind=primecount&strategy=cpu_pool&n=1000',
                 sub { $_[0]{reason} eq 'pinned' && $_[0]{kind} eq 'primecount'
                       && $_[0]{strategy} eq 'cpu_pool' }],
                ['reason=explored', sub { 0 }],
                ['strategy=%64rop', sub { $_[0]{strategy} eq 'drop' }])
{
    my @wanted = grep { $filter->[1]->($_) } @$all;

    splice @wanted, 50 if $filter->[0] !~ /n=/;

    is_deeply(decisions($filter->[0]), \@wanted, $filter->[0]);
}

for my $bad ('n=0', 'n=1001', 'n=', 'n=-1', 'n=1e3', 'n=18446744073709551616',
             'strategy=', 'strategy=inlin', 'strategy=drop,', 'strategy=,',
             'kind=nobody', 'kind=', 'reason=%00', 'reason=why',
             'strategy=%22%0a', 'kind=' . 'x' x 3000)
{
    my $r = $t->get("/helix/api/decisions?$bad");
    my ($field) = $bad =~ /^(\w+)/;

    is($r->status, 400, substr $bad, 0, 40);
    is($r->json->{code}, 'BadField', 'its code');
    is($r->json->{field}, $field, 'its field');
}

is($t->request('HEAD', '/helix/api/decisions')->body, '', 'HEAD');
is($t->post('/helix/api/decisions', '{}')->status, 405, 'POST');
is($t->get('/helix/api/decisions/1')->status, 404, 'nothing below');


# the numbers go on when others take the places of the workers

my %seen = map { ("$_->{w} $_->{seq}" => 1) } @$all;

ok($t->reload, 'reload');

is_deeply(decisions('n=1000'), $all, 'decisions outlive their workers');

for my $n (1 .. 3) {
    ok($t->reload, 'reload again');
    $t->get("/jobs?kind=hashmix&id=$n");
}

my @new = grep { !$seen{"$_->{w} $_->{seq}"} } @{decisions('n=1000')};

is_deeply([map { $_->{id} } @new], [3, 2, 1], 'new ones have new names');


# the stream: its header and its first bytes

my $s = HelixStream->new($t);

is($s->status, 200, 'stream');
is($s->header('Content-Type'), 'text/event-stream; charset=utf-8', 'its type');
is($s->header('Cache-Control'), 'no-store', 'not to be stored');
is($s->header('X-Accel-Buffering'), 'no', 'not to be buffered');
is($s->header('Content-Encoding'), undef, 'not compressed');

my ($hello) = $s->want('hello', 1);
my $epoch = $t->stats->{epoch};

like($s->{events}[0]{text}, qr/^retry: 2000\nevent: hello\ndata: \{.*\}\nid: /,
     'it begins at once');
is_deeply($hello, { zone => 'helix', epoch => $epoch, generation => 5,
                    workers => 2, ring => 16384, rate => 0,
                    resumed => JSON::PP::false }, 'hello');
like($s->id, qr/^$epoch(\.\d+-\d+)+\z/, 'an id');


# decisions, and what comes of them

my %job = (inline => 'COMPLETED', spawn => 'COMPLETED',
           cpu_pool => 'COMPLETED', batch => 'COMPLETED', drop => 'REJECTED');

for my $lane (sort keys %job) {
    $t->get("/jobs?kind=hashmix&s=$lane&id=18446744073709551615"
            . '&latency_budget_ms=10000');
}

is($s->want('done', 5), 5, 'five ends');

my @decisions = $s->named('');
my @done = $s->named('done');

is_deeply([sort map { $_->{strategy} } @decisions], [sort keys %job],
          'decisions');

for my $d (@decisions) {
    my ($kept) = grep { $_->{w} == $d->{w} && $_->{seq} == $d->{seq} }
                      @{decisions('')};
    my ($end) = grep { $_->{w} == $d->{w} && $_->{decision} == $d->{seq} }
                     @done;

    is_deeply($d, $kept, "$d->{strategy}: as in api/decisions");
    is($end->{result}, $job{$d->{strategy}}, 'its end');
    is($end->{id}, '18446744073709551615', 'its id');
    cmp_ok($end->{total_ms}, '>=', $end->{exec_ms}, 'its times');
    is_deeply([sort keys %$end],
              [sort qw(seq w decision id result queue_ms exec_ms total_ms
                       late), $d->{strategy} eq 'batch' ? 'batch_size' : ()],
              'its keys');
}

for my $event (grep { $_->{json} } @{$s->{events}}) {
    like($event->{text}, qr/\A(retry:\ \d+\n)?(event:\ [a-z]+\n)?
                            data:\ \{.*\}\n(id:\ [\d.-]+\n)?\z/x,
         'one line of data');
}

is((grep { defined $_->{id} } @{$s->{events}})[-1], $s->{events}[-1],
   'the last event has an id');

$s->close;


# ends of all kinds, and jobs that lead others

$s = HelixStream->new($t);

is($t->get('/jobs?kind=hashmix&colour=red')->status, 400, 'an invalid one');
is($t->get('/late?kind=hashmix&s=cpu_pool&cost=900000000')->status, 504,
   'one that is too late');

my $c = $t->connect;

$c->send(Helix::message('GET', '/jobs?kind=hashmix&s=cpu_pool&id=5'
                               . '&cost=50000000000'));
$t->wait_for(sub { $t->stats->{pool}{busy} }, 'a job to run');
$c->close;

# of three, two are with the same worker

my @alike = map { $t->connect } 1 .. 3;

$_->send(Helix::message('GET', '/alike?cost=600000000&id=77')) for @alike;

is($_->recv->status, 200, 'one of three that are alike') for @alike;

is($t->get('/dry?kind=hashmix&id=9')->status, 200, 'dry run');

$s->want('done', 6);

my %by_id;

push @{$by_id{$_->{id}}}, $_ for $s->named(''), $s->named('done');

is_deeply([sort map { $_->{result} } $s->named('done')],
          [qw(CANCELED COMPLETED COMPLETED COMPLETED EXPIRED
              REJECTED_DRY_RUN)], 'ends');
like(join(' ', sort map { $_->{reason} // 'end' } @{$by_id{77}}),
     qr/^coalesced (coalesced|end) end end (end )?heavy( heavy)?\z/,
     'the same job more than once');
is_deeply([map { $_->{strategy} // () } @{$by_id{9}}], ['cpu_pool'],
          'where a dropped job runs dry');

$s->close;


# filters

for my $case (['strategy=drop', sub { $_[0] eq 'drop' }, 1],
              ['done=0', sub { 1 }, 0],
              ['strategy=inline,spawn&done=1', sub { $_[0] =~ /^(inl|sp)/ },
               1],
              ['kind=primecount', sub { 0 }, 1],
              ['reason=pinned&done=0', sub { 1 }, 0])
{
    my ($args, $wanted, $done) = @$case;

    $s = HelixStream->new($t, $args);
    $t->get("/jobs?kind=hashmix&s=$_") for sort keys %job;
    $t->get('/jobs?kind=primecount&s=inline&id=99');

    my @lanes = grep { $wanted->($_) } sort keys %job;

    push @lanes, 'inline' if $args =~ /inline|primecount|reason|^done/;

    is_deeply([sort map { $_->{strategy} } $s->want('', scalar @lanes)],
              [sort @lanes], $args);

    $s->want('done', scalar @lanes) if $done;

    is($s->named('done'), $done ? @lanes : 0, "$args: ends");

    $s->close;
}

for my $bad ('rate=x', 'rate=-1', 'rate=1000001', 'rate=1e3', 'rate=',
             'done=2', 'done=', 'done=yes', 'stats=00000000000000000000002',
             'strategy=none', 'kind=%0d%0aevent:%20x', 'reason=%22',
             'rate=1&rate=x&strategy=,')
{
    my $r = $t->get("/helix/api/stream/decisions?$bad");

    is($r->status, 400, $bad);
    is($r->json->{code}, 'BadField', 'its code');
}

for my $fine ('', 'x=y', 'rate=0&done=1&stats=0&_=1', 'rate=1000000') {
    $s = HelixStream->new($t, $fine);
    is($s->want('hello', 1), 1, "\"$fine\" is fine");
    $s->close;
}

my $r = $t->request('HEAD', '/helix/api/stream/decisions');

is($r->status, 200, 'HEAD');
is($r->header('Content-Type'), 'text/event-stream; charset=utf-8', 'its type');
is($t->post('/helix/api/stream/decisions', '{}')->status, 405, 'POST');


# stats, and silence

$s = HelixStream->new($t, 'stats=1&done=0');

my @stats = $s->want('stats', 3, 5);

is(@stats, 3, 'stats, more than once');
is_deeply([sort keys %{$stats[-1]}], [sort keys %{$t->stats}], 'their keys');
is($stats[-1]{received}, $t->stats->{received}, 'their values');

my $times = grep { $_->{name} eq 'stats' } @{$s->{events}};

cmp_ok($times, '<=', 4, 'once a second');
$s->close;


# a reader that says how much it wants

$s = HelixStream->new($t, 'rate=10&done=0');
$s->want('hello', 1);

$c = $t->connect;
$c->send(Helix::message('GET', '/jobs?kind=hashmix&cost=1') x 200);
is($c->recv->status, 200, 'one of many') for 1 .. 200;

$s->want('gap', 1);

my @gaps = $s->named('gap');

is($gaps[0]{why}, 'rate', 'why some are missing');
$s->wait(sub {
    my $n = $s->named('');
    $n += $_->{missed} for $s->named('gap');
    return $n == 200;
});

my $missed = 0;

$missed += $_->{missed} for $s->named('gap');

is($s->named('') + $missed, 200, 'and how many');
cmp_ok($s->named(''), '<=', 40, 'not more than wanted');
cmp_ok($s->named(''), '>=', 10, 'nor less');
$s->close;


# where to go on

$s = HelixStream->new($t);
$t->get("/jobs?kind=hashmix&s=spawn&id=$_") for 1 .. 5;
$s->want('done', 5);
$s->wait(sub { $s->{buffer} eq '' });

my $id = $s->id;

$s->close;

$t->get("/jobs?kind=hashmix&s=batch&id=$_") for 6 .. 10;

for my $how ('header', 'argument') {
    $s = $how eq 'header' ? HelixStream->new($t, undef, "Last-Event-ID: $id")
                          : HelixStream->new($t, "last_event_id=$id");

    ok(($s->want('hello', 1))[0]{resumed}, "$how: resumed");
    is_deeply([sort { $a <=> $b } map { $_->{id} } $s->want('', 5)],
              [6 .. 10], "$how: what was not seen");
    is_deeply([sort { $a <=> $b } map { $_->{id} } $s->want('done', 5)],
              [6 .. 10], "$how: and its ends");
    is($s->named('gap'), 0, "$how: nothing is missing");
    $s->close;
}

ok($t->reload, 'reload');
$t->get('/jobs?kind=hashmix&s=inline&id=11');

$s = HelixStream->new($t, undef, "Last-Event-ID: $id");
is_deeply([sort { $a <=> $b } map { $_->{id} } $s->want('', 6)], [6 .. 11],
          'after a reload');
$s->close;

(my $other = $id) =~ s/^\d+/17/;
(my $ahead = $id) =~ s/-\d+\z/-9999999/;

for my $garbage ('', 'x', $other, $ahead, "$id.", "$id.1", "$id.1-", "$id.99-0",
                 "$epoch.128-0", "$id;", "-$id", '9' x 4000,
                 "$epoch.0-18446744073709551616", "$epoch.-1-0", '%00',
                 "$epoch." . '0-0.' x 700)
{
    $s = HelixStream->new($t, undef, "Last-Event-ID: $garbage");

    my ($first) = $s->want('hello', 1);
    my $name = substr $garbage, 0, 40;

    ok($first && !$first->{resumed}, "\"$name\": from now on");
    is($s->named(''), 0, "\"$name\": nothing before");
    $s->close;
}


# settings that change

$s = HelixStream->new($t);
$s->want('hello', 1);

$r = $t->request('PATCH', '/admin/api/config', '{"spawn_threshold":50000}',
                 'Content-Type' => 'application/json');

is($r->status, 200, 'a setting is changed');

my ($change) = $s->want('config', 1);

is_deeply($change->{changed}, { spawn_threshold => [60000, 50000] },
          'its readers are told');
is($change->{generation}, $r->json->{generation}, 'the version');
ok(!exists $change->{by}, 'who has no name is not shown by address');

$t->request('PATCH', '/admin/api/config', qq({"spawn_threshold":5000$_}),
            'Content-Type' => 'application/json') for 1 .. 9;

is_deeply([map { $_->{changed}{spawn_threshold}[1] } $s->want('config', 10)],
          [50000 .. 50009], 'each change, once');
$s->close;
