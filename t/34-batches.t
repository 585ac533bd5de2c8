#!/usr/bin/env perl

# Batches of the predictive policy: those that a thread pulls, and those of a
# turn of the event loop.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use List::Util qw(max sum);
use Test::More;
use Helix;

my $t = Helix->new(timeout => 60);
my $dir = $t->dir;
my $src = "$FindBin::Bin/..";

for my $build (['batch'], ['blocking', '-DBLOCKING']) {
    my ($name, @flags) = @$build;

    system('gcc', '-shared', '-fPIC', '-O2', "-I$src/src/kinds", @flags,
           "$src/t/lib/batch_kind.c", '-o', "$dir/$name.so") == 0
        or die "cannot build $name.so\n";
}

my $conf = <<'END';
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_kernel gain batch.so;
    helix_kernel none batch.so gain=off;
    helix_kernel blocking blocking.so;

    helix_pool concurrency=1 queue=8;
    helix_batch size=4;
    helix_timeout 120s;
    helix_explain on;
    keepalive_requests 100000;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
        }

        location /pin {
            helix_pass;
            helix_job strategy=cpu_pool;
        }

        location /helix {
            helix_status;
        }
    }
}
END

$t->conf($conf);
$t->start;

my $n = 0;

# a job that is like no other

sub job {
    my ($kind, $micros, $more) = @_;

    return "/jobs?kind=$kind&micros=$micros&inputs=" . ++$n . ($more // '');
}

sub sent {
    my ($path, $c) = @_;

    $c //= $t->connect;
    $c->send(Helix::message('GET', $path));

    return $c;
}

sub flushes { return { full => 0, idle => 0,
                       %{$t->stats->{batches_by_flush}} } }

# what the kind has seen: batches, jobs in them, the largest, of mixed keys

sub seen { @{$t->get("/jobs?kind=$_[0]&report=1")->json->{outputs}} }

# the only thread is taken, for long

sub occupied {
    my $c = sent(job('gain', 400000) =~ s{/jobs}{/pin}r);

    $t->wait_for(sub { $t->stats->{pool}{busy} == 1 }, 'a thread to be taken')
        or die;

    return $c;
}

sub waiting {
    my ($number) = @_;

    return $t->wait_for(sub {
        return $t->stats->{strategies}{batch}{waiting} == $number;
    }, "$number to wait");
}

sub words {
    my ($key, @r) = @_;

    return join ' ', map { $_->json->{$key} // '-' } @r;
}

sub answers { join ' ', map { "@{$_->json->{outputs} || []}" } @_ }


# what the jobs take is learned first

$t->get(job($_, 2000)) for map { ('gain', 'none') } 1 .. 30;


# jobs that wait for the thread are run together by it

my @paths = map { job('gain', 2000, '&key=1') } 1 .. 4;
my @single = map { $t->get($_) } @paths;

is(words('strategy', @single), join(' ', ('cpu_pool') x 4),
   'a thread is free: one by one');

my $before = flushes();
my $long = occupied();

my @c = map { sent($_) } @paths;

ok(waiting(4), 'four wait');
is($long->recv->status, 200, 'the job before them');

my @r = map { $_->recv } @c;

is(words('strategy', @r), 'batch batch batch batch', 'a batch');
is(words('reason', @r), join(' ', ('batchable') x 4), 'the reason');
is(words('batch_size', @r), '4 4 4 4', 'all together');
is(answers(@r), answers(@single), 'the answers are what they are alone');
is(flushes()->{full}, $before->{full} + 1, 'flushed: full');
is_deeply([seen('gain')], [1, 4, 4, 0], 'by one call of the kind');

# more than fit, and fewer

$before = flushes();
$long = occupied();

@c = map { sent(job('gain', 2000)) } 1 .. 7;

ok(waiting(7), 'seven wait');

@r = map { $_->recv } $long, @c;
shift @r;

is(words('batch_size', @r), '4 4 4 4 3 3 3', 'two batches');
is(flushes()->{full}, $before->{full} + 1, 'flushed: one is full');
is(flushes()->{idle}, $before->{idle} + 1, 'flushed: no other waits');

# by key

$long = occupied();

@c = map { sent(job('gain', 2000, "&key=$_")) } 5, 6, 5, 6, 5;

ok(waiting(5), 'jobs of two keys wait');

@r = map { $_->recv } $long, @c;
shift @r;

is(words('batch_size', @r), '3 2 3 2 3', 'by key');
is((seen('gain'))[3], 0, 'keys are never mixed');

# one that leaves

$long = occupied();

@c = map { sent(job('gain', 2000)) } 1 .. 4;

ok(waiting(4), 'four wait again');

(splice @c, 1, 1)->close;

ok(waiting(3), 'one leaves');

@r = map { $_->recv } $long, @c;
shift @r;

is(words('batch_size', @r), '3 3 3', 'the others are run without it');
is($t->stats->{cancelled}, 1, 'it was cancelled');


# a kind that gains nothing leaves batching

my $left;

for (1 .. 6) {
    $long = occupied();

    # now and then it is tried again, for a moment

    @c = map { sent(job('none', 2000)) } 1 .. 4;
    @r = map { $_->recv } $long, @c;
    shift @r;

    $left ||= words('strategy', @r) eq 'cpu_pool cpu_pool cpu_pool cpu_pool';
    last if $left;
}

ok((seen('none'))[1] >= 8, 'no gain: some batches have shown it');
ok($left, 'no gain: one by one from then on');

$long = occupied();

ok($t->wait_for(sub {
    my $lanes = $t->post('/helix/api/explain', '{"kind":"none","params":'
                         . '{"micros":2000}}')->json->{lanes} || [];

    return grep { $_->{strategy} eq 'batch'
                  && $_->{verdict} eq 'gains nothing' } @$lanes;
}, 'the verdict'), 'no gain: it is explained');

$long->recv;

$long = occupied();
@c = map { sent(job('gain', 2000)) } 1 .. 4;
@r = map { $_->recv } $long, @c;
shift @r;

is(words('batch_size', @r), '4 4 4 4', 'the other kind goes on');


# short ones, once it is known that they are

$t->get(job('gain', 60)) for 1 .. 40;

my $r = $t->get(job('gain', 60));

is_deeply([@{$r->json}{qw(strategy reason batch_size)}], ['batch', 'cheap', 1],
          'a short job: at the end of the turn, alone');

$r = $t->get(job('gain', 1));

is_deeply([@{$r->json}{qw(strategy reason)}], ['inline', 'cheap'],
          'one that is too short for that: inline');

# several in one turn, while the worker did not look

my @keep = map { $t->connect } 1 .. 8;

$_->request('GET', job('gain', 1)) for @keep;

sub stopped {
    open my $fh, '<', "/proc/$_[0]/stat" or return;

    return <$fh> =~ /\) T /;
}

sub turn {
    my ($more, @paths) = @_;

    my ($worker) = $t->workers;
    my @some = @keep[0 .. $#paths];

    kill 'STOP', $worker;
    $t->wait_for(sub { stopped($worker) }, 'the worker to stop') or die;

    sent($paths[$_], $some[$_]) for 0 .. $#paths;
    $more->() if $more;
    kill 'CONT', $worker;

    return map { $_->recv } @some;
}

$before = flushes();

my @seen = seen('gain');

@paths = map { job('gain', 60) } 1 .. 3;
@r = turn(undef, @paths);

is(words('strategy', @r), 'batch batch batch', 'a turn: a batch');
is(words('reason', @r), 'cheap cheap cheap', 'a turn: the reason');
is(words('batch_size', @r), '3 3 3', 'a turn: all together');
is(flushes()->{idle}, $before->{idle} + 1, 'a turn: flushed idle');
is_deeply([(seen('gain'))[0, 1]], [$seen[0] + 1, $seen[1] + 3],
          'a turn: by one call of the kind');
is(answers(@r), answers(map { $t->get($_) } @paths),
   'a turn: the answers are what they are alone');

# no thread is needed

$before = flushes();
$long = occupied();

@r = turn(undef, map { job('gain', 60) } 1 .. 6);

is(words('batch_size', @r), '4 4 4 4 2 2',
   'a turn: more than fit, and no thread');
is($t->stats->{pool}{busy}, 1, 'a turn: the thread has been busy all the time');
is(flushes()->{full}, $before->{full} + 1, 'a turn: flushed full');
is(flushes()->{idle}, $before->{idle} + 1, 'a turn: flushed idle');

# while all places to wait are taken

@c = map { sent(job('gain', 2000)) } 1 .. 8;

ok(waiting(8), 'all places are taken');

SKIP: {
    skip 'no job is short here', 1 if $ENV{TSAN_OPTIONS};

    is(words('strategy', turn(undef, map { job('gain', 60) } 1 .. 2)),
       'inline inline', 'a short job needs none');
}

is($_->recv->status, 200, 'one of those that waited') for $long, @c;

# by key

@r = turn(undef, map { job('gain', 60, "&key=$_") } 5, 6, 5, 6, 5);

is(words('batch_size', @r), '3 2 3 2 3', 'a turn: by key');
is((seen('gain'))[3], 0, 'a turn: keys are never mixed');

# one that has left before the turn ends

my $gone = pop @keep;

@r = turn(sub { sent(job('gain', 60), $gone); $gone->close },
          map { job('gain', 60) } 1 .. 2);

is(words('batch_size', @r), '2 2', 'a turn: without one that has left');
ok($t->wait_for(sub { $t->stats->{cancelled} == 2 }, 'it to be cancelled'),
   'a turn: it was cancelled');

# what they take is learned: two and a third of it, not three times

my $spent = sub { $t->stats->{predictive}{cpu_secs} };

my $start = $spent->();
turn(undef, map { job('gain', 60) } 1 .. 4) for 1 .. 20;
my $together = $spent->() - $start;

$start = $spent->();
$t->get(job('gain', 60)) for 1 .. 80;
my $alone = $spent->() - $start;

cmp_ok($together, '<', 0.7 * $alone, 'a turn: less is spent together')
    or diag("$together, and $alone");
cmp_ok($together, '>', 0.1 * $alone, 'a turn: and that is accounted');


# what a kind takes on threads of its own

$t->get(job('blocking', 5000)) for 1 .. 30;

cmp_ok($t->stats->{kinds}{blocking}{predicted_ms}, '>', 3,
       'blocking: its time is learned, not that of the processor');


# the threshold policy collects, by key too

$t->conf($conf =~ s/size=4;/size=4 delay=100ms; helix_policy threshold;/r);
$t->reload;
$t->wait_for(sub { $t->stats->{policy} eq 'threshold' }, 'the other policy');

my $mixed = (seen('gain'))[3];

@r = map { $_->recv }
     map { sent(job('gain', 2000, "&key=$_&scaling=1&cost=100000")) }
         5, 6, 5, 6, 5;

is(words('strategy', @r), 'batch batch batch batch batch', 'threshold');
is((seen('gain'))[3], $mixed, 'threshold: keys are never mixed');

$t->done;
