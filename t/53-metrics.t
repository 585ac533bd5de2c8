#!/usr/bin/env perl

# Both formats for Prometheus: which of them, all by their letter, the same
# series in each; examples of traces; what clients of HelixRouter read.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Exposition;
use Helix;

my $t = Helix->new;
my $dir = $t->dir;
my $src = "$FindBin::Bin/..";

system('gcc', '-shared', '-fPIC', '-O2', '-DMANY', "-I$src/src/kinds",
       "$src/t/lib/probe_kind.c", '-o', "$dir/many.so") == 0
    or die "cannot build many.so\n";

my $conf = <<'END';
%%TEST_GLOBALS%%

worker_processes %%N%%;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_pool jobs threads=1 concurrency=1 queue=64 busy=off;
    helix_adapt on alpha=0.25;
    helix_kind hashmix max_cost=1000000000000 coalesce=off;
    %%KINDS%%

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs  { helix_pass; helix_job strategy=$arg_s; }
        location /helix { helix_status; }
    }
}
END

sub configure {
    my ($n, $kinds) = @_;

    $t->conf($conf =~ s/%%N%%/$n/r =~ s/%%KINDS%%/$kinds/r);
}

configure(1, '');
$t->start;

my @lanes = qw(inline spawn cpu_pool batch);
my $om = 'application/openmetrics-text';
my %type = (text => 'text/plain; version=0.0.4; charset=utf-8',
            om => "$om; version=1.0.0; charset=utf-8");

