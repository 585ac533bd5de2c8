#!/usr/bin/env perl

# Explain: the numbers of a decision, in an answer or without a job, and what
# it says would change it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new(timeout => 60);

sub configure {
    my ($policy) = @_;

    $t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_policy $policy;
    helix_pool concurrency=1 busy=1;
    helix_kind hashmix max_cost=1000000000000000;
    helix_kind primecount max_inputs=4;
    helix_timeout 120s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
            helix_explain on;
        }

        location /off {
            helix_pass;
        }

        location /pin {
            helix_pass;
            helix_job strategy=\$arg_s;
            helix_explain on;
        }

        location /short {
            helix_pass;
            helix_job strategy=\$arg_s;
            helix_timeout 50ms;
            helix_explain on;
        }

        location /helix {
            helix_status;
        }

        location /told {
            helix_status;
            helix_job kind=hashmix cost=5;
            helix_explain on;
        }

        location /pinned {
            helix_status;
            helix_job strategy=batch;
        }
    }
}
END
}

my %verdict = map { $_ => 1 }
    'chosen', 'not needed', 'too long for the event loop',
    'enough in this turn of the event loop', 'would be late',
    'would make admitted jobs late', 'the kind has had its share',
    'cannot be batched', 'a thread is free';

my $form = 'application/x-www-form-urlencoded';


# What holds for every explanation.

sub sound {
    my ($e, $name, $policy) = @_;

    my $predictive = $policy eq 'predictive';
    my @wrong;

    push @wrong, 'keys ' . join ' ', sort keys %$e
        if join(' ', sort keys %$e)
           ne join ' ', sort qw(policy strategy reason inputs would_change_if),
                        $predictive ? qw(prediction lanes) : ();

    push @wrong, 'inputs ' . join ' ', sort keys %{$e->{inputs}}
        if join(' ', sort keys %{$e->{inputs}})
           ne join ' ', sort qw(kind cost work scaling budget_ms pressure
                                external busy concurrency),
                        $predictive ? () : qw(busy_limit inline_threshold),
                        $predictive || $e->{reason} eq 'pinned'
                            ? () : qw(spawn_threshold);

    push @wrong, 'nothing would change it' if !@{$e->{would_change_if} || []};

    if ($predictive) {
        my $p = $e->{prediction};
        my @lanes = @{$e->{lanes} || []};

        push @wrong, 'prediction ' . join ' ', sort keys %$p
            if join(' ', sort keys %$p)
               ne 'ahead_ms capacity efficiency inline_limit_ms margin mean_ms '
                  . 'p90_ms within_ms';
        push @wrong, 'lanes ' . join ' ', map { $_->{strategy} } @lanes
            if join(' ', map { $_->{strategy} } @lanes)
               ne 'inline spawn cpu_pool batch';
        push @wrong, "verdict $_" for grep { !$verdict{$_} }
                                      map { $_->{verdict} } @lanes;

        my $chosen = join ' ', map { $_->{strategy} }
                               grep { $_->{verdict} eq 'chosen' } @lanes;
        my $strategy = $e->{strategy} eq 'drop' ? '' : $e->{strategy};

        push @wrong, "chosen: $chosen, strategy: $strategy"
            if $e->{reason} !~ /^(?:explored|pinned)$/ && $chosen ne $strategy;
    }

    is(join('; ', @wrong), '', "$name: sound") or diag(explain($e));

    return $e;
}


# The explanation of a job that is not run.

my $policy;

sub told {
    my ($query) = @_;

    my $r = $t->post("/helix/api/explain?$query", '', $form);

    is($r->status, 200, "explained: $query") or diag($r->body);

    return sound($r->json, $query, $policy);
}

sub change {
    my ($e, $pattern) = @_;

    my @found = map { $_ =~ $pattern ? $1 : () } @{$e->{would_change_if}};

    return $found[0];
}

sub still {
    my $s = $t->stats;

    return join ' ', (map { "$_ $s->{$_}" } qw(received invalid dropped
                                               admitted completed late)),
                     (map { "$_ $s->{predictive}{$_}" } qw(cpu_secs accuracy
                                                           calibration)),
                     (map { $s->{kinds}{$_}{samples} } sort keys %{$s->{kinds}});
}


# both policies: forms, methods, what is not valid, and that nothing counts

