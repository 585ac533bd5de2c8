#!/usr/bin/env perl

# The predictive policy on a real nginx: what is admitted, in which order it
# runs, what becomes of what cannot make it, and what is learned from it.
#
# Times of jobs are processor time, measured here: whatever else the machine
# does, budgets are long enough for it or too short in any case.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;
use Time::HiRes qw(time);
use Helix;

my $t = Helix->new(timeout => 60);

sub configure {
    my ($workers) = @_;

    $t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes $workers;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_pool concurrency=1;
    helix_batch size=4 delay=500ms;
    helix_kind hashmix max_cost=1000000000000000;
    helix_timeout 120s;
    helix_explain on;
    keepalive_requests 100000;
    add_header X-Pid \$pid always;
    add_header X-Predicted \$helix_predicted_time always;
    add_header X-Record \$helix_json always;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        location /jobs {
            helix_pass;
        }

        location /pin {
            helix_pass;
            helix_job strategy=cpu_pool;
        }

        location /inline {
            helix_pass;
            helix_job strategy=inline;
        }

        location /helix {
            helix_status;
        }
    }
}
END
}

configure(1);

$t->start;

is($t->stats->{policy}, 'predictive', 'the default policy');
is($t->stats->{pool}{concurrency}, 1, 'one thread at a time');


# a job of so many milliseconds of processor time; 0: no budget

my $rate;
my $n = 0;