sub metrics {
    my ($format, $args, $what) = @_;

    my $r = $t->get('/helix/metrics' . ($args // ''),
                    $format eq 'om' ? (Accept => $om) : ());

    my ($families, @wrong) = Exposition::check($r->body, $format eq 'om');

    is($r->header('Content-Type'), $type{$format}, "$what: type");
    is_deeply(\@wrong, [], "$what: by the letter");

    return $families;
}

sub series { map { keys %{$_->{samples}} } values %{$_[0]} }


# which format

for (['', 'text'],
     ['*/*', 'text'],
     ['text/plain', 'text'],
     ['text/*;q=0.9, application/xml', 'text'],
     ['application/json', 'text'],
     ["$om", 'om'],
     ["$om;version=1.0.0", 'om'],
     ["$om; version=0.0.1", 'om'],
     ["$om; version=2.0.0", 'text'],
     ["$om;version=2.0.0,$om;version=1.0.0;q=0.1", 'om'],
     ["Application/OpenMetrics-Text ; Q=0.5", 'om'],
     ["$om;q=0", 'text'],
     ["$om;q=0.0,*/*;q=0.1", 'text'],
     ["$om;q=0.5,text/plain;q=0.6", 'text'],
     ["$om;q=0.6,text/plain;q=0.5", 'om'],
     ["$om;q=0.5,text/plain;q=0.5", 'om'],
     ["text/plain,$om", 'text'],
     ["$om;q=0.5,*/*", 'text'],
     ["$om;q=x", 'text'],
     ["$om;q=1.0000", 'text'],
     ["$om;q=1.001", 'text'],
     ["$om;q=", 'text'],
     ["${om}x", 'text'],
     [',,;,=;q=,' . $om, 'om'],
     ["$om;version=1.0.0,$om;version=0.0.1;q=0.75,"
      . 'text/plain;version=0.0.4;q=0.5,*/*;q=0.1', 'om'],
     ['application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;'
      . "encoding=delimited,$om;version=1.0.0;q=0.8,"
      . "$om;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      'om'])
{
    my ($accept, $want) = @$_;
    my $r = $t->get('/helix/metrics', $accept ne '' ? (Accept => $accept)
                                                    : ());

    is($r->header('Content-Type'), $type{$want}, "Accept: $accept");
}


# before any job, and after some in every lane

metrics($_, '', "$_, no jobs") for qw(text om);

my %ema;
my %dearer = (inline => 1000, spawn => 20000, cpu_pool => 90000,
              batch => 200000);

for my $lane (@lanes) {
    for my $n (1 .. 6) {
        my $cost = $dearer{$lane} * $n;
        my $r = $t->get("/jobs?s=$lane&kind=hashmix&cost=$cost");

        is($r->status, 200, "a job, $lane");

        my $ms = $r->json->{total_ms};
        $ema{$lane} = defined $ema{$lane} ? 0.25 * $ms + 0.75 * $ema{$lane}
                                          : $ms;
    }
}

$t->get('/jobs?s=drop&kind=hashmix');
$t->get('/jobs?kind=nothing');

my $text = metrics('text', '', 'text');
my $open = metrics('om', '', 'openmetrics');

is_deeply([sort { $a cmp $b } series($open)],
          [sort { $a cmp $b } series($text)], 'the same series in both');
cmp_ok(scalar(series($text)), '<=', 300, 'at most 300 series');

my $stats = $t->stats;

for my $lane (@lanes) {
    my $of = $stats->{strategies}{$lane}{latency_ms};

    for (qw(min max ema)) {
        my $name = "helix_job_duration_${_}_seconds";
        my $value = $text->{$name}{samples}{
            qq($name\{zone="helix",strategy="$lane"\})};

        cmp_ok(abs($value * 1000 - $of->{$_}), '<', 1e-9, "$_ of $lane");
    }

    cmp_ok($of->{min}, '<=', $of->{p50}, "min of $lane");
    cmp_ok($of->{max}, '>=', $of->{p99}, "max of $lane");
    cmp_ok(abs($of->{ema} - $ema{$lane}), '<=', 0.001 + $ema{$lane} / 1000,
           "ema of $lane");
}

my $batched = $text->{helix_batch_jobs_total}{samples}{
    'helix_batch_jobs_total{zone="helix"}'};

is($batched, 6, 'jobs of batches');
is($stats->{batched}, 6, 'in the JSON too');
cmp_ok($stats->{loop_secs}, '>', 0, 'time of the event loop');
cmp_ok($stats->{loop_secs}, '<', 60, 'in seconds');
cmp_ok($stats->{zone_used}, '>', 0, 'pages in use');
cmp_ok($stats->{zone_used}, '<', $stats->{zone_size}, 'not all of them');

$t->get('/jobs?s=inline&kind=hashmix&cost=1') for 1 .. 64;

cmp_ok($t->stats->{decision_secs}, '>', 0, 'time of decisions');
cmp_ok($t->stats->{decision_secs}, '<', 10, 'of so few');


# the members that clients of HelixRouter read

is($stats->{adaptive_spawn_threshold}, $stats->{thresholds}{spawn},
   'adaptive_spawn_threshold');
is($stats->{pressure_score}, $stats->{pressure}{value}, 'pressure_score');
is($stats->{deadline_exceeded}, 0, 'deadline_exceeded');
is_deeply($stats->{routed_by_strategy},
          [map { { strategy => $_, count => $_ eq 'drop' ? 1 : 6 } }
               qw(batch cpu_pool drop inline spawn)], 'routed_by_strategy');
is_deeply([map { $_->{strategy} } @{$stats->{latency_by_strategy}}],
          [sort @lanes], 'latency_by_strategy');
is_deeply($stats->{kind_routing}, { hash_mix => 24, prime_count => 0,
                                    monte_carlo_risk => 0 }, 'kind_routing');

for (@{$stats->{latency_by_strategy}}) {
    my ($of, $lane) = ($_, $_->{strategy});
    my $ms = $stats->{strategies}{$lane}{latency_ms};

    is_deeply([sort keys %$of],
              [sort qw(strategy count avg_ms ema_ms p50_ms p95_ms p99_ms
                       min_ms max_ms)], "members of $lane");
    is($of->{count}, 6, "count of $lane");
    is($of->{"${_}_ms"}, $ms->{$_}, "$_ of $lane") for qw(avg ema);
    is($of->{"${_}_ms"}, int $ms->{$_}, "$_ of $lane, whole")
        for qw(p50 p95 p99 min max);
}


# parts of it

for my $format (qw(text om)) {
    my $all = metrics($format, '', $format);
    my $sums = metrics($format, '?histograms=0', "$format, histograms=0");

    is_deeply([sort { $a cmp $b } grep { !/_bucket\{/ } series($all)],
              [sort { $a cmp $b } series($sums)], "$format: no buckets");

    my @some = qw(helix_late_total helix_job_duration_seconds
                  helix_job_duration_max_seconds);
    my $query = join '&', map({ "name%5B%5D=$_" } @some), 'name[]=helix_none';
    my $some = metrics($format, "?$query", "$format, name[]");

    is_deeply([sort keys %$some],
              [sort map { $format eq 'om' ? s/_total$//r : $_ } @some],
              "$format: families that were asked for");
    is_deeply([sort { $a cmp $b } grep {
                   /^helix_(?:late|job_duration(?:_max)?_seconds)(?:_|\{)/
                   && !/_seconds_(?:min|ema)/ } series($all)],
              [sort { $a cmp $b } series($some)], "$format: all of them");

    my $alone = metrics($format, '?name[]=helix_job_duration_max_seconds',
                        "$format, one");

    is_deeply($alone->{helix_job_duration_max_seconds}{samples},
              $all->{helix_job_duration_max_seconds}{samples},
              "$format: the same alone");
    is(scalar keys %{metrics($format, '?name[]=x', "$format, none")}, 0,
       "$format: an unknown name");
    is(scalar keys %{metrics($format, '?names[]=x&name[=y&&=&histograms=1',
                             "$format, other arguments")},
       scalar keys %$all, "$format: what is no argument");
}

is($t->get('/helix/metrics?name[]=helix_late', Accept => $om)->body
   =~ /^# TYPE (\S+)/m ? $1 : '', 'helix_late', 'a family without its suffix');


# examples

my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
my $parent = '00f067aa0ba902b7';

sub traced {
    my ($lane, $id, @headers) = @_;

    return $t->get("/jobs?s=$lane&kind=hashmix&cost=1000&id=$id",
                   map { (traceparent => $_) } @headers);
}

sub exemplars {
    my $families = metrics('om', '?name[]=helix_job_duration_seconds',
                           'examples');

    return $families->{helix_job_duration_seconds}{exemplars};
}

my $n = 0;

for (['' => 'nothing'],
     ["00-%s-$parent-00" => 'not sampled'],
     ["00-%s-$parent-0" => 'too short'],
     ["00-%s-$parent-01-" => 'more than version 0 has'],
     ["00-%s-$parent-01-x" => 'likewise'],
     ["01-%s-$parent-01x" => 'no "-" before more'],
     ["ff-%s-$parent-01" => 'version ff'],
     ["0-%s-$parent-001" => 'fields shifted'],
     ["00_%s-$parent-01" => 'no "-"'],
     ["00-%s-${\('0' x 16)}-01" => 'no parent'],
     ["00-%s-$parent-0g" => 'not hex'],
     ["00-%s-${\(uc $parent)}-01" => 'upper case'],
     ["00-%s-$parent-01 x" => 'a space'],
     ["00-%s-$parent-01, 00-%s-$parent-01" => 'two in one'])
{
    my ($header, $what) = @$_;
    my $id = sprintf '%032x', 0xbad000 + $n++;

    is(traced('inline', $n, $header =~ s/%s/$id/gr)->status, 200,
       "traceparent: $what");
}

traced('inline', 1, "00-${\('0' x 32)}-$parent-01");
traced('inline', 1, "00-${\(uc $trace)}-$parent-01");
traced('inline', 1, "00-\"\\}\n$trace-$parent-01");
traced('inline', 1, "00-$trace-$parent-01", "00-$trace-$parent-01");

is(scalar keys %{exemplars()}, 0, 'nothing of these is an example');

$t->wait_for(sub {
    traced('inline', 42, "00-$trace-$parent-01");
    return keys %{exemplars()};
}, 'an example');

my ($key) = keys %{exemplars()};
my $example = exemplars()->{$key};

like($key, qr/^helix_job_duration_seconds_bucket\{zone="helix",strategy="inline"/,
     'of the bucket that counted it');
is_deeply($example->{labels}, { trace_id => $trace, job => 42 }, 'its labels');
cmp_ok(abs($example->{time} - time), '<', 120, 'its time');

unlike($t->get('/helix/metrics')->body, qr/ # /, 'none in the text format');
unlike($t->get('/helix/api/stats')->body, qr/$trace/, 'nor in the JSON');

# a later version may have more; other lanes have their own

$t->wait_for(sub {
    traced($_, 7, "01-$trace-$parent-03-what-else") for qw(spawn cpu_pool);

    my $text = join ' ', keys %{exemplars()};
    return $text =~ /"spawn"/ && $text =~ /"cpu_pool"/;
}, 'examples of other lanes');

# trace and job belong together, whoever writes meanwhile

my $wrong = 0;

for my $round (1 .. 40) {
    for (1 .. 5) {
        my $id = 1 + int rand 1e9;
        traced($lanes[$round % 2], $id,
               sprintf '00-%032x-%s-01', $id, $parent);
    }

    for (values %{exemplars()}) {
        my ($id, $job) = @{$_->{labels}}{qw(trace_id job)};
        $wrong++ if $id ne $trace && hex($id =~ s/^0+//r) != $job;
    }
}

is($wrong, 0, 'trace and job are of one request');


# workers that leave

my $c = $t->connect;

$c->send(Helix::message('GET', '/jobs?s=cpu_pool&kind=hashmix'
                               . '&cost=900000000000'));
$t->wait_for(sub { $t->stats->{in_flight} }, 'a long job');

$t->reload;

$t->wait_for(sub {
    my $state = metrics('text', '?name[]=helix_workers', 'workers');
    my $of = $state->{helix_workers}{samples};

    return $of->{'helix_workers{zone="helix",state="draining"}'} == 1
           && $of->{'helix_workers{zone="helix",state="active"}'} == 1;
}, 'a worker that drains') or fail('no worker drains');

is_deeply([sort map { $_->{state} } @{$t->stats->{workers}}],
          [qw(active draining)], 'states of the workers');

$c->rst;
$t->wait_for(sub { @{$t->stats->{workers}} == 1 }, 'the old worker is gone');


# the most kinds there can be, each with all its levels

$t->stop;
configure(2, join "\n", map { sprintf 'helix_kernel %s%02d %s;', 'k' x 29, $_,
                              "$dir/many.so" } 1 .. 29);
$t->start;

$stats = $t->stats;

is(scalar keys %{$stats->{kinds}}, 32, '32 kinds');
is((sort { $b <=> $a } map { scalar keys %{$_->{levels}} }
    values %{$stats->{kinds}})[0], 8, 'with 8 levels');

metrics($_, '', "$_ of 32 kinds") for qw(text om);

is($t->get($_)->status, 200, $_) for qw(/helix /helix/api/stats);