sub surface {
    my $before = still();
    my $url = '/helix/api/explain';
    my @same = map { $_->json } (
        $t->post("$url?kind=hashmix&inputs=1,2&cost=5000&budget_ms=900", '',
                 $form),
        $t->post($url, 'kind=hashmix&inputs=1,2&cost=5000&budget_ms=900',
                 $form),
        $t->post($url, '{"kind":"hashmix","inputs":[1,2],"compute_cost":5000,'
                       . '"latency_budget_ms":900}'),
        $t->post("$url?kind=hashmix&explain=0",
                 '{"inputs":["1","2"],"compute_cost":5000,"budget_ms":900}'),
        $t->post('/told/api/explain?explain=1', '{"kind":"hashmix",'
                 . '"inputs":[1,2],"cost":5000,"budget_ms":900}'));

    for my $n (0 .. $#same) {
        sound($same[$n], "form $n", $policy);
        is_deeply([$same[$n]{strategy}, @{$same[$n]{inputs}}{qw(kind cost
                                                               budget_ms)}],
                  [$same[0]{strategy}, 'hashmix', 5000, 900],
                  "form $n: the job");
    }

    is($t->post('/told/api/explain', '{}')->json->{inputs}{cost}, 5,
       'helix_job applies');
    my $r = $t->post($url, '{"kind":"hashmix"}');

    is($r->header('Content-Type'), 'application/json', 'type');
    is($r->header('Cache-Control'), 'no-store', 'no-store');
    is($r->header('X-Helix-Strategy'), undef, 'no header of a job');

    for (['{"kind":"hashmx"}', 422, 'UnknownKind'],
         ['{"kind":"hashmix"', 400, 'BadJson'],
         ['{}', 400, 'BadField'],
         ['', 400, 'BadField'],
         ['{"kind":"hashmix","colour":1}', 400, 'BadField'],
         ['{"kind":"hashmix","explain":1}', 400, 'BadField'],
         ['{"kind":"hashmix","cost":"x"}', 400, 'BadField'],
         ['{"kind":"hashmix","cost":1000000000000001}', 413, 'TooLarge'],
         ['{"kind":"primecount","inputs":[1,2,3,4,5]}', 413, 'TooLarge'])
    {
        my ($body, $status, $code) = @$_;

        $r = $t->post($url, $body);

        is($r->status, $status, "not valid: $body");
        is($r->json->{code}, $code, "not valid: $body, code");
        is($r->header('Content-Type'), 'application/problem+json',
           "not valid: $body, type");
    }

    is($t->post($url, '{"kind":"hashmix"}', 'text/plain')->status, 415,
       'not valid: media type');
    is($t->post("$url?explain=1", '{"kind":"hashmix"}')->status, 400,
       'explain=1 where it is off');

    for my $method (qw(GET HEAD PUT DELETE OPTIONS)) {
        $r = $t->request($method, "$url?kind=hashmix",
                         $method =~ /PUT/ ? '{}' : undef);

        is($r->status, 405, "$method");
        is($r->header('Allow'), 'POST', "$method, Allow");
    }

    $r = $t->post('/pinned/api/explain', '{"kind":"hashmix"}');

    is_deeply([@{$r->json}{qw(policy strategy reason would_change_if)}],
              ['pinned', 'batch', 'pinned',
               ['helix_job does not set strategy']], 'pinned');

    is(still(), $before, 'nothing was run, nothing counts');
}


# the same in an answer

sub answers {
    my $r = $t->get('/jobs?kind=hashmix&cost=5000&explain=1');

    is($r->status, 200, 'a job with its explanation');
    sound($r->json->{explain}, 'a job', $policy);
    is_deeply([@{$r->json}{qw(strategy reason)}],
              [@{$r->json->{explain}}{qw(strategy reason)}],
              'it explains what was done');

    is($t->get("/jobs?kind=hashmix$_")->json->{explain}, undef,
       "none for \"$_\"") for '', '&explain=0';
    is($t->get("/off?kind=hashmix$_->[0]")->status, $_->[1],
       "off: status for \"$_->[0]\"")
        for ['', 200], ['&explain=0', 200], ['&explain=1', 400];
    is($t->get("/jobs?kind=hashmix&explain=$_")->status, 400,
       "a wrong value: \"$_\"") for '', '2', '01', 'on', '1&explain=1';

    $r = $t->get('/off?kind=hashmix&explain=1');

    is($r->json->{field}, 'explain', 'off: the field');
    is($r->json->{expected}, '0 or 1, and 1 only where helix_explain is on',
       'off: what is expected');

    $r = $t->get('/jobs?kind=hashmx&explain=1');

    is($r->status, 422, 'not valid');
    is($r->json->{explain}, undef, 'not valid: nothing to explain');

    $r = $t->get('/pin?kind=hashmix&s=drop&explain=1');

    is($r->status, 503, 'dropped');
    is(sound($r->json->{explain}, 'dropped', $policy)->{reason}, 'pinned',
       'dropped: explained');
    is($r->json->{reason}, 'pinned', 'dropped: the reason as ever');

    $r = $t->get('/short?kind=hashmix&s=inline&cost=50000000000&explain=1');

    is($r->status, 504, 'expired');
    is(sound($r->json->{explain}, 'expired', $policy)->{strategy}, 'inline',
       'expired: explained');
}