sub job {
    my ($ms, $budget, $more) = @_;

    return '/jobs?kind=hashmix&inputs=' . ++$n . '&cost='
           . int($rate * $ms + 1) . ($budget ? "&budget_ms=$budget" : '')
           . ($more // '');
}

sub sent {
    my ($path, $c) = @_;

    $c //= $t->connect;
    $c->send(Helix::message('GET', $path));

    return $c;
}

# Which of some connections has an answer first?

sub first {
    my (@c) = @_;

    my $select = IO::Select->new(map { $_->socket } @c);
    my ($ready) = $select->can_read(60 * Helix::SLOW);

    return if !$ready;
    return (grep { $c[$_]->socket == $ready } 0 .. $#c)[0];
}

sub silent { !IO::Select->new($_[0]->socket)->can_read(0) }

sub waiting {
    my ($number, $name) = @_;

    return ok($t->wait_for(sub {
        my $s = $t->stats;
        return $s->{pool}{busy} == 1
               && $s->{strategies}{cpu_pool}{waiting}
                  + $s->{strategies}{batch}{waiting} == $number;
    }, "$number to wait"), $name);
}

sub quiet {
    $t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'all jobs to end');
}

sub near {
    my ($got, $want, $name, $part) = @_;

    $part //= 0.3;

    cmp_ok(abs($got - $want), '<=', $part * $want, $name)
        or diag("$got, and not $want");
}


# learning: first how much a millisecond is, then jobs of that size

$t->get('/jobs?kind=hashmix&cost=100000000&budget_ms=600000') for 1 .. 10;

my $before = $t->stats;

cmp_ok($before->{kinds}{hashmix}{samples}, '>=', 5,
       'samples of the first jobs');

$rate = 100000000 * 10 / ($before->{predictive}{cpu_secs} * 1000);

my @answers = map { $t->get(job(2, 600000)) } 1 .. 60;

is((grep { $_->status == 200 && $_->json->{strategy} eq 'cpu_pool'
           && $_->json->{reason} eq 'heavy' } @answers), 60,
   'heavy jobs run on a thread');

my $s = $t->stats;

my $real = ($s->{predictive}{cpu_secs} - $before->{predictive}{cpu_secs})
           * 1000 / 60;

near($s->{kinds}{hashmix}{predicted_ms}, $real,
     'the prediction is near to what the jobs took');
cmp_ok($s->{kinds}{hashmix}{exec_ms}{p50}, '>', 0.7 * $real,
       'which is not more than the time it took them');
near($s->{kinds}{hashmix}{predicted_ms}, $s->{kinds}{hashmix}{exec_ms}{p50},
     'and that is it if nobody else computes')
    if $s->{predictive}{efficiency} > 0.95;
cmp_ok($s->{kinds}{hashmix}{samples}, '>=',
       $before->{kinds}{hashmix}{samples} + 50, 'samples grow');
near($s->{predictive}{accuracy}, 1, 'accuracy', 0.5);

# what was expected of one job, in a variable and in its record

my $told = $t->get(job(20, 10000));

like($told->header('X-Predicted'), qr/^0\.0\d{5}$/, 'the variable');
is($told->header('X-Record') =~ /"predicted_ms":([\d.]+)/ && $1 / 1000,
   $told->header('X-Predicted') + 0, 'the record has the same');
is($t->get('/jobs?kind=hashmix&cost=8000000000000000&budget_ms=1')
   ->header('X-Predicted'), undef, 'nothing is expected of what is not run');


# other sizes, so that long ones are no guess

$t->get(job($_, 600000)) for map { (0.5, 20, 5, 60) } 1 .. 6;


# what is short runs in the event loop

my $r = $t->get('/jobs?kind=primecount&cost=10000');

is($r->json->{strategy}, 'inline', 'a cheap job');
is($r->json->{reason}, 'cheap', 'a cheap job, reason');


# too big, whatever else runs: refused, but for one now and then

$t->get(job(1, 60000));

ok($t->wait_for(sub {
    $r = $t->get(job(200, 2));
    return $r->status == 503;
}, 'a job to be too big'), 'a job that takes longer than its budget');

is($r->json->{reason}, 'too_big', 'too big: the reason');
is($r->header('X-Helix-Reason'), 'too_big', 'too big: the header');
is($r->header('Retry-After'), undef, 'too big: no Retry-After');
is($r->json->{retry_after_ms}, undef, 'too big: no retry_after_ms');

$before = $t->stats;

ok($t->wait_for(sub {
    $r = $t->get(job(50, 2));
    return $r->status != 503;
}, 'exploration'), 'it is tried now and then');

is($r->status, 200, 'explored: past its budget, but alone');
is($r->json->{reason}, 'explored', 'explored: the reason');
is($r->json->{strategy}, 'cpu_pool', 'explored: on a thread');
cmp_ok($r->json->{total_ms}, '>', 2, 'explored: it was late');
is($t->stats->{late}, $before->{late} + 1, 'explored: counted as late');


# past its budget while others wait: the explored one again, with company

$before = $t->stats;

my ($long, $other);

ok($t->wait_for(sub {
    my $c = sent(job(1500, 5));

    # refused ones are answered at once

    $t->wait_for(sub {
        return !silent($c) || $t->stats->{in_flight} == 1;
    }, 'a decision');

    return 0 if !silent($c);

    $long = $c;
    $other = sent(job(2, 60000));

    return 1;
}, 'exploration'), 'a long one is tried');

$r = $long->recv;

is($r->status, 504, 'late while others wait: 504');
is($r->json->{code}, 'Expired', 'late while others wait: the code');
is($r->json->{detail}, 'there was no result in time',
   'late while others wait: the detail');
is($r->header('Retry-After'), undef, 'late while others wait: not refused');
is($other->recv->status, 200, 'the other one has its result');

quiet();

$s = $t->stats;

is($s->{expired}, $before->{expired} + 1, 'late while others wait: expired');
cmp_ok($s->{predictive}{wasted_secs}, '>', $before->{predictive}{wasted_secs},
       'and its work was wasted');


# admitted, and then hopeless: the configuration has others go first

$before = $t->stats;

my @first = sent(job(300, 1) =~ s{/jobs}{/pin}r);

$t->wait_for(sub { $t->stats->{pool}{busy} == 1 }, 'the first one') or die;

my $hopeless = sent(job(100, 1500));

waiting(1, 'the one that waits');

push @first, sent(job(2500, 1) =~ s{/jobs}{/pin}r);

$r = $hopeless->recv;

is($r->status, 503, 'shed: 503');
is($r->json->{reason}, 'infeasible', 'shed: the reason');
is($r->header('X-Helix-Strategy'), 'drop', 'shed: the strategy');
like($r->header('Retry-After'), qr/^[1-9]\d*$/, 'shed: Retry-After');
is($t->stats->{shed}, $before->{shed} + 1, 'shed: counted');
is($t->stats->{dropped}, $before->{dropped}, 'shed: not as dropped');

is($_->recv->status, 200, 'pinned: run, though late') for @first;

quiet();


# more than fits: those that are admitted are done, the others know at once

$before = $t->stats;

my @c = map { sent(job(20, 600)) } 1 .. 100;

is($t->get('/jobs?kind=primecount&cost=10000')->json->{strategy}, 'inline',
   'more than fits: a cheap job');

my @r = map { $_->recv } @c;
my @done = grep { $_->status == 200 } @r;
my @refused = grep { $_->status == 503 } @r;
my %reason;

$reason{$_->json->{reason}}++ for @refused;

cmp_ok(scalar(@done), '>', 0, 'more than fits: some are done');
cmp_ok(scalar(@refused), '>', 0, 'more than fits: some are not');
cmp_ok($reason{infeasible} // 0, '>', 0, 'more than fits: infeasible');
is(join(' ', grep { !/^(?:infeasible|too_big)$/ } sort keys %reason), '',
   'more than fits: no other reason');

@refused = grep { $_->json->{reason} eq 'infeasible' } @refused;

is(join(' ', map { $_->header('Retry-After') } @refused),
   join(' ', map { int(($_->json->{retry_after_ms} + 999) / 1000) } @refused),
   'Retry-After is retry_after_ms, rounded up');
is((grep { $_->json->{retry_after_ms} < 1
           || $_->json->{retry_after_ms} > 60000 } @refused), 0,
   'from a millisecond to a minute');

quiet();

cmp_ok($t->stats->{predictive}{queued_secs}, '<', 0.001, 'nothing is ahead');


# one long job, in nobody's way

my $path = job(2500, 100000);

$long = sent($path);

waiting(0, 'a long job runs');

is($t->get('/jobs?kind=primecount&cost=10000')->json->{strategy}, 'inline',
   'a cheap job beside it');
cmp_ok($t->stats->{predictive}{queued_secs}, '>', 0.3, 'its work is ahead');

for (1 .. 5) {
    $r = $t->get(job(5, 2000));

    is($r->status, 200, "a short job that is due earlier, $_");
    cmp_ok($r->json->{total_ms}, '<', 1500, 'is done at once');
}

ok(silent($long), 'the long one goes on after them');

$r = $long->recv;

is($r->status, 200, 'the long one is done too');
cmp_ok($r->json->{total_ms}, '>', $r->json->{exec_ms},
       'time away from the thread is not time of computing');

is_deeply($r->json->{outputs}, $t->get("$path&id=1")->json->{outputs},
          'what was interrupted has the same result');


# in the order of deadlines

my $first = sent(job(1000, 20000));

waiting(0, 'a job runs');

# of one kind they would be done together

my $later = sent(job(400, 90000) =~ s{/jobs}{/pin}r);

waiting(1, 'one waits');

my $sooner = sent(job(20, 60000) =~ s{/jobs}{/pin}r);

waiting(2, 'another one waits');

is(first($first, $later, $sooner), 0, 'due first, done first');
is(first($later, $sooner), 1, 'the one that came later, but is due earlier');
is($_->recv->status, 200, 'done') for $first, $sooner, $later;


# all threads busy: jobs of a kind wait for each other

my @single = map { $t->get(job(2, 0)) } 1 .. 4;
my $last = $n;

$first = sent(job(1000, 20000));

waiting(0, 'a job runs');

$n = $last - 4;
@c = map { sent(job(2, 0, '&scaling=0.9')) } 1 .. 4;
@r = map { $_->recv } @c;

is(join(' ', map { $_->json->{strategy} } @r), 'batch batch batch batch',
   'batched');
is($r[0]->json->{reason}, 'batchable', 'batched: the reason');
is(join(' ', map { $_->json->{batch_size} } @r), '4 4 4 4',
   'batched: all together');
is_deeply([map { $_->json->{outputs} } @r],
          [map { $_->json->{outputs} } @single], 'batched: the same results');
is($first->recv->status, 200, 'the job before them');

is($t->get(job(2, 0, '&scaling=0.9'))->json->{strategy}, 'cpu_pool',
   'a thread is free: not batched');


# many short jobs in one turn of the event loop, which a long one has held up:
# after half a millisecond the others are spawned

@c = map { $t->connect } 1 .. 240;
$_->request('GET', '/jobs?kind=primecount') for @c;

my %lane;

$t->wait_for(sub {
    my $blocker = sent(job(200, 0) =~ s{/jobs}{/inline}r);

    sent(job(0.02, 0), $_) for @c;

    $lane{"$_->{strategy} $_->{reason}"}++ for map { $_->recv->json } @c;
    $blocker->recv;

    return $lane{'spawn moderate'};
}, 'spawned ones', 30);

cmp_ok($lane{'batch cheap'} // 0, '>', 0,
       'some of many short jobs: at the end of the turn');
cmp_ok($lane{'spawn moderate'} // 0, '>', 0, 'some of many short jobs: spawn');
is($lane{'cpu_pool heavy'} // 0, 0, 'none of many short jobs: cpu_pool');

# on one connection they are no less in one turn

$c[0]->send(join '', map { Helix::message('GET', job(0.02, 0)) } 1 .. 100);

%lane = ();
$lane{$c[0]->recv->json->{strategy}}++ for 1 .. 100;

cmp_ok($lane{spawn} // 0, '>', 0, 'some of many pipelined jobs: spawn');


# the numbers in all formats

quiet();

# once what was busy has come to rest, in each of the workers

my $metrics;

$t->wait_for(sub {
    $s = $t->stats->{predictive};
    $metrics = $t->get('/helix/metrics')->body;

    return $s->{loop_busy} < 0.05
           && $metrics =~ /^helix_loop_busy_ratio\{.*\} (\S+)$/m && $1 < 0.05;
}, 'rest');

my $text = $t->get('/helix')->body;

my %family = (
    capacity => 'capacity_cores', efficiency => 'cpu_efficiency_ratio',
    demand => 'demand_ratio', queued_secs => 'backlog_seconds',
    margin => 'margin_deviations', waste => 'waste_ratio',
    loop_busy => 'loop_busy_ratio', lag_secs => 'lag_seconds',
    inline_limit_secs => 'inline_limit_seconds', drift => 'drift_ratio',
    calibration => 'calibration_ratio', accuracy => 'accuracy_ratio',
    cpu_secs => 'cpu_seconds_total', wasted_secs => 'cpu_wasted_seconds_total'
);

is(join(' ', sort keys %$s), join(' ', sort keys %family),
   'all numbers have a family');

my %still = map { $_ => 1 } qw(queued_secs drift calibration accuracy cpu_secs
                               wasted_secs lag_secs);

for my $name (sort keys %family) {
    my ($value) = $metrics
                  =~ /^helix_$family{$name}\{zone="helix"\} (\S+)$/m;

    ok(defined $value, "$name: Prometheus");
    next if !defined $value;

    # the others come to rest from one request to the next

    $still{$name} ? is($value, $s->{$name}, "$name: the same in both")
                  : cmp_ok(abs($value - $s->{$name}), '<=',
                           0.1 * abs($s->{$name}) + 0.05,
                           "$name: about the same in both");
}

my ($pressure) = $text =~ /^(pressure .*)$/m;
my ($margin) = $text =~ /^(margin .*)$/m;
my $percent = join '|', int($s->{calibration} * 100),
                        sprintf('%.0f', $s->{calibration} * 100);

like($pressure, qr/^pressure\x20\d\.\d\d\x20{4}pool\x200\/1\x20busy\x20{4}
                  capacity\x20[\d.]+\x20cores,\x20demand\x20[\d.]+,
                  \x20queued\x200\.0ms\x20{4}inline\x20up\x20to\x20[\d.]+ms$/x,
     'text: capacity');
like($margin, qr/^margin\x20[\d.]+\x20{4}wasted\x20[\d.]+%\x20{4}
                  actual\/predicted\x20${\sprintf '%.2f', $s->{accuracy}},
                  \x20(?:$percent)%
                  \x20within\x20p90\x20{4}loop\x20busy\x20[\d.]+%,
                  \x20lag\x20[\d.]+ms$/x, 'text: margin');


# two workers, one thread at a time between them

my $mean = $t->post('/helix/api/explain',
                    '{"kind":"hashmix","cost":' . int(20 * $rate) . '}')
             ->json->{prediction}{mean_ms};

configure(2);

ok($t->reload, 'reload to two workers');

near($t->post('/helix/api/explain',
              '{"kind":"hashmix","cost":' . int(20 * $rate) . '}')
       ->json->{prediction}{mean_ms}, $mean, 'what was learned is still known',
     0.5);
cmp_ok($t->stats->{kinds}{hashmix}{samples}, '>', 50, 'with its samples');

# a connection to each

my %to;

ok($t->wait_for(sub {
    my $c = $t->connect;
    my $r = $c->request('GET', '/jobs?kind=primecount');

    $to{$r->header('X-Pid')} //= $c;
    return keys %to == 2;
}, 'a connection to each worker'), 'two workers');

my ($one, $two) = sort keys %to;

sub another {
    my ($pid) = @_;

    return $t->wait_for(sub {
        my $c = $t->connect;
        my $r = $c->request('GET', '/jobs?kind=primecount');

        return $r->header('X-Pid') == $pid && $c;
    }, "a connection to $pid");
}

$first = sent(job(1000, 20000), another($one));

waiting(0, 'a job of one worker runs');

$later = sent(job(400, 90000), another($one));

waiting(1, 'another one of it waits');

my $sent = time;

$sooner = sent(job(20, 60000), another($two));

waiting(2, 'one of the other worker waits');

is(first($first, $later, $sooner), 0, 'two workers: due first, done first');

my $ended = time;

is(first($later, $sooner), 1, 'two workers: due earlier, done earlier');

$r = $sooner->recv;

is($r->status, 200, 'two workers: done');
cmp_ok($sent + $r->json->{queue_ms} / 1000 - $ended, '<', 0.25 * Helix::SLOW,
       'two workers: the thread is passed on at once');
is($_->recv->status, 200, 'two workers: done') for $first, $later;

$long = sent(job(3000, 100000), another($one));

waiting(0, 'a long job of one worker runs');

$r = sent(job(5, 2000), another($two))->recv;

is($r->status, 200, 'a short one of the other worker');
ok(silent($long), 'is done before it');


# a worker that is killed

cmp_ok($t->stats->{predictive}{queued_secs}, '>', 0.3, 'the work ahead');

$t->expect_kill(1)->expect_alert(qr/ exited on signal 9/);

kill 9, $one;

ok($t->wait_for(sub { $t->stats->{predictive}{queued_secs} < 0.001 },
                'the work of a dead worker to go', 1),
   'the work of a worker that was killed is not ahead for long');

ok($t->wait_for(sub { $t->stats->{lost} == 1 }, 'the lost job'),
   'its job is lost');
is($t->get(job(20, 60000))->status, 200, 'the thread is free for others');