# predictive

$policy = 'predictive';
configure($policy);

$t->start;

surface();
answers();

# what it learns from: jobs of which each is known to take that long

$t->get("/jobs?kind=hashmix&cost=${_}00000&budget_ms=600000")
    for map { (1000, 100, 5000, 300) } 1 .. 15;

my $rate = 100000000 / told('kind=hashmix&cost=100000000')->{prediction}{mean_ms};

sub job { 'kind=hashmix&cost=' . int($_[0] * $rate) . "&budget_ms=$_[1]" }

# The budget with which a job has so many milliseconds.

sub budget {
    my ($e, $within) = @_;

    return $within / 0.88;
}

# Of one kind a job that was admitted lately: nothing is explored.

sub calm { is($t->get('/jobs?' . job(1, 60000))->status, 200, 'no exploration') }

# What is said of a job, with what it says is needed for another strategy; and
# what is said of the same job with a part of that.  At a moment at which
# threads count as having the whole of their processor: neighbours, and what
# ran before, change what is needed.

sub tried {
    my ($ms, $budget, $pattern, $part, $want) = @_;

    my ($e, $needed, $query, $got);

    $t->wait_for(sub {
        $t->wait_for(sub { $t->stats->{predictive}{efficiency} > 0.97 },
                     'an idle machine');
        calm();

        $e = told(job($ms, $budget));
        $needed = change($e, $pattern) or return 0;
        $query = job($ms, int(budget($e, $needed * $part) + 0.5));
        $got = told($query);

        return $got->{strategy} eq $want;
    }, "$want with $part of what is needed", 20);

    ok($needed, "$ms ms within $budget: it says what is needed")
        or diag(explain($e));
    is($got->{strategy}, $want, "$ms ms within $budget: with $part of it")
        or diag(explain($e, $got));

    return ($e, $query);
}

my $more = qr/^within_ms >= ([\d.]+) -> (?:cpu_pool|batch)$/;
my $less = qr/^within_ms < ([\d.]+) -> drop$/;

my ($e, $query) = tried(100, 20, $more, 1.1, 'cpu_pool');

is("$e->{strategy} $e->{reason}", 'drop too_big', 'too big');
is((grep { $_->{strategy} eq 'cpu_pool' } @{$e->{lanes}})[0]{verdict},
   'would be late', 'too big: the verdict');

my $r = $t->get("/jobs?$query&explain=1");

is($r->json->{explain}{strategy}, 'cpu_pool', 'with the budget that it names '
   . 'it runs') or diag($r->body);

tried(100, 20, $more, 0.8, 'drop');

($e) = tried(100, 5000, $less, 1.1, 'cpu_pool');

is("$e->{strategy} $e->{reason}", 'cpu_pool heavy', 'heavy');

tried(100, 5000, $less, 0.9, 'drop');

my $limit = change($e, qr/^p90_ms <= ([\d.]+) -> inline$/);

for ([0.7, 'batch'], [1.4, 'cpu_pool']) {
    my ($part, $strategy) = @$_;

    # the prediction is no line through zero: come near in some steps

    my $ms = $limit * $part;
    my $near;

    for (1 .. 5) {
        $near = $t->post('/helix/api/explain', job($ms, 60000), $form)->json;
        $limit = $near->{prediction}{inline_limit_ms};
        $ms *= $limit * $part / ($near->{prediction}{p90_ms} || 0.001);
    }

    is($near->{strategy}, $strategy, "a p90 of $part of the limit");
    cmp_ok(abs($near->{prediction}{p90_ms} / $limit - $part), '<', 0.2,
           "that is what it has");
    cmp_ok(change($near, qr/^p90_ms (?:<=|>) ([\d.]+) -> /), '>', 0,
           'and what it takes otherwise');
}


# with a job ahead that leaves no room

sub held {
    my ($query, $code) = @_;

    my $c = $t->connect;

    $c->send(Helix::message('GET', "/jobs?$query"));

    ok($t->wait_for(sub { $t->stats->{pool}{busy} == 1 }, 'a job to run'),
       'a job runs');
    $code->();
    is($t->stats->{pool}{busy}, 1, 'it runs still');

    $c->rst;

    ok($t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'it to go'),
       'it is gone');
}

$e = told(job(6000, 1000000));

my $needed = change($e, $less);
my $tight = int(budget($e, $needed * 1.1));

held(job(6000, $tight), sub {
    my $e = told(job(1500, 2000000));

    is($e->{strategy}, 'batch', 'after it there is room');

    $e = told(job(3000, int($tight * 0.9)));

    is($e->{strategy}, 'drop', 'before it there is none');
    is($e->{reason}, 'infeasible', 'before it: infeasible');
    is($e->{inputs}{busy}, 1, 'before it: a thread is busy');
    is((grep { $_->{strategy} eq 'cpu_pool' } @{$e->{lanes}})[0]{verdict},
       'would make admitted jobs late', 'before it: the verdict');
    is_deeply([grep { !/^p90/ } @{$e->{would_change_if}}],
              ['fewer admitted jobs are due after this one -> batch'],
              'before it: what would change it');

    $e = told(job(3000, int($tight * 1.2)));

    is($e->{reason}, 'infeasible', 'just after it: infeasible');
    cmp_ok($e->{prediction}{ahead_ms}, '>', 100, 'its work is ahead');

    # neighbours, who come and go, change what is needed

    my $again = '';

    $t->wait_for(sub {
        my $e = told(job(3000, int($tight * 1.2)));
        my $needed = change($e, $more) or return 0;

        $again = told(job(3000, int(budget($e, $needed * 1.15))))->{strategy};

        return $again eq 'batch';
    }, 'room', 3);

    is($again, 'batch', 'with the budget that it names there is room');

    # the other lane

    $e = told(job(100, 2000000) . '&scaling=0.9');
    is("$e->{strategy} $e->{reason}", 'batch batchable',
       'all threads are busy: batch');
    $e = told(job(100, 2000000) . '&scaling=0.6');
    is($e->{lanes}[3]{verdict}, 'chosen', 'whatever it claims of its scaling');
});

is(told(job(100, 2000000) . '&scaling=0.9')->{lanes}[3]{verdict},
   'a thread is free', 'a thread is free: no batch');


# threshold

$policy = 'threshold';
configure($policy);

ok($t->reload, 'reload to the other policy');

surface();
answers();

sub cost { 'kind=hashmix&cost=' . $_[0] . ($_[1] // '') }

$e = told(cost(70000));

is("$e->{strategy} $e->{reason}", 'cpu_pool heavy', 'a cost of 70000');
is_deeply($e->{would_change_if},
          ['busy >= 1 -> batch or drop', 'cost <= 8000 -> inline',
           '8000 < cost < 60000 -> spawn'], 'a cost of 70000: what would '
          . 'change it');

for ([70000, 'cpu_pool'], [9000, 'spawn'], [100, 'inline']) {
    my ($cost, $strategy) = @$_;

    $e = told(cost($cost));

    is($e->{strategy}, $strategy, "a cost of $cost");
    is($t->get('/jobs?' . cost($cost))->json->{strategy}, $strategy,
       "a cost of $cost, for real");

    for (@{$e->{would_change_if}}) {
        my ($below, $inline) = /^cost <= (\d+) -> (inline)$/;
        my ($from, $to) = /^(\d+) < cost < (\d+) -> spawn$/;
        my ($above) = /^cost >= (\d+) -> cpu_pool or batch$/;

        my @try = defined $below ? ([$below, 'inline'])
                : defined $from ? ([$from + 1, 'spawn'], [$to - 1, 'spawn'])
                : defined $above ? ([$above, 'cpu_pool'],
                                    ["$above&scaling=0.9", 'batch'])
                : ();

        ok(@try || /^busy >= 1 -> batch or drop$/, "understood: $_");

        is($t->get('/jobs?' . cost($_->[0]))->json->{strategy}, $_->[1],
           "a cost of $_->[0], for real") for @try;
    }
}

held(cost(400000000000), sub {
    my $e = told(cost(100));

    is("$e->{strategy} $e->{reason}", 'drop pressure', 'busy');
    is_deeply($e->{would_change_if}, ['busy < 1 -> another strategy'],
              'busy: what would change it');
    is($t->get('/jobs?' . cost(100))->status, 503, 'busy, for real');
    is(told(cost(100, '&scaling=0.65'))->{strategy}, 'batch',
       'busy: with a scaling of 0.65');
});

is($t->get('/jobs?' . cost(100))->json->{strategy}, 'inline',
   'not busy, for real');
